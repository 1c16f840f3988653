/* SPDX-License-Identifier: MIT */
#include "conn_log.h"

#include "board_interp.h"
#include "conn_set.h"
#include "exchange_request.h"

static void add_work(const struct exchange *x, struct access_entry *entry)
{
    entry->queue_ns = conn_between(x->ready_ns, x->started_ns);
    entry->app_ns = conn_between(x->started_ns, x->finished_ns);
    entry->cpu_ns = x->cpu_ns;
    entry->bytes_in += x->body_bytes;
}

/* Whose request it was: the client of those in front, if they named one. */
static const struct exchange_peer *peer_of(const struct conn_set *set,
                                           const struct conn *c,
                                           const struct conn_question *q)
{
    if (c->x)
        return &c->x->peer;
    if (q->request == &set->request &&
        set->request.flags & (HTTP_FORWARDED | HTTP_GATEWAY))
        return &set->edge.peer;
    return &c->peer;
}

/* False: there is no line to be written. */
bool conn_log_fill(const struct conn_set *set, const struct conn *c,
                   const struct conn_question *q, struct access_entry *entry)
{
    if (!set->log || !q->request || !q->head || !q->fields)
        return false;
    entry->request = q->request;
    entry->head = q->head;
    entry->fields = q->fields;
    entry->peer = peer_of(set, c, q);
    entry->proxy = &c->peer;
    entry->connection = (c->token & 0xffffffff) << 24 | c->token >> 32;
    entry->number = c->requests;
    entry->bytes_in = q->request->head_len;
    if (c->x)
        add_work(c->x, entry);
    return true;
}

void conn_log_add(struct conn_set *set, const struct conn *c,
                  const struct conn_question *q, struct access_entry *entry)
{
    if (conn_log_fill(set, c, q, entry))
        access_log_add(set->log, entry, set->now_ns);
}

struct conn_question conn_question(struct conn_set *set, const struct conn *c)
{
    if (!c->x)
        return (struct conn_question){0};
    return (struct conn_question){&c->x->request,
                                  exchange_head(&set->table->arena, c->x),
                                  exchange_fields(&set->table->arena, c->x)};
}

static int taker_pid(struct conn_set *set, const struct exchange *x)
{
    const struct board_interp *taker = exchange_taker(set->table, x);

    return taker ? atomic_load_explicit(&taker->pid, memory_order_relaxed) : 0;
}

void conn_log(struct conn_set *set, struct conn *c, int status, uint64_t bytes)
{
    const struct conn_job *job = conn_job(set, c->x);
    struct conn_question q = conn_question(set, c);
    struct access_entry entry = {
        .status = status,
        .bytes = bytes,
        .pid = taker_pid(set, c->x),
        .duration_ns = set->now_ns - job->head_ns,
        .response_head = {conn_kept_head(set, c->x), job->kept},
    };

    conn_log_add(set, c, &q, &entry);
}

void conn_count_status(struct conn_set *set, int status)
{
    _Atomic uint64_t *class[] = {
        &set->stats->status_1xx, &set->stats->status_2xx,
        &set->stats->status_3xx, &set->stats->status_4xx,
        &set->stats->status_5xx};

    stats_add(&set->stats->requests, 1);
    if (status >= 100 && status < 600)
        stats_add(class[status / 100 - 1], 1);
}

/* What nginx has made known: the peer left before there was an answer. */
#define STATUS_LEFT 499

void conn_log_cut(struct conn_set *set, struct conn *c)
{
    const struct conn_job *job = conn_job(set, c->x);
    int status = job->begun ? (int)c->x->status : STATUS_LEFT;
    uint64_t body = conn_between(job->body_from, job->sent_bytes);

    if (unlikely(job->is_socket))
        return; /* has its line when it is let go */
    conn_count_status(set, status);
    conn_log(set, c, status, body);
}

void conn_account(struct conn_set *set, struct conn *c, uint64_t bytes)
{
    const struct exchange *x = c->x;
    struct stats *stats = set->stats;

    conn_count_status(set, (int)x->status);
    stats_observe(&stats->latency,
                  conn_between(conn_job(set, x)->head_ns, set->now_ns));
    stats_observe(&stats->queue, conn_between(x->ready_ns, x->started_ns));
    stats_observe(&stats->service, conn_between(x->started_ns, x->finished_ns));
    if (unlikely(x->cpu_ns != 0))
        stats_observe(&stats->cpu, x->cpu_ns);
    if (set->log)
        conn_log(set, c, (int)x->status, bytes);
}
