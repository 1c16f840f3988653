/* SPDX-License-Identifier: MIT */
/*
 * conn_socket - a connection that became a WebSocket. For conn*.c only.
 *
 * Everything about frames happens here, in the worker: those of the client are
 * taken apart and inflated into the stream of the exchange, what the
 * interpreter says is made into frames, pings are answered and sent, and the
 * closing handshake is done, whether the interpreter has time or not.
 *
 * Closing: a close frame is queued once, for whichever reason comes first
 * (the client closed, it did something wrong, the application closes, the
 * interpreter died). When it was sent, what else there is to say is dropped,
 * and the connection ends when the client's own close frame is there, or at
 * once when none is worth waiting for.
 */
#ifndef GCORN_CORE_CONN_SOCKET_H
#define GCORN_CORE_CONN_SOCKET_H

#include "conn_block.h"
#include "ws.h"
#include "ws_deflate.h"
#include "ws_out.h"

struct conn;
struct conn_set;

struct conn_socket {
    struct ws_parser parser;
    struct ws_out out;
    struct ws_inflater *inflater; /* of a message that is arriving */
    struct bytes raw;             /* of it, to be inflated */
    bool raw_held;                /* there may be more to come out of it */
    bool raw_last;                /* then the message is complete */
    uint8_t raw_opcode;
    struct ws_window *window; /* what the next one may refer to */
    uint32_t window_len;
    uint32_t utf8;      /* of a compressed message, as far as it is inflated */
    uint64_t inflated;  /* bytes of it */
    uint64_t heard_ms;  /* the client's last sign of life */
    uint64_t pinged_ms; /* 0: it was not asked for one since */
    uint64_t sent;      /* bytes of messages, for the access log */
    struct conn_span control; /* frames that go out between others */
    uint32_t part_off;        /* of the interpreter's next part: taken */
    uint32_t messages;        /* written to the stream */
    uint8_t reason_len;       /* of a close frame that comes from there */
    bool wrote; /* since the interpreter was told that it is idle */
    bool idle;  /* it was */
    bool close_queued;
    bool close_sent;
    bool close_heard; /* or the client's will not be waited for */
    char reason[WS_CONTROL_MAX - 2];
};

/* A handshake that is none is answered, and true returned. */
bool conn_socket_refuses(struct conn_set *set, struct conn *c,
                         const char *head);

/* The interpreter accepts: bytes are frames from here on. */
void conn_socket_begin(struct conn_set *set, struct conn *c);

/* A control frame, with its head, at most. */
#define CONN_CONTROL_BYTES (WS_HEAD_MAX + WS_CONTROL_MAX)

/* Returns how much of the client's bytes is used: less when it has to wait. */
size_t conn_socket_feed(struct conn_set *set, struct conn *c,
                        struct bytes data);

/* Sends what there is to be sent, and after that; nothing is in flight. */
void conn_socket_respond(struct conn_set *set, struct conn *c);
void conn_socket_sent(struct conn_set *set, struct conn *c);

/* Queues a frame. False: there is no room, and the connection was closed. */
bool conn_socket_control(struct conn_set *set, struct conn *c,
                         enum ws_opcode opcode, struct bytes payload);
/* Queues a close frame, unless one was. */
void conn_socket_close(struct conn_set *set, struct conn *c, uint32_t code,
                       struct bytes reason);
/* The same, and nothing more is heard. */
void conn_socket_shut(struct conn_set *set, struct conn *c, uint32_t code,
                      struct bytes reason);

/* Milliseconds until conn_socket_timeout() is due, 0: never. */
uint32_t conn_socket_wait(struct conn_set *set, const struct conn *c);
void conn_socket_timeout(struct conn_set *set, struct conn *c);

/* The client closed the connection; what it sent is in the stream. */
void conn_socket_gone(struct conn_set *set, struct conn *c);
/* The interpreter died. */
void conn_socket_lost(struct conn_set *set, struct conn *c);
/* The exchange is about to be let go: gives back and writes the log. */
void conn_socket_drop(struct conn_set *set, struct conn *c);
#endif
