/* SPDX-License-Identifier: MIT */
#include "conn_block.h"
#include "conn_close.h"
#include "conn_set.h"
#include "conn_socket.h"

#include <string.h>

/*
 * Frames of the client: messages go as notes with their payload through the
 * stream of bytes to the interpreter; pings are answered here.
 */

/* A note, a control frame's payload, and some. */
#define SPACE_MIN 256
/* A receive buffer holds no more; nor, with a message's end, does an inflater. */
#define PIECE_BYTES (WS_RAW_BYTES - 4)

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

static bool note(struct conn_set *set, struct conn *c,
                 const struct exchange_note *what, const void *payload)
{
    struct conn_job *job = conn_job(set, c->x);

    if (put(&job->stream, what, sizeof(*what)) &&
        put(&job->stream, payload, what->len)) {
        job->socket.messages += what->last && what->kind <= WS_BINARY;
        return true;
    }
    log_warning("No memory for a WebSocket's message: closing it");
    conn_close(set, c);
    return false;
}

/* The client did what it must not. */
static void fail(struct conn_set *set, struct conn *c, uint32_t code)
{
    struct exchange_note what = {.kind = EXCHANGE_NOTE_FAILED,
                                 .code = (uint16_t)code};

    if (note(set, c, &what, ""))
        conn_socket_shut(set, c, code, BYTES(""));
}

static void on_close(struct conn_set *set, struct conn *c, uint16_t code)
{
    const struct ws_parser *parser = &conn_job(set, c->x)->socket.parser;
    uint32_t skip = parser->control_len ? 2 : 0;
    struct exchange_note what = {.len = parser->control_len - skip,
                                 .kind = WS_CLOSE,
                                 .last = 1,
                                 .code = code};

    if (note(set, c, &what, parser->control + skip))
        conn_socket_shut(set, c, code, BYTES(""));
}

static void on_control(struct conn_set *set, struct conn *c,
                       const struct ws_event *event)
{
    const struct ws_parser *parser = &conn_job(set, c->x)->socket.parser;

    if (event->opcode == WS_CLOSE)
        on_close(set, c, event->code);
    else if (event->opcode == WS_PING)
        conn_socket_control(
            set, c, WS_PONG,
            (struct bytes){(const char *)parser->control, parser->control_len});
}

/* A piece of a compressed message, inflated. 0 or a code to close with. */
static uint32_t give(struct conn_set *set, struct conn *c, struct bytes piece,
                     bool last)
{
    struct conn_socket *socket = &conn_job(set, c->x)->socket;
    struct exchange_note what = {
        .len = (uint32_t)piece.n, .kind = socket->raw_opcode, .last = last};

    socket->inflated += piece.n;
    if (set->config->socket_max && socket->inflated > set->config->socket_max)
        return WS_TOO_BIG;
    if (what.kind == WS_TEXT) {
        socket->utf8 = ws_utf8(socket->utf8, piece.p, piece.n);
        if (socket->utf8 == UINT32_MAX || (last && socket->utf8 != 0))
            return WS_INVALID_DATA;
    }
    if (piece.n > 0 || last)
        note(set, c, &what, piece.p);
    return 0;
}

static uint32_t end_message(struct conn_set *set, struct conn_socket *socket)
{
    bool whole = ws_inflate_is_whole(socket->inflater);

    socket->window_len = ws_inflate_end(&set->zlib, socket->inflater,
                                        socket->window,
                                        1U << socket->out.agreed.client_bits);
    socket->inflater = NULL;
    return whole ? 0 : WS_INVALID_DATA;
}

/* All of it came out, and `piece` is what was last. */
static uint32_t end_raw(struct conn_set *set, struct conn *c,
                        struct bytes piece)
{
    struct conn_socket *socket = &conn_job(set, c->x)->socket;
    uint32_t code = socket->raw_last ? end_message(set, socket) : 0;

    socket->raw_held = false;
    return code ? code : give(set, c, piece, socket->raw_last);
}

/* Inflates what is held, as far as there is room. 0 or a code. */
static uint32_t inflate_raw(struct conn_set *set, struct conn *c)
{
    struct conn_job *job = conn_job(set, c->x);
    struct conn_socket *socket = &job->socket;
    char piece[PIECE_BYTES];
    uint32_t code = 0;

    while (!code && socket->raw_held && c->state != CONN_CLOSING) {
        size_t space = exchange_stream_space(&job->stream, SPACE_MIN);
        size_t room = min_u64(sizeof(piece), space - SPACE_MIN / 2);
        int64_t n;

        if (space == 0)
            break;
        n = ws_inflate(socket->inflater, &socket->raw, piece, room);
        if (n < 0)
            return (uint32_t)-n;
        code = (size_t)n == room
                   ? give(set, c, (struct bytes){piece, room}, false)
                   : end_raw(set, c, (struct bytes){piece, (size_t)n});
    }
    return code;
}

/* The place where the payload of the frame goes. NULL: nothing is free. */
static char *raw_room(struct conn_set *set, struct conn *c)
{
    struct conn_socket *socket = &conn_job(set, c->x)->socket;

    if (!socket->inflater) {
        socket->inflater = ws_inflate_begin(&set->zlib, socket->window,
                                            socket->window_len);
        socket->inflated = 0;
        socket->utf8 = 0;
    }
    return socket->inflater ? ws_inflate_raw(socket->inflater) : NULL;
}

static void on_compressed(struct conn_set *set, struct conn *c,
                          const char *piece, const struct ws_event *event)
{
    static const char end[] = {0, 0, (char)0xff, (char)0xff};
    struct conn_socket *socket = &conn_job(set, c->x)->socket;
    char *raw = raw_room(set, c);
    size_t n = event->bytes;

    if (!raw) {
        fail(set, c, WS_TRY_AGAIN);
        return;
    }
    memcpy(raw, piece, n);
    if (event->last) {
        memcpy(raw + n, end, sizeof(end));
        n += sizeof(end);
    }
    socket->raw = (struct bytes){raw, n};
    socket->raw_opcode = (uint8_t)event->opcode;
    socket->raw_last = event->last;
    socket->raw_held = true;
}

static void awake(struct conn_socket *socket, struct exchange *x)
{
    socket->idle = false;
    atomic_fetch_and(&x->flags, ~(uint32_t)EXCHANGE_IDLE);
}

static void on_data(struct conn_set *set, struct conn *c, const char *piece,
                    const struct ws_event *event)
{
    struct exchange_note what = {.len = (uint32_t)event->bytes,
                                 .kind = (uint8_t)event->opcode,
                                 .last = event->last};

    if (unlikely(conn_job(set, c->x)->socket.idle))
        awake(&conn_job(set, c->x)->socket, c->x);
    if (unlikely(event->compressed))
        on_compressed(set, c, piece, event);
    else
        note(set, c, &what, piece);
}

/* The interpreter has enough to do; it rings when it has taken something. */
static bool is_behind(struct conn_set *set, struct conn *c)
{
    struct conn_job *job = conn_job(set, c->x);
    uint32_t most = set->config->socket_queue;

    if (most == 0 || job->socket.messages - atomic_load(&c->x->in_taken) < most)
        return false;
    return exchange_stream_hold(&job->stream, &c->x->in_taken,
                                job->socket.messages - most);
}

/* How many bytes of payload may come now; 0: none, not even a note. */
static size_t room_for(struct conn_set *set, struct conn *c)
{
    struct conn_job *job = conn_job(set, c->x);
    const struct conn_span *control = &job->socket.control;
    size_t space;

    if (control->at && control->size - control->len < CONN_CONTROL_BYTES)
        return 0;
    if (is_behind(set, c))
        return 0;
    space = exchange_stream_space(&job->stream, SPACE_MIN);
    return space == 0 ? 0 : min_u64(PIECE_BYTES, space - SPACE_MIN / 2);
}

/* What is held comes first. True when there is none any more. */
static bool is_clear(struct conn_set *set, struct conn *c)
{
    struct conn_socket *socket = &conn_job(set, c->x)->socket;
    uint32_t code = socket->raw_held ? inflate_raw(set, c) : 0;

    if (code && c->state != CONN_CLOSING)
        fail(set, c, code);
    return !socket->raw_held && c->flags & CONN_STREAM &&
           c->state != CONN_CLOSING;
}

static size_t feed(struct conn_set *set, struct conn *c, struct bytes data)
{
    struct conn_socket *socket = &conn_job(set, c->x)->socket;
    char piece[PIECE_BYTES];
    size_t used = 0;

    while (is_clear(set, c) && used < data.n) {
        struct bytes rest = {data.p + used, data.n - used};
        size_t room = room_for(set, c);
        struct ws_event event;
        int n;

        if (room == 0)
            break;
        n = ws_next(&socket->parser, rest, piece, room, &event);
        if (n < 0) {
            fail(set, c, (uint32_t)-n);
            return data.n;
        }
        used += (size_t)n;
        if (event.kind == WS_EVENT_DATA)
            on_data(set, c, piece, &event);
        else if (event.kind == WS_EVENT_CONTROL)
            on_control(set, c, &event);
    }
    return c->flags & CONN_STREAM ? used : data.n;
}

/* Only a close frame is of interest when we said goodbye. */
static size_t feed_last(struct conn_set *set, struct conn *c, struct bytes data)
{
    struct conn_socket *socket = &conn_job(set, c->x)->socket;
    char piece[PIECE_BYTES];
    size_t used = 0;

    while (used < data.n && !socket->close_heard) {
        struct bytes rest = {data.p + used, data.n - used};
        struct ws_event event;
        int n = ws_next(&socket->parser, rest, piece, sizeof(piece), &event);

        if (n < 0 ||
            (event.kind == WS_EVENT_CONTROL && event.opcode == WS_CLOSE))
            conn_socket_shut(set, c, 0, BYTES(""));
        used += (size_t)(n > 0 ? n : 0);
    }
    return data.n;
}

size_t conn_socket_feed(struct conn_set *set, struct conn *c, struct bytes data)
{
    struct conn_socket *socket = &conn_job(set, c->x)->socket;
    size_t used;
    bool held;

    socket->heard_ms = set->now_ms;
    socket->pinged_ms = 0;
    if (socket->close_queued)
        return feed_last(set, c, data);
    held = socket->raw_held;
    used = feed(set, c, data);
    if (used > 0 || held)
        exchange_attend(set->table, c->x);
    return used;
}
