/* SPDX-License-Identifier: MIT */
/*
 * stop - the end of a server, in phases.
 *
 *   SERVING -> DRAINING   sockets closed, workers finish what they have
 *   DRAINING -> LEAVING   no worker left: interpreters and templates go
 *   LEAVING -> GONE       no child left
 *
 * graceful_timeout bounds all of it; then what is left is killed. Quick means
 * that workers do not finish anything.
 */
#ifndef GCORN_WORKERS_STOP_H
#define GCORN_WORKERS_STOP_H

#include "workers/master.h"

/* Starts to stop, or makes a graceful stop a quick one. */
void stop_start(struct master *master, bool quick);

/* Stops quickly, because of a failure; the first one names the exit code. */
void stop_fail(struct master *master, int exit_code, const char *reason);

/* Moves from phase to phase. */
void stop_settle(struct master *master);
#endif
