/* SPDX-License-Identifier: MIT */
/*
 * quota - how many requests an interpreter serves before it asks for a
 * successor: max_requests and its jitter.
 */
#ifndef GCORN_PYTHON_QUOTA_H
#define GCORN_PYTHON_QUOTA_H

#include "host.h"

/* The jitter is drawn once. UINT64_MAX: no limit. */
uint64_t quota_draw(const struct host *host);

/* One request more; the caller has the GIL. Returns how many that makes. */
uint64_t quota_count(const struct host *host, struct board_interp *self,
                     uint64_t limit);
#endif
