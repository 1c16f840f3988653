/* SPDX-License-Identifier: MIT */
/*
 * interp_hang - interpreters that hang: in a request longer than `timeout`, in
 * an import longer than `boot_timeout`, or in their end longer than they were
 * given. First their Python stacks go to the log, then they are killed.
 *
 * That a request is overdue, and what its client is told, is the I/O worker's
 * business; that there is another interpreter, interp.h's.
 */
#ifndef GCORN_WORKERS_INTERP_HANG_H
#define GCORN_WORKERS_INTERP_HANG_H

#include "workers/master.h"

/* One that is neither empty nor dead: does what is due, asks to be woken. */
void interp_hang_look(struct master *master, uint32_t slot);
#endif
