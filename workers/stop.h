/* SPDX-License-Identifier: MIT */
/*
 * stop - the end of a server, in phases.
 *
 *   SERVING -> DRAINING   sockets closed, workers finish what they have
 *   DRAINING -> LEAVING   no worker left: interpreters and templates go
 *   LEAVING -> GONE       no child left
 *
 * The patience given bounds all of it; then what is left is killed. Without
 * patience workers do not finish anything.
 */
#ifndef GCORN_WORKERS_STOP_H
#define GCORN_WORKERS_STOP_H

#include "workers/master.h"

/* Starts to stop. Without patience it also hurries up what has started. */
void stop_start(struct master *master, uint64_t patience_ns);

/* Stops at once, because of a failure; the first one names the exit code. */
void stop_fail(struct master *master, int exit_code, const char *reason);

/* Moves from phase to phase. */
void stop_settle(struct master *master);
#endif
