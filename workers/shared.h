/* SPDX-License-Identifier: MIT */
/*
 * shared - makes what all processes share, before the first of them is
 * forked: the board with the settings, an arena and two spools for each
 * worker slot, every doorbell and socket pair.
 *
 * Descriptors are close-on-exec; the template's child opens up those that
 * interpreters use (shared_pass_on).
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

/*
 * In a child about to become the host program: what the board names survives
 * the exec, but the workers' own descriptors.
 */
void shared_pass_on(const struct board *board);

/* Open files as the hard limit allows; returns how many. */
uint64_t shared_raise_files(void);
#endif
