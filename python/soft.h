/* SPDX-License-Identifier: MIT */
/*
 * soft - --timeout-soft: when a request has taken too long, and its stacks are
 * in the log, an exception is raised in the thread that runs it, so that the
 * application may roll back and answer. Only then the worker gives it up, and
 * the interpreter is killed.
 *
 * One thread for each interpreter looks after all others, under the GIL like
 * them. It reaches Python code only: a thread that waits in C gets the
 * exception when it comes back. A response that has begun is left alone.
 */
#ifndef GCORN_PYTHON_SOFT_H
#define GCORN_PYTHON_SOFT_H

#include "host.h"

struct exchange;
struct soft;

/* A thread that serves; NULL stands for "nobody looks". */
struct soft_seat;

/* With the GIL. NULL when it is off, or cannot be (logged). */
struct soft *soft_start(const struct host *host,
                        const struct board_interp *self, uint32_t threads);
void soft_stop(struct soft *soft);

/* The calling thread takes a seat. */
struct soft_seat *soft_enter(struct soft *soft);

/*
 * The calling thread runs an event loop, where no single request has the
 * thread: the exception is raised when the loop does not come round.
 */
void soft_watch(struct soft *soft, struct board_interp *loop);

/* Around each request. */
void soft_begin(struct soft_seat *seat, const struct exchange *x);
void soft_end(struct soft_seat *seat);
#endif
