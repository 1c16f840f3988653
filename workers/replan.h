/* SPDX-License-Identifier: MIT */
/*
 * replan - limits, cpusets and CPUs change while a server runs: a resize of
 * its container, a CPU taken offline. Looked at every 30 s ($GCORN_REPLAN_MS)
 * and on HUP.
 *
 * Workers are added or retired as TTIN and TTOU do it, so no request is lost;
 * what goes on is bound anew. Memory stays where it is: interpreters whose
 * node changed are replaced, one at a time.
 */
#ifndef GCORN_WORKERS_REPLAN_H
#define GCORN_WORKERS_REPLAN_H

#include "workers/master.h"

/* When it is time to look, looks. */
void replan_settle(struct master *master);

/*
 * Looks now, and takes over master->config's workers and pin too. What TTIN
 * and TTOU changed stays, unless the number that is configured or planned
 * has changed.
 */
void replan_now(struct master *master);
#endif
