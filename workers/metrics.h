/* SPDX-License-Identifier: MIT */
/*
 * metrics - what Prometheus reads: everything the server counts, for each
 * worker, with its CPUs and its NUMA node. Reads only.
 */
#ifndef GCORN_WORKERS_METRICS_H
#define GCORN_WORKERS_METRICS_H

#include "workers/observer.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

void metrics_write(const struct observer *observer, FILE *to);
#endif
