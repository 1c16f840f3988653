/* SPDX-License-Identifier: MIT */
/*
 * wait_asyncio - the class asgi: the event loop of asyncio or uvloop watches
 * the interpreter's doorbell; each request is a task.
 */
#ifndef GCORN_PYTHON_WAIT_ASYNCIO_H
#define GCORN_PYTHON_WAIT_ASYNCIO_H

#include "host.h"

/* The settings name this class. */
bool wait_asyncio_is_named(const char *worker_class);

/*
 * With the GIL, in the main thread. Starts the application's lifespan, calls
 * on_serving when it takes requests, and serves until the slot's state is
 * DRAINING and what was running has ended. Returns the exit code.
 */
int wait_asyncio_run(struct host *host, uint32_t interp,
                     void (*on_serving)(const struct host *host,
                                        struct board_interp *self));
#endif
