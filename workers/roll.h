/* SPDX-License-Identifier: MIT */
/*
 * roll - who is connected: the master asks the workers, each writes down its
 * connections, the master reads. Shared memory that is mapped before the first
 * fork; a page costs something only once it was written to.
 *
 *   master: asked++, rings ---> worker: writes lines, answered = asked, rings
 *
 * What a worker wrote is read only while answered == asked; the count is
 * checked. A worker that hangs does not answer, and the master goes on without.
 */
#ifndef GCORN_WORKERS_ROLL_H
#define GCORN_WORKERS_ROLL_H

#include "core/conn_list.h"

struct board;

/* More connections of a worker are counted, but not listed. */
#define ROLL_LINES 512

struct roll_page {
    _Atomic uint32_t asked;    /* W: master */
    _Atomic uint32_t answered; /* W: worker */
    uint32_t count;            /* of lines. W: worker */
    struct conn_line line[ROLL_LINES];
};

struct roll {
    struct roll_page *pages; /* one for each worker slot */
    uint32_t slots;
};

/* 0 or -ENOMEM. */
int roll_init(struct roll *roll, uint32_t worker_slots);
void roll_done(struct roll *roll);

/* Master: asks every worker that is there. */
void roll_ask(struct roll *roll, struct board *board);

/* Master: all that are there have answered. */
bool roll_is_complete(const struct roll *roll, const struct board *board);

/* Master: what this worker answered last, NULL while it has not. */
const struct conn_line *roll_lines(const struct roll *roll, uint32_t slot,
                                   uint32_t *ret_count);

/* Worker: somebody asks. */
static inline bool roll_is_asked(const struct roll *roll, uint32_t slot)
{
    const struct roll_page *page = &roll->pages[slot];

    return atomic_load_explicit(&page->asked, memory_order_relaxed) !=
           atomic_load_explicit(&page->answered, memory_order_relaxed);
}

/* Worker: answers, and rings the master. */
void roll_answer(struct roll *roll, uint32_t slot, const struct conn_set *conns,
                 const struct board *board);
#endif
