/* SPDX-License-Identifier: MIT */
/*
 * gauges - what Gunicorn's master tells statsd: how many workers there are,
 * and, if asked for, how many connections wait.
 */
#ifndef GCORN_WORKERS_GAUGES_H
#define GCORN_WORKERS_GAUGES_H

#include "workers/master.h"

/* At the end of a turn. */
void gauges_settle(struct master *master);
#endif
