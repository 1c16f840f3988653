/* SPDX-License-Identifier: MIT */
/*
 * exchange_interp - the interpreter's side: take a request from any worker,
 * write the response, sleep. No Python in here; the caller releases the GIL
 * around everything marked "blocks".
 *
 * One exchange_site per process; one exchange_writer per request in progress.
 * Threads of one interpreter share the site: it is read-only after init but
 * for atomics. Each thread has its own exchange_thread.
 */
#ifndef GCORN_CORE_EXCHANGE_INTERP_H
#define GCORN_CORE_EXCHANGE_INTERP_H

#include "exchange.h"

struct board;
struct board_interp;

struct exchange_site {
    struct board *board;
    struct arena *arenas; /* one per worker slot */
};

/* Maps every arena. May be called before a fork. 0 or -errno. */
int exchange_site_init(struct exchange_site *site, struct board *board);
void exchange_site_done(struct exchange_site *site);

/* A thread that serves requests for interpreter slot interp. */
struct exchange_thread {
    struct exchange_site *site;
    struct board_interp *self;
    uint32_t interp;
    uint32_t home;          /* worker slot */
    uint32_t bed;           /* its number among the interpreter's threads */
    uint32_t cursor;        /* where the last request of the home was found */
    uint32_t unrung;        /* responses finished but not announced */
    uint32_t unrung_worker; /* whose they are */
    uint64_t unrung_ns;     /* since when */
    uint64_t slow_ns;       /* when a request last took long */
    uint32_t unmetered;     /* requests since CPU time was last measured */
    bool polite;            /* leaves alone what was offered to others */
    bool patient;           /* announces nothing before exchange_announce() */
};

void exchange_thread_init(struct exchange_thread *thread,
                          struct exchange_site *site, uint32_t interp);

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
 * Takes a ready request, own worker first, then in steal order. The writer is
 * set up for its response. False when there is none. Does not block.
 */
bool exchange_take(struct exchange_thread *thread,
                   struct exchange_writer *writer);

/* One is ready at home that it would take. */
bool exchange_is_ready(const struct exchange_thread *thread);

/*
 * Sleeps until a request may be ready or the doorbell was rung for another
 * reason (a state change). Announces what is unrung first. Blocks.
 */
void exchange_sleep(struct exchange_thread *thread);

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

/* Rings for what is unrung: before a call that may take long. */
void exchange_announce(struct exchange_thread *thread);

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
