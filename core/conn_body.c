/* SPDX-License-Identifier: MIT */
#include "conn_body.h"

#include "conn_ahead.h"
#include "conn_answer.h"
#include "conn_block.h"
#include "conn_input.h"
#include "conn_receive.h"
#include "conn_set.h"
#include "conn_stream.h"
#include "exchange_body.h"

#include <string.h>

/* A body that comes more slowly is not waited for. */
#define BODY_BYTES_PER_S 500U
/* From here on the ring's shared buffers are not used for a body. */
#define LARGE_BODY_BYTES 65536

void conn_hand_over(struct conn_set *set, struct conn *c)
{
    struct exchange *x = c->x;

    x->ready_ns = set->now_ns;
    conn_job(set, x)->handed = true;
    set->handed++;
    c->state = CONN_WAITING;
    conn_deadline(set, c, set->config->request_timeout_ms);
    exchange_ready(set->table, x);
}

static void complete(struct conn_set *set, struct conn *c)
{
    if (!(c->flags & CONN_EXPECT)) {
        conn_hand_over(set, c);
        return;
    }
    exchange_body_done(set->table, c->x, EXCHANGE_BODY_COMPLETE);
    c->state = CONN_WAITING;
    conn_deadline(set, c, set->config->request_timeout_ms);
}

/* Nothing more of the body is wanted: the application has to do without. */
void conn_body_give_up(struct conn_set *set, struct conn *c)
{
    exchange_body_done(set->table, c->x, EXCHANGE_BODY_FAILED);
    c->flags |= CONN_CLOSE | CONN_DISCARD | CONN_UNREAD;
    c->state = CONN_WAITING;
    conn_deadline(set, c, set->config->request_timeout_ms);
}

bool conn_body_is_large(struct conn_set *set, const struct conn *c)
{
    return conn_job(set, c->x)->body_left > LARGE_BODY_BYTES ||
           c->x->body_bytes > LARGE_BODY_BYTES;
}

static void refuse_body(struct conn_set *set, struct conn *c,
                        enum http_error error)
{
    if (c->flags & CONN_EXPECT)
        conn_body_give_up(set, c);
    else
        conn_refuse(set, c, error, NULL);
}

/* The spool is full or broken: not the client's fault. */
static void spool_failed(struct conn_set *set, struct conn *c, int error)
{
    log_error("A request body cannot be stored: %s", strerror(-error));
    if (c->flags & CONN_EXPECT)
        conn_body_give_up(set, c);
    else
        conn_answer(set, c, 503, "");
}

static bool over_limit(const struct conn_set *set, const struct conn *c,
                       uint64_t more)
{
    uint64_t limit = conn_body_limit(set);

    return more > limit - min_u64(limit, c->x->body_bytes);
}

static bool append(struct conn_set *set, struct conn *c, struct bytes data,
                   uint64_t expected)
{
    int error;

    if (over_limit(set, c, data.n)) {
        refuse_body(set, c, HTTP_ERROR_BODY_LIMIT);
        return false;
    }
    error = exchange_body_append(set->table, c->x, data, expected);
    if (error)
        spool_failed(set, c, error);
    return error == 0;
}

static size_t feed_chunked(struct conn_set *set, struct conn *c,
                           struct bytes data)
{
    struct http_chunked *chunked = &conn_job(set, c->x)->chunked;
    size_t used = 0;

    while (used < data.n && !chunked->done) {
        struct bytes rest = {data.p + used, data.n - used};
        struct bytes run;
        int n = http_chunked_next(chunked, rest, &run);

        if (n < 0) {
            refuse_body(set, c, (enum http_error) - n);
            return data.n;
        }
        if (run.n > 0 && !append(set, c, run, 0))
            return data.n;
        if (over_limit(set, c, chunked->left)) {
            refuse_body(set, c, HTTP_ERROR_BODY_LIMIT);
            return data.n;
        }
        used += (size_t)n;
    }
    if (chunked->done)
        complete(set, c);
    return used;
}

static size_t feed_length(struct conn_set *set, struct conn *c,
                          struct bytes data)
{
    struct conn_job *job = conn_job(set, c->x);

    data.n = min_u64(data.n, job->body_left);
    if (data.n > 0 && !append(set, c, data, c->x->request.content_length))
        return SIZE_MAX;
    job->body_left -= data.n;
    if (job->body_left == 0)
        complete(set, c);
    return data.n;
}

/* A multishot receive has to end before a large one may begin. */
static void switch_receive(struct conn_set *set, struct conn *c)
{
    if (c->state != CONN_BODY || !(c->inflight & CONN_IN(CONN_OP_RECV)) ||
        c->flags & CONN_CANCELLING || !conn_body_is_large(set, c))
        return;
    c->flags |= CONN_CANCELLING;
    ring_cancel(set->ring, conn_token(c, CONN_OP_RECV));
}

void conn_body_clock(struct conn_set *set, struct conn *c)
{
    conn_job(set, c->x)->pace = 0;
    conn_deadline(set, c, set->config->body_timeout_ms);
}

void conn_body_keep_pace(struct conn_set *set, struct conn *c, size_t n)
{
    struct conn_job *job = conn_job(set, c->x);

    job->pace += n;
    if (job->pace >=
        (uint64_t)set->config->body_timeout_ms * BODY_BYTES_PER_S / 1000)
        conn_body_clock(set, c);
}

size_t conn_body_feed(struct conn_set *set, struct conn *c, struct bytes data)
{
    size_t used;

    conn_body_keep_pace(set, c, data.n);
    if (c->x->request.flags & HTTP_CHUNKED)
        used = feed_chunked(set, c, data);
    else
        used = feed_length(set, c, data);
    switch_receive(set, c);
    return min_u64(used, data.n);
}

static size_t start_reading(struct conn_set *set, struct conn *c,
                            struct bytes rest)
{
    c->state = CONN_BODY;
    conn_body_clock(set, c);
    return conn_body_feed(set, c, rest);
}

size_t conn_body_start(struct conn_set *set, struct conn *c, struct bytes rest)
{
    const struct http_request *request = &c->x->request;
    struct conn_job *job = conn_job(set, c->x);

    job->body_left = request->content_length;
    if (likely(job->body_left == 0 && !(request->flags & HTTP_CHUNKED))) {
        conn_hand_over(set, c);
        return 0;
    }
    memset(&job->chunked, 0, sizeof(job->chunked));
    /* A client that sends its body at once did not mean to be asked. */
    if (!(request->flags & HTTP_EXPECT_100) || rest.n > 0)
        return conn_stream_wants(set, c, rest) ? conn_stream_start(set, c, rest)
                                               : start_reading(set, c, rest);
    c->flags |= CONN_EXPECT;
    atomic_store(&c->x->body_state, EXCHANGE_BODY_PENDING);
    conn_hand_over(set, c);
    return 0;
}

static size_t start_wanted(struct conn_set *set, struct conn *c,
                           struct bytes rest)
{
    if (atomic_load(&set->table->board->streams))
        return conn_stream_start(set, c, rest);
    return start_reading(set, c, rest);
}

/* The stash becomes the body's start; what does not fit stays in it. */
static void start_stashed(struct conn_set *set, struct conn *c)
{
    struct conn_span stash = c->stash;
    struct bytes stashed = conn_stashed(c);
    size_t used;

    c->stash = (struct conn_span){0};
    c->flags &= (uint16_t)~CONN_PAUSED;
    used = start_wanted(set, c, stashed);
    if (!(c->flags & CONN_DISCARD) && c->state != CONN_CLOSING)
        conn_stash(set, c, (struct bytes){stashed.p + used, stashed.n - used});
    conn_block_put(set, &stash);
}

/* And what lies behind it. */
static void go_on_stashed(struct conn_set *set, struct conn *c)
{
    if (c->flags & CONN_STREAM) {
        conn_stream_progress(set, c);
        return;
    }
    while (c->state == CONN_BODY && conn_ahead_pull(set, c)) {
        size_t used = conn_body_feed(set, c, conn_stashed(c));

        if (!(c->flags & CONN_DISCARD))
            conn_stash_drop(set, c, used);
    }
    if (c->state == CONN_WAITING && !(c->flags & CONN_DISCARD))
        conn_ahead_settle(set, c);
}

static void send_continue(struct conn_set *set, struct conn *c)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

    c->iov = (struct iovec){(void *)(uintptr_t)go_on, sizeof(go_on) - 1};
    c->sending = sizeof(go_on) - 1;
    c->inflight |= CONN_IN(CONN_OP_SEND);
    ring_send(set->ring, c->fd, &c->iov, 1, conn_token(c, CONN_OP_SEND));
}

void conn_body_wanted(struct conn_set *set, struct conn *c)
{
    if (c->flags & CONN_DISCARD || c->inflight & CONN_IN_OUTPUT ||
        (c->flags & CONN_EOF && !conn_ahead(set, c))) {
        conn_body_give_up(set, c);
        return;
    }
    if (!conn_ahead(set, c)) {
        send_continue(set, c);
        start_wanted(set, c, (struct bytes){"", 0});
        return;
    }
    if (c->stash.len == 0 && !conn_ahead_pull(set, c))
        return;
    start_stashed(set, c);
    if (c->x && c->state != CONN_CLOSING)
        go_on_stashed(set, c);
    if (c->flags & CONN_EOF && c->x && c->state != CONN_CLOSING)
        conn_body_end(set, c);
    conn_receive(set, c);
}

/* The exchange is lent to it; its last event comes back to the failure. */
static void end_receive(struct conn_set *set, struct conn *c)
{
    if (c->flags & CONN_CANCELLING)
        return;
    c->flags |= CONN_CANCELLING;
    wheel_remove(&set->wheel, &c->timer);
    ring_cancel(set->ring, conn_token(c, CONN_OP_INTO));
}

void conn_body_failed(struct conn_set *set, struct conn *c)
{
    if (c->flags & CONN_EXPECT)
        conn_body_give_up(set, c);
    else if (c->inflight & CONN_IN(CONN_OP_INTO))
        end_receive(set, c);
    else if (c->flags & CONN_EOF) /* it may only have closed its half */
        conn_refuse(set, c, HTTP_ERROR_BODY_SHORT, NULL);
    else
        conn_answer(set, c, 408, "");
}

void conn_body_end(struct conn_set *set, struct conn *c)
{
    if (c->state == CONN_BODY)
        conn_body_failed(set, c);
    else if (c->x && c->flags & CONN_STREAM)
        conn_stream_end(set, c);
}
