/* SPDX-License-Identifier: MIT */
/*
 * exchange_take - where an interpreter gets its requests: take a ready one from
 * any worker, or sleep until there may be one. No Python in here; the caller
 * releases the GIL around what is marked "blocks".
 *
 * One exchange_site per process. Threads of one interpreter share it: it is
 * read-only after init but for atomics. Each has its own exchange_thread.
 */
#ifndef GCORN_CORE_EXCHANGE_TAKE_H
#define GCORN_CORE_EXCHANGE_TAKE_H

#include "arena.h"

struct board;
struct board_interp;
struct exchange_writer;

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

/* Rings for what is unrung: before a call that may take long. */
void exchange_announce(struct exchange_thread *thread);
#endif
