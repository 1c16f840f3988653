/* SPDX-License-Identifier: MIT */
#include "conn_input.h"

#include "conn_accept.h"
#include "conn_ahead.h"
#include "conn_answer.h"
#include "conn_block.h"
#include "conn_body.h"
#include "conn_close.h"
#include "conn_edge.h"
#include "conn_evict.h"
#include "conn_local.h"
#include "conn_receive.h"
#include "conn_set.h"
#include "conn_skip.h"
#include "conn_socket.h"
#include "conn_stream.h"

#include <string.h>

/* More pipelined input than this stops the receiving. */
#define STASH_PAUSE 65536
/* A head without a line end is looked at again after so many bytes. */
#define LOOK_BYTES 2048

static bool stash_grow(struct conn_set *set, struct conn *c, size_t need)
{
    struct conn_span larger;

    conn_block_get(set, &larger, need, false);
    if (!larger.at)
        return false;
    if (c->stash.at)
        memcpy(larger.at, c->stash.at + c->stash.off, c->stash.len);
    larger.len = c->stash.len;
    conn_block_put(set, &c->stash);
    c->stash = larger;
    return true;
}

bool conn_stash_try(struct conn_set *set, struct conn *c, struct bytes data)
{
    struct conn_span *stash = &c->stash;
    size_t need = stash->len + data.n;

    if (data.n == 0)
        return true;
    if (stash->at && need <= stash->size && stash->off > 0) {
        memmove(stash->at, stash->at + stash->off, stash->len);
        stash->off = 0;
    }
    if (need > stash->size && !stash_grow(set, c, need))
        return false;
    must(stash->at);
    memcpy(stash->at + stash->len, data.p, data.n);
    stash->len = (uint32_t)need;
    return true;
}

void conn_stash(struct conn_set *set, struct conn *c, struct bytes data)
{
    if (!conn_stash_try(set, c, data))
        conn_close(set, c);
}

void conn_stash_drop(struct conn_set *set, struct conn *c, size_t n)
{
    c->stash.off += (uint32_t)n;
    c->stash.len -= (uint32_t)n;
    if (c->stash.len == 0)
        conn_block_put(set, &c->stash);
}

static void job_start(struct conn_set *set, struct conn *c)
{
    struct conn_job *job = conn_job(set, c->x);

    job->conn = c;
    job->head_ns = set->now_ns;
    job->sent_bytes = job->body_from = 0;
    job->parts = 0;
    job->probe_ns = 0;
    job->is_socket = false;
    job->spill = (struct exchange_spill){0};
    job->begun = job->lost = job->handed = false;
    job->kept = 0;
    job->piece = (struct conn_span){0};
    job->files = job->file = NULL;
    job->filing = false;
    job->file_left = 0;
}

/* Copies head and fields into an exchange. False when there is no room. */
static bool exchange_fill(struct conn_set *set, struct conn *c,
                          const char *head, bool edged)
{
    struct exchange *x = exchange_new(set->table);
    struct http_field *fields;
    char *to;

    if (!x)
        return false;
    to = exchange_head_room(set->table, x,
                            set->request.head_len +
                                (edged ? set->edge.text_len : 0));
    fields = exchange_fields_room(
        set->table, x, set->request.field_count + (edged ? set->edge.vars : 0));
    if (!to || !fields) {
        exchange_free(set->table, x);
        return false;
    }
    memcpy(to, head, set->request.head_len);
    memcpy(fields, set->fields,
           set->request.field_count * sizeof(struct http_field));
    x->request = set->request;
    x->peer = c->peer;
    if (unlikely(edged))
        conn_edge_fill(set, x, to, fields);
    x->arrived_ns = c->arrived_ns;
    c->x = x;
    job_start(set, c);
    return true;
}

/* A request of which a proxy or gateway may have something to say. */
static bool is_edged(const struct conn_set *set, const struct conn *c)
{
    return set->request.flags & (HTTP_FORWARDED | HTTP_GATEWAY) ||
           c->flags & CONN_PROXIED;
}

/* A whole head is at data. Returns how much of data is used. */
static size_t on_head(struct conn_set *set, struct conn *c, struct bytes data)
{
    size_t head_len = set->request.head_len;
    bool edged = is_edged(set, c);
    enum http_error error;

    c->flags &= (uint16_t) ~(CONN_FRESH | CONN_EXPECT | CONN_STREAM);
    c->requests++;
    if (unlikely(edged)) {
        error = conn_edge_head(set, c, data.p);
        if (error) {
            conn_refuse(set, c, error, data.p);
            return data.n;
        }
    }
    if (unlikely(set->request.content_length > conn_body_limit(set))) {
        conn_refuse(set, c, HTTP_ERROR_BODY_LIMIT, data.p);
        return data.n;
    }
    if (unlikely(conn_has_local(set)) && conn_local(set, c, data.p))
        return c->flags & CONN_DISCARD ? data.n : head_len;
    if (unlikely(set->request.flags & HTTP_UPGRADE_ASKED) &&
        conn_socket_refuses(set, c, data.p))
        return c->flags & CONN_DISCARD ? data.n : head_len;
    if (unlikely(!exchange_fill(set, c, data.p, edged)) &&
        !(conn_evict(set) && exchange_fill(set, c, data.p, edged))) {
        conn_shed(set, c, data.p);
        return head_len;
    }
    data.p += head_len;
    data.n -= head_len;
    return head_len + conn_body_start(set, c, data);
}

static int parse_http(struct conn_set *set, struct bytes data)
{
    struct http_parser parser = {0};

    return http_parse(&parser, &set->config->limits, data, &set->request,
                      set->fields, set->fields_max);
}

/*
 * uwsgi, or a proxy's header and maybe a request behind it; *ret_skip is the
 * length of that header. Nothing is a request before it is known whose it is.
 */
static int parse_edged(struct conn_set *set, struct conn *c, struct bytes data,
                       size_t *ret_skip)
{
    struct bytes rest = data;
    enum http_error error;

    if (c->flags & CONN_UWSGI)
        return conn_edge_uwsgi(set, c, data);
    error = conn_edge_preface(set, c, &rest);
    if (error || c->flags & CONN_PREFACE)
        return -(int)error;
    *ret_skip = (size_t)(rest.p - data.p);
    return parse_http(set, rest);
}

/* All of a connection's unused input. Returns how much of it is used. */
static size_t parse(struct conn_set *set, struct conn *c, struct bytes data)
{
    size_t skip = 0;
    int rc;

    if (likely(!(c->flags & (CONN_PREFACE | CONN_UWSGI))))
        rc = parse_http(set, data);
    else
        rc = parse_edged(set, c, data, &skip);
    data.p += skip;
    data.n -= skip;
    if (rc == 0 && data.n >= CONN_HEAD_MAX)
        rc = -HTTP_ERROR_FIELD_LIMIT;
    if (rc > CONN_HEAD_MAX)
        rc = -HTTP_ERROR_FIELD_LIMIT;
    if (likely(rc > 0))
        return skip + on_head(set, c, data);
    if (rc < 0) {
        conn_refuse_head(set, c, (enum http_error) - rc, data);
        return skip + data.n;
    }
    if (c->state == CONN_IDLE) {
        c->state = CONN_HEAD;
        conn_deadline(set, c, set->config->header_timeout_ms);
    }
    return skip;
}

/*
 * The parser starts from the head's first byte each time: its state would
 * cost every connection 1.5 KiB of fields. So it is asked only when a line
 * has ended, or a long one may have become too long.
 */
static bool worth_a_look(const struct conn *c, struct bytes data)
{
    return c->flags & CONN_UWSGI || memchr(data.p, '\n', data.n) != NULL ||
           c->stash.len / LOOK_BYTES != (c->stash.len - data.n) / LOOK_BYTES;
}

/* An answer that ends the connection has dropped the stash. */
static void parse_stash(struct conn_set *set, struct conn *c)
{
    size_t used = parse(set, c, conn_stashed(c));

    if (!(c->flags & CONN_DISCARD) && c->state != CONN_CLOSING)
        conn_stash_drop(set, c, used);
}

static void rest_to_stash(struct conn_set *set, struct conn *c,
                          struct bytes data, size_t used)
{
    if (c->flags & CONN_DISCARD || c->state == CONN_CLOSING)
        return;
    data.p += used;
    data.n -= used;
    conn_stash(set, c, data);
}

/* A body that its sender was asked to wait with, and did not. */
static bool is_impatient(const struct conn *c)
{
    uint32_t state;

    if (!c->x || !(c->flags & CONN_EXPECT))
        return false;
    state = atomic_load(&c->x->body_state);
    return state == EXCHANGE_BODY_PENDING || state == EXCHANGE_BODY_WANTED;
}

static void stash_pipelined(struct conn_set *set, struct conn *c,
                            struct bytes data)
{
    bool ahead = is_impatient(c);

    if (unlikely(ahead))
        conn_ahead_put(set, c, data);
    else
        conn_stash(set, c, data);
    if (c->flags & CONN_PAUSED ||
        (ahead ? conn_ahead_bytes(set, c) : c->stash.len) < STASH_PAUSE)
        return;
    c->flags |= CONN_PAUSED;
    if (c->inflight & CONN_IN(CONN_OP_RECV))
        ring_cancel(set->ring, conn_token(c, CONN_OP_RECV));
}

void conn_input(struct conn_set *set, struct conn *c, struct bytes data)
{
    switch ((enum conn_state)c->state) {
    case CONN_PARTING:
        c->state = CONN_IDLE; /* just in time */
        /* fall through */
    case CONN_IDLE:
        if (likely(!(c->flags & CONN_FRESH)))
            stats_observe(&set->stats->gap, set->now_ns - c->arrived_ns);
        c->arrived_ns = set->now_ns;
        rest_to_stash(set, c, data, parse(set, c, data));
        break;
    case CONN_HEAD:
        conn_stash(set, c, data);
        if (c->state == CONN_HEAD && worth_a_look(c, data))
            parse_stash(set, c);
        break;
    case CONN_BODY:
        rest_to_stash(set, c, data, conn_body_feed(set, c, data));
        break;
    case CONN_WAITING:
    case CONN_SENDING:
        if (unlikely(c->flags & CONN_STREAM))
            conn_stream_input(set, c, data);
        else
            stash_pipelined(set, c, data);
        break;
    case CONN_SKIPPING:
        conn_skip_input(set, c, data);
        break;
    case CONN_LINGER:
    case CONN_CLOSING:
        break;
    }
}

static void unpause(struct conn_set *set, struct conn *c)
{
    if (!(c->flags & CONN_PAUSED) || c->stash.len >= STASH_PAUSE)
        return;
    c->flags &= (uint16_t)~CONN_PAUSED;
    conn_receive(set, c);
}

void conn_next(struct conn_set *set, struct conn *c)
{
    c->state = CONN_IDLE;
    c->arrived_ns = set->now_ns;
    if (c->stash.len > 0)
        parse_stash(set, c);
    unpause(set, c);
    if (unlikely(c->flags & CONN_EOF))
        conn_body_end(set, c);
    if (c->state != CONN_IDLE && c->state != CONN_HEAD)
        return;
    if (c->flags & CONN_EOF)
        conn_close(set, c);
    else if (c->state == CONN_IDLE)
        conn_deadline(set, c, conn_idle_ms(set));
}
