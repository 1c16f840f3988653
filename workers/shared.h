/* SPDX-License-Identifier: MIT */
/*
 * shared - makes what all processes share, before the first of them is
 * forked: the board, an arena and two spools for each worker slot, every
 * doorbell and socket pair. Templates get the descriptors that interpreters
 * use over their channel, under the same numbers.
 */
#ifndef GCORN_WORKERS_SHARED_H
#define GCORN_WORKERS_SHARED_H

#include "workers/master.h"

/* Fills master->board. Returns 0, or -EINVAL with a message. */
int shared_make(struct master *master, struct config_error *error);

/*
 * Takes over where the plan puts each slot now: the order of help, and the
 * node that its arena's next pages come from.
 */
void shared_place(struct master *master);

/* The descriptor under a high number, where templates have room for it. */
int shared_lift(int fd);

/* Open files as the hard limit allows; returns how many. */
uint64_t shared_raise_files(void);
#endif
