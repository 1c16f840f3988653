/* SPDX-License-Identifier: MIT */
#include "conn_overdue.h"

#include "board.h"
#include "board_interp.h"
#include "conn_answer.h"
#include "conn_close.h"
#include "conn_set.h"
#include "conn_socket.h"
#include "conn_stream.h"
#include "exchange_request.h"
#include "exchange_word.h"

static void say_timeout(struct conn_set *set, struct conn *c, const char *then)
{
    const struct board_interp *taker = exchange_taker(set->table, c->x);
    int pid = taker ? atomic_load(&taker->pid) : 0;
    char name[1100];

    exchange_name(&set->table->arena, c->x, name, sizeof(name));
    log_critical("WORKER TIMEOUT (pid:%d) %s%s", pid, name, then);
}

static void mark(struct conn_set *set, _Atomic uint64_t *since_ns)
{
    uint64_t none = 0;

    atomic_compare_exchange_strong(since_ns, &none, set->now_ns);
    board_wake_master(set->table->board);
}

/* Tells master and log which interpreter it is that does not come back. */
static void blame(struct conn_set *set, struct conn *c)
{
    struct board_interp *taker = exchange_taker(set->table, c->x);

    if (!taker)
        return;
    if (!(atomic_load(&c->x->flags) & EXCHANGE_LATE))
        say_timeout(set, c, "");
    mark(set, &taker->stuck_ns);
}

/*
 * The first time: an exception may get the thread out of it, while an answer
 * can still be given. An event loop has no thread for each request.
 */
static bool gets_a_chance(struct conn_set *set, struct conn *c)
{
    const struct conn_job *job = conn_job(set, c->x);
    struct board_interp *taker = exchange_taker(set->table, c->x);

    if (set->config->request_soft_ms == 0 || job->begun ||
        job->sent_bytes > 0 || !taker || atomic_load(&taker->by_doorbell) ||
        exchange_word_state(atomic_load(&c->x->word)) != EXCHANGE_RUNNING ||
        atomic_fetch_or(&c->x->flags, EXCHANGE_LATE) & EXCHANGE_LATE)
        return false;
    say_timeout(set, c, "; TimeoutError is raised in it");
    mark(set, &taker->late_ns);
    conn_deadline(set, c, set->config->request_soft_ms);
    return true;
}

void conn_overdue(struct conn_set *set, struct conn *c)
{
    struct conn_job *job = conn_job(set, c->x);
    uint32_t dropped;

    if (gets_a_chance(set, c))
        return;
    stats_add(&set->stats->overdue, 1);
    if (!exchange_take_back(set->table, c->x)) {
        blame(set, c);
    } else {
        conn_stream_untaken(set);
        if (log_allow(&set->overdue_limit, &dropped))
            log_error("A request waited too long for an interpreter: answered "
                      "504 (%u warnings dropped)",
                      dropped);
    }
    if (job->begun || job->sent_bytes > 0) {
        conn_close(set, c);
        return;
    }
    conn_answer(set, c, 504, "");
}

static bool is_safe(uint8_t method)
{
    return method == HTTP_METHOD_GET || method == HTTP_METHOD_HEAD ||
           method == HTTP_METHOD_OPTIONS || method == HTTP_METHOD_TRACE;
}

void conn_on_lost(void *context, struct exchange *x)
{
    struct conn_set *set = context;
    struct conn_job *job = conn_job(set, x);
    struct conn *c = job->conn;

    if (!c) {
        exchange_bury(set->table, x);
        return;
    }
    /* It ends, maybe in the middle of the response: no second one follows. */
    if (c->state == CONN_CLOSING || job->lost) {
        job->lost = true;
        return;
    }
    if (unlikely(job->is_socket)) {
        conn_socket_lost(set, c);
        return;
    }
    if (!(c->inflight & CONN_IN_OUTPUT) && job->sent_bytes == 0 &&
        is_safe(x->request.method_id) && exchange_retry(set->table, x)) {
        stats_add(&set->stats->retried, 1);
        x->ready_ns = set->now_ns;
        c->state = CONN_WAITING;
        conn_deadline(set, c, set->config->request_timeout_ms);
        return;
    }
    job->lost = true;
    stats_add(&set->stats->lost, 1);
    if (c->inflight & CONN_IN_OUTPUT)
        return; /* what is on its way may arrive; then it closes */
    if (job->sent_bytes > 0)
        conn_close(set, c);
    else
        conn_answer(set, c, 502, "");
}
