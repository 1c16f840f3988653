/* SPDX-License-Identifier: MIT */
#include "board.h"
#include "board_interp.h"
#include "conn_late.h"
#include "conn_steps.h"
#include "exchange_request.h"
#include "exchange_word.h"

#include <string.h>

/* What the access log and the answer have to know of a request. */
struct question {
    const struct http_request *request; /* NULL: there was no valid one */
    const char *head;
    const struct http_field *fields;
};

static const char *date_now(struct conn_set *set)
{
    time_t now = time(NULL);

    if ((uint64_t)now != set->date_s) {
        set->date_s = (uint64_t)now;
        http_date(set->date, now);
    }
    return set->date;
}

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
                                           const struct question *q)
{
    if (c->x)
        return &c->x->peer;
    if (q->request == &set->request &&
        set->request.flags & (HTTP_FORWARDED | HTTP_GATEWAY))
        return &set->edge.peer;
    return &c->peer;
}

/* False: there is no line to be written. */
static bool fill_entry(const struct conn_set *set, const struct conn *c,
                       const struct question *q, struct access_entry *entry)
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

static void add_line(struct conn_set *set, const struct conn *c,
                     const struct question *q, struct access_entry *entry)
{
    if (fill_entry(set, c, q, entry))
        access_log_add(set->log, entry, set->now_ns);
}

static struct question question_of(struct conn_set *set, struct conn *c)
{
    if (!c->x)
        return (struct question){0};
    return (struct question){&c->x->request,
                             exchange_head(&set->table->arena, c->x),
                             exchange_fields(&set->table->arena, c->x)};
}

static int interp_pid(struct conn_set *set, const struct exchange *x)
{
    uint32_t interp = exchange_word_interp(
        atomic_load_explicit(&x->word, memory_order_relaxed));

    if (interp >= set->table->board->interp_slots)
        return 0;
    return atomic_load_explicit(&board_interp(set->table->board, interp)->pid,
                                memory_order_relaxed);
}

void conn_log(struct conn_set *set, struct conn *c, int status, uint64_t bytes)
{
    const struct conn_job *job = conn_job(set, c->x);
    struct question q = question_of(set, c);
    struct access_entry entry = {
        .status = status,
        .bytes = bytes,
        .pid = interp_pid(set, c->x),
        .duration_ns = set->now_ns - job->head_ns,
        .response_head = {conn_kept_head(set, c->x), job->kept},
    };

    add_line(set, c, &q, &entry);
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

static struct bytes extra_of(int status)
{
    if (status == 503)
        return BYTES("Retry-After: 1\r\n");
    return BYTES("");
}

/* A response to HEAD ends with its head. */
static size_t head_end(const char *page, size_t len)
{
    const char *end = memmem(page, len, "\r\n\r\n", 4);

    return end ? (size_t)(end - page) + 4 : len;
}

/* "Connection: close" becomes the other. There is room: a page is small. */
static size_t say_keep_alive(char *page, size_t len)
{
    static const char close[] = "Connection: close";
    static const char alive[] = "Connection: keep-alive";
    size_t from = sizeof(close) - 1;
    size_t to = sizeof(alive) - 1;
    char *at = memmem(page, len, close, from);

    must(at);
    memmove(at + to, at + from, len - (size_t)(at + from - page));
    memcpy(at, alive, to);
    return len + to - from;
}

/* Nothing forbids another request on the connection. */
static bool keeps(const struct conn_set *set, const struct conn *c,
                  const struct http_request *request)
{
    return request->flags & HTTP_KEEP_ALIVE &&
           !(c->flags & (CONN_CLOSE | CONN_EXPECT)) && !set->drain_until_ns &&
           set->config->keepalive_ms != 0;
}

/* Nothing is wrong with the peer, and all it said has been read. */
static bool may_go_on(struct conn_set *set, const struct conn *c, int status,
                      const struct question *q)
{
    if (status < 502 || status > 504 || !q->request ||
        !keeps(set, c, q->request))
        return false;
    if (c->x)
        return conn_job(set, c->x)->handed;
    return !http_has_body(q->request);
}

/* What the peer still sends is of no use when its answer is the last. */
static void settle_close(struct conn_set *set, struct conn *c)
{
    if (!(c->flags & CONN_CLOSE))
        return;
    conn_block_put(set, &c->stash);
    c->flags |= CONN_DISCARD | CONN_UNREAD;
    c->flags &= (uint16_t) ~(CONN_PAUSED | CONN_EXPECT);
}

/* Writes the page; returns its length. *ret_body is the body's. */
static size_t make_page(struct conn_set *set, struct conn *c, int status,
                        const char *text, const struct question *q,
                        size_t *ret_body)
{
    char *page = c->page.at;
    int rc = http_error_response(page, c->page.size, status, extra_of(status),
                                 bytes_of(text), date_now(set));
    size_t len = (size_t)rc;
    size_t end;

    must(rc > 0);
    if (may_go_on(set, c, status, q))
        len = say_keep_alive(page, len);
    else
        c->flags |= CONN_CLOSE;
    end = head_end(page, len);
    if (q->request && q->request->method_id == HTTP_METHOD_HEAD)
        len = end;
    *ret_body = len - end;
    return len;
}

/* The exchange, if there is one, ends; q may point into it. */
static void answer(struct conn_set *set, struct conn *c, int status,
                   const char *text, const struct question *q)
{
    struct access_entry entry = {.status = status};
    size_t len;

    conn_block_get(set, &c->page, 1, false);
    if (!c->page.at || c->inflight & (CONN_IN_OUTPUT | CONN_IN(CONN_OP_INTO))) {
        conn_close(set, c);
        return;
    }
    len = make_page(set, c, status, text, q, &entry.bytes);
    entry.duration_ns = set->now_ns - c->arrived_ns;
    add_line(set, c, q, &entry);
    conn_count_status(set, status);
    if (c->x)
        conn_let_go(set, c, status == 504 ? EXCHANGE_OVERDUE : 0);
    settle_close(set, c);
    conn_send_page(set, c, len);
}

void conn_answer(struct conn_set *set, struct conn *c, int status,
                 const char *text)
{
    struct question q = question_of(set, c);

    answer(set, c, status, text, &q);
}

size_t conn_reply_make(struct conn_set *set, struct conn *c, const char *head,
                       const struct conn_reply *reply)
{
    struct question q = {&set->request, head, set->fields};
    struct access_entry entry = {.status = reply->status};
    bool is_head = set->request.method_id == HTTP_METHOD_HEAD;
    size_t room = HTTP_REPLY_HEAD_MAX + reply->fields.n + reply->body.n;
    struct http_reply what = {reply->status, reply->fields, reply->length,
                              date_now(set), false};
    size_t len;

    conn_block_get(set, &c->page, room, false);
    if (!c->page.at) {
        conn_close(set, c);
        return 0;
    }
    if (http_has_body(&set->request) || !keeps(set, c, &set->request))
        c->flags |= CONN_CLOSE;
    what.keep_alive = !(c->flags & CONN_CLOSE);
    len = http_reply_head(c->page.at, &what);
    if (!is_head && reply->body.n > 0) {
        memcpy(c->page.at + len, reply->body.p, reply->body.n);
        len += reply->body.n;
    }
    entry.bytes = is_head ? 0 : reply->length;
    entry.duration_ns = set->now_ns - c->arrived_ns;
    if (reply->late && fill_entry(set, c, &q, &entry))
        conn_late_keep(reply->late, &entry);
    else if (!reply->quiet)
        add_line(set, c, &q, &entry);
    conn_count_status(set, reply->status);
    settle_close(set, c);
    return len;
}

void conn_reply(struct conn_set *set, struct conn *c, const char *head,
                const struct conn_reply *reply)
{
    size_t len = conn_reply_make(set, c, head, reply);

    if (len > 0)
        conn_send_page(set, c, len);
}

void conn_reply_page(struct conn_set *set, struct conn *c, const char *head,
                     int status, struct bytes fields)
{
    static const char type[] = "Content-Type: text/html\r\n";
    struct conn_reply reply = {.status = status};
    char all[256];
    char page[512];
    int n = http_error_page(page, sizeof(page), status, BYTES(""));

    must(n > 0 && fields.n < sizeof(all) - sizeof(type));
    memcpy(all, type, sizeof(type) - 1);
    if (fields.n > 0)
        memcpy(all + sizeof(type) - 1, fields.p, fields.n);
    reply.fields = (struct bytes){all, sizeof(type) - 1 + fields.n};
    reply.body = (struct bytes){page, (size_t)n};
    reply.length = reply.body.n;
    conn_reply(set, c, head, &reply);
}

void conn_answered(struct conn_set *set, struct conn *c)
{
    if (unlikely(c->transfer) && conn_static_next(set, c))
        return;
    conn_block_put(set, &c->page);
    if (c->flags & CONN_CLOSE)
        conn_linger(set, c);
    else
        conn_next(set, c);
}

void conn_refuse(struct conn_set *set, struct conn *c, enum http_error error,
                 const char *head)
{
    struct question q = {&set->request, head, set->fields};
    uint32_t dropped;

    if (c->x)
        q = question_of(set, c);
    c->flags |= CONN_CLOSE;
    stats_add(&set->stats->bad_requests, 1);
    if (log_allow(&set->refuse_limit, &dropped))
        log_warning("Invalid request from ip=%.*s: %s%s", c->peer.addr_len,
                    c->peer.addr, http_error_text(error),
                    dropped ? " (and others)" : "");
    answer(set, c, http_error_status(error), http_error_text(error), &q);
}

/* Some bytes up to the next blank or the end. */
static struct http_span word(struct bytes line, uint32_t from)
{
    uint32_t to = from;

    while (to < line.n && line.p[to] != ' ')
        to++;
    return (struct http_span){from, to - from};
}

/* What a line that is no request line shows of itself in the access log. */
#define SHOWN_BYTES 1024

void conn_refuse_head(struct conn_set *set, struct conn *c,
                      enum http_error error, struct bytes data)
{
    struct http_request *request = &set->request;
    struct bytes line = {data.p, min_u64(data.n, SHOWN_BYTES)};
    uint32_t n = 0;

    while (n < line.n && line.p[n] != '\r' && line.p[n] != '\n')
        n++;
    line.n = n;
    *request = (struct http_request){.head_len = n};
    request->method = word(line, 0);
    n = (uint32_t)min_u64(request->method.len + 1, n);
    request->target = request->path = word(line, n);
    n = (uint32_t)min_u64(n + request->target.len + 1, line.n);
    request->version = (struct http_span){n, (uint32_t)line.n - n};
    conn_refuse(set, c, error, data.p);
}

void conn_shed(struct conn_set *set, struct conn *c, const char *head)
{
    struct question q = {&set->request, head, set->fields};
    uint32_t dropped;

    stats_add(&set->stats->shed, 1);
    if (log_allow(&set->shed_limit, &dropped))
        log_warning("No room for more requests: answered 503 (%u in "
                    "progress, %u warnings dropped)",
                    set->handed, dropped);
    answer(set, c, 503, "", &q);
}

/* The interpreter that has the request, or NULL. */
static struct board_interp *taker_of(const struct conn_set *set,
                                     const struct conn *c)
{
    struct board *board = set->table->board;
    uint32_t slot = exchange_word_interp(atomic_load(&c->x->word));

    return slot < board->interp_slots ? board_interp(board, slot) : NULL;
}

static void say_timeout(struct conn_set *set, struct conn *c, const char *then)
{
    char name[1100];

    exchange_name(&set->table->arena, c->x, name, sizeof(name));
    log_critical("WORKER TIMEOUT (pid:%d) %s%s", interp_pid(set, c->x), name,
                 then);
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
    struct board_interp *taker = taker_of(set, c);

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
    struct board_interp *taker = taker_of(set, c);

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
