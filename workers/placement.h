/* SPDX-License-Identifier: MIT */
/*
 * placement - where each worker slot runs: the machine and its plan, widened
 * by the slots kept for TTIN.
 */
#ifndef GCORN_WORKERS_PLACEMENT_H
#define GCORN_WORKERS_PLACEMENT_H

#include "topology/plan.h"
#include "workers/config.h"

struct placement {
    struct machine *machine;
    struct plan *plan; /* what is started */
    struct plan *wide; /* the same with all slots: for later workers */
    uint32_t workers;
    uint32_t slots;
};

/* Reads this machine and plans for config->workers. 0 or -EINVAL. */
int placement_make(struct placement *placement, const struct config *config,
                   struct config_error *error);
void placement_done(struct placement *placement);

const struct plan_place *placement_of(const struct placement *placement,
                                      uint32_t slot);

/* The other slots, nearest first: slots - 1 entries. */
const uint16_t *placement_steal_order(const struct placement *placement,
                                      uint32_t slot);

/* To the log: in short, or with each worker's place. */
void placement_log(const struct placement *placement, bool in_full);
#endif
