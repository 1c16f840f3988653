/* SPDX-License-Identifier: MIT */
#include "conn_output.h"

#include "conn_answer.h"
#include "conn_body.h"
#include "conn_close.h"
#include "conn_file.h"
#include "conn_input.h"
#include "conn_log.h"
#include "conn_set.h"
#include "conn_skip.h"
#include "conn_socket.h"
#include "conn_static.h"
#include "exchange_part.h"

#include <string.h>

static uint32_t add_run(struct conn_job *job, uint32_t count, const char *bytes,
                        uint32_t len)
{
    struct iovec *last = &job->iov[count > 0 ? count - 1 : 0];

    if (len == 0)
        return count;
    if (count > 0 && (const char *)last->iov_base + last->iov_len == bytes) {
        last->iov_len += len;
        return count;
    }
    job->iov[count] = (struct iovec){(void *)(uintptr_t)bytes, len};
    return count + 1;
}

/*
 * Collects the bytes that are published up to the next file. Returns how many
 * runs they are, or -EBADMSG. A file in front is left to the caller.
 */
static int gather(struct conn_set *set, struct conn *c,
                  struct exchange_part *ret_file)
{
    struct conn_job *job = conn_job(set, c->x);
    struct exchange_part part;
    uint32_t count = 0;
    const char *bytes;
    int rc = 0;

    job->parts = 0;
    c->sending = 0;
    ret_file->file_len = 0;
    ret_file->kind = EXCHANGE_PART_BYTES;
    while (count < CONN_IOVECS) {
        rc = exchange_part_next(set->table, c->x, job->parts, &part, &bytes);
        if (rc <= 0)
            break;
        if (unlikely(part.kind != EXCHANGE_PART_BYTES)) {
            *ret_file = part;
            break;
        }
        count = add_run(job, count, bytes, part.len);
        c->sending += part.len;
        job->parts++;
    }
    return rc < 0 ? rc : (int)count;
}

/*
 * The interpreter wrote "keep-alive" because the request allowed it. When the
 * worker has to close, it says so in the same number of bytes.
 */
static void say_close(const struct exchange *x, const struct iovec *first)
{
    static const char alive[] = "keep-alive";
    static const char close[] = "close     ";
    uint32_t off = x->connection_off;
    size_t len = sizeof(alive) - 1;
    char *at = (char *)first->iov_base + off;

    if (off == 0 || first->iov_len < len || off > first->iov_len - len ||
        memcmp(at, alive, len) != 0)
        return;
    memcpy(at, close, len);
}

static size_t head_bytes(const struct iovec *first)
{
    static const char end[] = "\r\n\r\n";
    const char *at = memmem(first->iov_base, first->iov_len, end, 4);

    return at ? (size_t)(at - (const char *)first->iov_base) + 4 : 0;
}

/* A body that the application has not read, and will not be read for it. */
static bool is_unread(struct conn_set *set, const struct conn *c)
{
    if (likely(!(c->flags & CONN_EXPECT)) ||
        atomic_load(&c->x->body_state) == EXCHANGE_BODY_COMPLETE)
        return false;
    if (c->flags & CONN_STREAM && !exchange_is_done(c->x))
        return false; /* it still may */
    return !conn_skip_may(set, c);
}

/* The head of the final response is about to go out. */
static void begin(struct conn_set *set, struct conn *c)
{
    struct conn_job *job = conn_job(set, c->x);

    job->begun = true;
    if (!(c->x->request.flags & HTTP_KEEP_ALIVE) || set->drain_until_ns ||
        set->config->keepalive_ms == 0 || is_unread(set, c))
        c->flags |= CONN_CLOSE;
    if (c->flags & CONN_CLOSE)
        say_close(c->x, &job->iov[0]);
    if (set->log)
        job->body_from = job->sent_bytes + head_bytes(&job->iov[0]);
    if (unlikely(set->log && access_log_wants_response(set->log))) {
        job->kept = (uint16_t)min_u64(job->iov[0].iov_len, CONN_KEPT_HEAD);
        memcpy(conn_kept_head(set, c->x), job->iov[0].iov_base, job->kept);
    }
}

static void send_runs(struct conn_set *set, struct conn *c, uint32_t count)
{
    struct conn_job *job = conn_job(set, c->x);

    if (unlikely(!job->begun) && c->x->status != 0)
        begin(set, c);
    c->state = CONN_SENDING;
    c->inflight |= CONN_IN(CONN_OP_SEND);
    conn_deadline(set, c, set->config->send_timeout_ms);
    ring_send(set->ring, c->fd, job->iov, count, conn_token(c, CONN_OP_SEND));
}

void conn_send_page(struct conn_set *set, struct conn *c, size_t len)
{
    c->state = CONN_SENDING;
    c->iov = (struct iovec){c->page.at, len};
    c->sending = (uint32_t)len;
    c->inflight |= CONN_IN(CONN_OP_SEND);
    conn_deadline(set, c, set->config->send_timeout_ms);
    ring_send(set->ring, c->fd, &c->iov, 1, conn_token(c, CONN_OP_SEND));
}

/* A reset would destroy what is on its way, if the peer still sends. */
static void end(struct conn_set *set, struct conn *c)
{
    if (c->flags & CONN_UNREAD || c->stash.len > 0)
        conn_linger(set, c);
    else
        conn_close(set, c);
}

/* The response is sent and the application has let go. */
static void finish(struct conn_set *set, struct conn *c)
{
    struct exchange *x = c->x;
    bool broken = x->out_flags & EXCHANGE_OUT_BROKEN || x->status == 0;
    bool over = c->flags & CONN_CLOSE || x->out_flags & EXCHANGE_OUT_CLOSE;

    conn_account(set, c, x->out_bytes);
    if (unlikely(c->flags & CONN_EXPECT) &&
        atomic_load(&x->body_state) != EXCHANGE_BODY_COMPLETE) {
        if (!broken && !over && conn_skip_may(set, c)) {
            conn_skip_start(set, c);
            return;
        }
        c->flags |= CONN_UNREAD;
        over = true;
    }
    conn_let_go(set, c, 0);
    if (unlikely(broken))
        conn_close(set, c);
    else if (over)
        end(set, c);
    else
        conn_next(set, c);
}

/* Nothing to send now: the interpreter's turn, unless it has let go. */
static void idle_output(struct conn_set *set, struct conn *c)
{
    if (exchange_is_over(c->x)) {
        finish(set, c);
    } else if (c->state == CONN_SENDING) {
        c->state = CONN_WAITING;
        conn_deadline(set, c, set->config->request_timeout_ms);
    }
}

/* False when the next thing happens after an event. */
static bool step(struct conn_set *set, struct conn *c)
{
    struct exchange_part file;
    int rc = gather(set, c, &file);

    if (rc > 0) {
        send_runs(set, c, (uint32_t)rc);
        return false;
    }
    if (rc == 0 && conn_job(set, c->x)->parts > 0) { /* empty ones */
        exchange_parts_sent(set->table, c->x, conn_job(set, c->x)->parts);
        return true;
    }
    if (rc == 0 && file.kind != EXCHANGE_PART_BYTES) {
        rc = conn_file_start(set, c, &file);
        if (rc == 0)
            exchange_parts_sent(set->table, c->x, 1);
        if (rc >= 0)
            return rc == 0;
    } else if (rc == 0) {
        idle_output(set, c);
        return false;
    }
    log_error("A response cannot be sent: %s", strerror(-rc));
    conn_close(set, c);
    return false;
}

static bool has_response(struct conn_set *set, struct conn *c)
{
    struct exchange_part part;
    const char *bytes;

    return exchange_part_next(set->table, c->x, 0, &part, &bytes) != 0 ||
           exchange_is_over(c->x);
}

/* Since its first part, which says so. */
static bool is_socket(struct conn_set *set, const struct conn *c)
{
    const struct conn_job *job = conn_job(set, c->x);

    return job->is_socket ||
           (c->x->out_flags & EXCHANGE_OUT_SOCKET && !job->begun);
}

void conn_respond(struct conn_set *set, struct conn *c)
{
    if (c->inflight & CONN_IN_OUTPUT || c->state == CONN_CLOSING)
        return;
    if (unlikely(c->state == CONN_BODY)) {
        /* It answers without the body it had asked for. */
        if (!(c->flags & CONN_EXPECT) || !has_response(set, c))
            return;
        conn_body_give_up(set, c);
    }
    if (unlikely(is_socket(set, c))) {
        conn_socket_respond(set, c);
        return;
    }
    while (step(set, c))
        ;
}

static void count_sent(struct conn_set *set, const struct conn *c, uint32_t n)
{
    struct conn_job *job = c->x ? conn_job(set, c->x) : NULL;

    stats_add(&set->stats->bytes_out, n);
    if (unlikely(c->transfer))
        c->transfer->sent += n;
    if (job && (job->parts > 0 || job->filing))
        job->sent_bytes += n;
}

void conn_on_sent(struct conn_set *set, struct conn *c, int result)
{
    struct conn_job *job;

    c->inflight &= (uint8_t)~CONN_IN(CONN_OP_SEND);
    if (result > 0)
        count_sent(set, c, (uint32_t)result);
    if (c->state == CONN_CLOSING)
        return;
    if (unlikely(result < 0 || (uint32_t)result < c->sending)) {
        conn_close(set, c);
        return;
    }
    if (unlikely(!c->x)) { /* an answer of our own */
        conn_answered(set, c);
        return;
    }
    job = conn_job(set, c->x);
    if (unlikely(job->is_socket)) {
        conn_socket_sent(set, c);
        return;
    }
    if (unlikely(job->lost)) {
        conn_close(set, c);
        return;
    }
    if (unlikely(job->filing) && conn_file_next(set, c))
        return;
    if (job->parts > 0) /* else it was "100 Continue" */
        exchange_parts_sent(set->table, c->x, job->parts);
    job->parts = 0;
    conn_respond(set, c);
}
