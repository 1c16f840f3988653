/* SPDX-License-Identifier: MIT */
/*
 * exchange_stream - bytes from a worker to an interpreter that already runs
 * the exchange: a request body as it arrives, or the messages of a WebSocket.
 *
 * A ring of EXCHANGE_STREAM_CHUNKS chunks that are taken when bytes come and
 * given back when they were read, so an idle stream holds none. The worker
 * writes in_chunk, in_tail and in_full, the interpreter in_head.
 * When the ring is full the worker sets in_full and is rung by the reader.
 */
#ifndef GCORN_CORE_EXCHANGE_STREAM_H
#define GCORN_CORE_EXCHANGE_STREAM_H

#include "exchange.h"

struct exchange_table;

/* How the messages of a WebSocket lie in the stream, and how the interpreter
 * writes its own: this, then the payload. */
struct exchange_note {
    uint32_t len;
    uint8_t kind; /* enum ws_opcode, or one of these */
    uint8_t last; /* of its message */
    uint16_t code;
};

#define EXCHANGE_NOTE_FAILED                                                   \
    0x20 /* the client did wrong: was closed with code */
#define EXCHANGE_NOTE_ACCEPT 0x21 /* from the interpreter: lines of the 101 */

/* The worker's end: what it wrote to shared memory is also here, where nobody
 * else can change it. */
struct exchange_stream {
    struct exchange_table *table;
    struct exchange *x;
    uint64_t tail;
    uint64_t freed; /* blocks before this one have no chunk */
    uint32_t chunk[EXCHANGE_STREAM_CHUNKS];
};

/* Worker: body_kind becomes STREAM, body_state STREAMING. */
void exchange_stream_begin(struct exchange_stream *stream,
                           struct exchange_table *table, struct exchange *x);

/*
 * Worker: the place for the next bytes and how many fit there; 0 when the
 * ring is full or no chunk is free (in_full is set then).
 */
size_t exchange_stream_room(struct exchange_stream *stream, char **ret_to);

/* Worker: the first n bytes of the room are written; visible at once. */
void exchange_stream_wrote(struct exchange_stream *stream, size_t n);

/* Worker: gives back the chunks that were read. */
void exchange_stream_trim(struct exchange_stream *stream);

/*
 * Worker, once the interpreter has let go: drops what is unread. Returns how
 * many bytes that were.
 */
uint64_t exchange_stream_forget(struct exchange_stream *stream);

/* Worker: bytes that surely fit, 0 when fewer than `least` (in_full then). */
size_t exchange_stream_space(struct exchange_stream *stream, size_t least);

/*
 * Worker: true while *taken, which the interpreter counts, is at most so much;
 * in_full is set then.
 */
bool exchange_stream_hold(struct exchange_stream *stream,
                          const _Atomic uint32_t *taken, uint32_t most);

/* Interpreter: bytes that can be read now. */
size_t exchange_stream_left(const struct exchange *x);

/*
 * Interpreter: copies n bytes, at most those left, from `skip` bytes on; then
 * drops them. False when the exchange is damaged. After a drop that returns
 * true the worker is waiting: exchange_nudge().
 */
bool exchange_stream_peek(const struct arena *arena, const struct exchange *x,
                          size_t skip, void *to, size_t n);
bool exchange_stream_drop(struct exchange *x, size_t n);
#endif
