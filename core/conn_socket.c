/* SPDX-License-Identifier: MIT */
#include "conn_steps.h"

#include <string.h>

/*
 * A connection that became a WebSocket: its frames are taken apart here, and
 * messages, pings and the close go as notes through the stream of bytes to
 * the interpreter, which writes the frames that answer.
 */

#define PIECE_BYTES 4096
/* A note, a control frame's payload, and some. */
#define SPACE_MIN 256

static bool put(struct exchange_stream *stream, const void *from, size_t n)
{
    const char *p = from;

    while (n > 0) {
        char *to;
        size_t room = min_u64(n, exchange_stream_room(stream, &to));

        if (room == 0)
            return false;
        memcpy(to, p, room);
        exchange_stream_wrote(stream, room);
        p += room;
        n -= room;
    }
    return true;
}

static void note(struct conn_set *set, struct conn *c,
                 const struct exchange_note *what, const void *payload)
{
    struct exchange_stream *stream = &conn_job(set, c->x)->stream;

    if (put(stream, what, sizeof(*what)) && put(stream, payload, what->len))
        return;
    log_warning("No memory for a WebSocket's message: closing it");
    conn_close(set, c);
}

/* Nothing that comes now is looked at. */
static void stop(struct conn_set *set, struct conn *c)
{
    c->flags |= CONN_DISCARD;
    c->flags &= (uint16_t) ~(CONN_STREAM | CONN_PAUSED);
    conn_block_put(set, &c->stash);
}

static void take_control(struct conn_set *set, struct conn *c,
                         const struct ws_event *event)
{
    const struct ws_parser *parser = &conn_job(set, c->x)->socket;
    uint32_t skip = event->opcode == WS_CLOSE && parser->control_len ? 2 : 0;
    struct exchange_note what = {
        .len = parser->control_len - skip,
        .kind = (uint8_t)event->opcode,
        .last = 1,
        .code = event->code,
    };

    if (event->opcode == WS_PONG)
        return;
    note(set, c, &what, parser->control + skip);
    if (event->opcode == WS_CLOSE)
        stop(set, c);
}

static size_t feed(struct conn_set *set, struct conn *c, struct bytes data)
{
    struct conn_job *job = conn_job(set, c->x);
    char piece[PIECE_BYTES];
    size_t used = 0;

    while (used < data.n && c->flags & CONN_STREAM &&
           c->state != CONN_CLOSING) {
        struct bytes rest = {data.p + used, data.n - used};
        size_t space = exchange_stream_space(&job->stream, SPACE_MIN);
        struct ws_event event;
        int n;

        if (space == 0)
            break;
        n = ws_next(&job->socket, rest, piece,
                    min_u64(sizeof(piece), space - SPACE_MIN / 2), &event);
        if (n < 0) {
            struct exchange_note what = {.kind = EXCHANGE_NOTE_FAILED,
                                         .code = (uint16_t)-n};

            note(set, c, &what, "");
            stop(set, c);
            return data.n;
        }
        used += (size_t)n;
        if (event.kind == WS_EVENT_DATA) {
            struct exchange_note what = {.len = (uint32_t)event.bytes,
                                         .kind = (uint8_t)event.opcode,
                                         .last = event.last};

            note(set, c, &what, piece);
        } else if (event.kind == WS_EVENT_CONTROL) {
            take_control(set, c, &event);
        }
    }
    return used;
}

size_t conn_socket_feed(struct conn_set *set, struct conn *c, struct bytes data)
{
    size_t used = feed(set, c, data);

    conn_job(set, c->x)->pinged = false;
    if (used > 0)
        exchange_attend(set->table, c->x);
    return used;
}

void conn_socket_begin(struct conn_set *set, struct conn *c)
{
    struct conn_job *job = conn_job(set, c->x);

    job->is_socket = true;
    job->pinged = false;
    job->socket = (struct ws_parser){.max_bytes = set->config->socket_max};
    c->flags |= CONN_CLOSE | CONN_UNREAD | CONN_STREAM;
    exchange_stream_begin(&job->stream, set->table, c->x);
}

uint32_t conn_socket_wait(struct conn_set *set, const struct conn *c)
{
    const struct conn_job *job = conn_job(set, c->x);

    if (likely(!job->is_socket))
        return set->config->request_timeout_ms;
    return job->pinged ? set->config->socket_ping_timeout_ms
                       : set->config->socket_ping_ms;
}

void conn_socket_timeout(struct conn_set *set, struct conn *c)
{
    struct conn_job *job = conn_job(set, c->x);
    struct exchange_note what = {.kind = EXCHANGE_NOTE_TIME};

    if (job->pinged) {
        stats_add(&set->stats->timeouts, 1);
        conn_close(set, c);
        return;
    }
    job->pinged = true;
    note(set, c, &what, "");
    exchange_attend(set->table, c->x);
    conn_deadline(set, c, set->config->socket_ping_timeout_ms);
}
