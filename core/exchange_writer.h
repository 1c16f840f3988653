/* SPDX-License-Identifier: MIT */
/*
 * exchange_writer - an interpreter's side of a request that it took: write the
 * response, ask for the body, let go. No Python in here; the caller releases
 * the GIL around what is marked "blocks".
 *
 * One for each request in progress, set up by exchange_take().
 */
#ifndef GCORN_CORE_EXCHANGE_WRITER_H
#define GCORN_CORE_EXCHANGE_WRITER_H

#include "exchange.h"

struct exchange_thread;

/* The writing end of one response. All private. */
struct exchange_writer {
    struct exchange_thread *thread;
    struct arena *arena;
    struct exchange *x;
    char *chunk;
    uint32_t chunk_id;
    uint64_t cpu_ns; /* the thread's, at the start; 0: not measured */
    uint32_t start;  /* of what is not yet published, in the chunk */
    uint32_t fill;
    uint32_t tail;
    uint32_t
        stuck_head;    /* out_head when there was no room for the first time */
    uint64_t stuck_ns; /* and when that was; 0: never */
    uint64_t spool_from; /* in the stretch: what is not yet published */
    uint64_t spool_to;
};

/*
 * Room for response bytes: at least 1, at most a chunk. Returns the room in
 * bytes and its place, -EAGAIN when the response window is full or no chunk
 * is free (then exchange_wait()), or -ECANCELED when nobody wants it any
 * more.
 */
int64_t exchange_room(struct exchange_writer *writer, char **ret_to);

/* The first len bytes of the room are written; not yet visible. */
void exchange_wrote(struct exchange_writer *writer, uint32_t len);

/* Copies all of data, in as many chunks as it takes. 0, -EAGAIN, -ECANCELED;
 * *ret_done tells how much was copied. */
int exchange_copy(struct exchange_writer *writer, struct bytes data,
                  size_t *ret_done);

/* Forgets what was written since the last flush, publish or file. */
void exchange_rewind(struct exchange_writer *writer);

/*
 * Makes what was written visible without waking the worker, which looks
 * within milliseconds anyway. 0, -EAGAIN or -ECANCELED.
 */
int exchange_publish(struct exchange_writer *writer);

/* The same, and wakes the worker: for streams. */
int exchange_flush(struct exchange_writer *writer);

/* The same, but it is exchange_announce() that wakes the worker. */
int exchange_flush_later(struct exchange_writer *writer);

/* Nothing is to be written for long: the chunk and its memory go back. */
void exchange_relax(struct exchange_writer *writer);

/* Something was written that could not be published: the window was full. */
static inline bool exchange_holds(const struct exchange_writer *writer)
{
    return writer->fill > writer->start;
}

/* Adds a file range; fd is duplicated into the worker. 0 or -errno. */
int exchange_file(struct exchange_writer *writer, int fd, uint64_t off,
                  uint64_t len);

/*
 * After -EAGAIN, instead of waiting: puts what is not yet published, and then
 * data, into the slot's stretch of the spool file, once the peer has made no
 * room for a moment. Returns how much of data was taken: 0 when it is too
 * early, when there is too much already, or when the disk is full. It is
 * published when the window has room, at the latest by exchange_finish(). May
 * write to a disk.
 */
size_t exchange_spool(struct exchange_writer *writer, struct bytes data);

/* Waits for room in the window or for a chunk, or cancellation. Blocks. */
void exchange_wait(struct exchange_writer *writer);

/*
 * Waits until a PENDING body is complete. Returns 0, -ECANCELED, or -EIO when
 * it will never be. Blocks. Of a body that streams, which is made for event
 * loops, it looks whether more has come after some milliseconds: 0.
 */
int exchange_body_wait(struct exchange_writer *writer);

/* As exchange_wait() before it sleeps: asks for attention when there is room.
 * False when there is some now, or cancellation. */
bool exchange_await_room(struct exchange_writer *writer);

/* A PENDING body is wanted. */
void exchange_body_want(struct exchange_writer *writer);

/* Has the worker look at this exchange. */
void exchange_nudge(struct exchange_writer *writer);

/*
 * The response is complete (with what was written but not flushed) and the
 * exchange let go. Announced at once when nothing else is ready or requests
 * are slow, else together with the next ones.
 */
void exchange_finish(struct exchange_writer *writer);

static inline bool exchange_is_idle(const struct exchange_writer *writer)
{
    return atomic_load_explicit(&writer->x->flags, memory_order_relaxed) &
           EXCHANGE_IDLE;
}

static inline bool exchange_is_cancelled(const struct exchange_writer *writer)
{
    return atomic_load_explicit(&writer->x->flags, memory_order_relaxed) &
           EXCHANGE_CANCELLED;
}
#endif
