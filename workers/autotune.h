/* SPDX-License-Identifier: MIT */
/*
 * autotune - how many workers of this application this machine carries:
 * measured by a trial run (probe.h), solved by the plan, shown with what
 * decided and with what one worker more would need.
 */
#ifndef GCORN_WORKERS_AUTOTUNE_H
#define GCORN_WORKERS_AUTOTUNE_H

#include "workers/placement.h"
#include "workers/probe.h"

/* Added to what was measured: caches that fill later, peaks of requests. */
#define AUTOTUNE_HEADROOM_PERCENT 25

/*
 * Pure: what to plan with. With max_requests a worker grows by no more than
 * so many requests make it; without, growth is only spoken of.
 */
struct placement_need autotune_need(const struct probe_result *measured,
                                    uint64_t max_requests);

/*
 * Pure: after how many requests a worker would pass its safe share. 0: not
 * in sight.
 */
uint64_t autotune_lifetime(const struct probe_result *measured,
                           uint64_t safe_bytes);

/*
 * Measures, plans and shows: to standard error when the server goes on with
 * it, or with --autotune=print to standard output. Returns the exit code: 0;
 * 1 when one worker does not fit; that of the trial when it failed.
 */
int autotune_run(const struct config *config, const struct config_input *input,
                 const struct title *title, struct placement_need *ret_need);
#endif
