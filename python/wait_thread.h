/* SPDX-License-Identifier: MIT */
/*
 * wait_thread - the classes sync and gthread: threads that take a request,
 * call the application, and else sleep on the doorbell with the GIL released.
 *
 * sync serves in the main thread. gthread serves in threads of their own and
 * leaves the main thread to the application's signal handlers, so that no
 * request is treated differently from the others.
 */
#ifndef GCORN_PYTHON_WAIT_THREAD_H
#define GCORN_PYTHON_WAIT_THREAD_H

#include "host.h"
#include "wsgi.h"

/* How many requests the settings let run at once; false: unknown class. */
bool wait_thread_count(const struct host *host, uint32_t *ret_threads,
                       bool *ret_in_main);

/*
 * With the GIL, in the main thread. Serves until the slot's state is DRAINING
 * and what was running has ended.
 */
void wait_thread_run(struct host *host, struct wsgi *wsgi, uint32_t interp);
#endif
