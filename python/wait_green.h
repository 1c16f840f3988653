/* SPDX-License-Identifier: MIT */
/*
 * wait_green - the classes gevent and eventlet: each request is a greenlet,
 * and the hub watches the interpreter's doorbell. How: green.h.
 */
#ifndef GCORN_PYTHON_WAIT_GREEN_H
#define GCORN_PYTHON_WAIT_GREEN_H

#include "host.h"

/* All with the GIL. The settings name one of these classes. */
bool wait_green_is_named(const struct host *host);

/* In the template: is the package there? 0, or the exit code (logged). For
 * other classes it does nothing, like the next one. */
int wait_green_prepare(struct host *host);

/*
 * Before the application is imported: patches what blocks in Python's library,
 * unless the template has done that. In an interpreter it must be called in
 * any case: its hub is a copy of the template's. 0, or the exit code (logged).
 */
int wait_green_patch(struct host *host);

/*
 * In the main thread. Calls on_serving when requests are taken, and serves
 * until the slot's state is DRAINING and what was running has ended. Returns
 * the exit code.
 */
int wait_green_run(struct host *host, uint32_t interp,
                   void (*on_serving)(const struct host *host,
                                      struct board_interp *self));
#endif
