/* SPDX-License-Identifier: MIT */
/*
 * placement - where each worker slot runs: the machine and its plan, widened
 * by the slots kept for TTIN, and the cores that were claimed for it.
 *
 * Belongs to the master. Several masters of one host take their cores by
 * claims (topology/claim.h) and never the same ones; what finds no core
 * floats. It binds nothing: spawn.c does when a process starts, replan.c when
 * the plan changed under running ones.
 */
#ifndef GCORN_WORKERS_PLACEMENT_H
#define GCORN_WORKERS_PLACEMENT_H

#include "topology/claim.h"
#include "topology/plan.h"
#include "workers/config.h"

/* What can change under a running server and would change its plan. */
struct placement_sight {
    struct cpus online;
    struct cpus affinity;
    struct cgroup_limits limits;
};

/* What a worker takes, where it was measured; zeros: the plan's default. */
struct placement_need {
    uint64_t worker_bytes;
    uint64_t shared_bytes;
};

struct placement {
    struct machine *machine;
    struct plan *plan;         /* what is started */
    struct plan *wide;         /* the same with all slots: for later workers */
    struct plan_place *places; /* [slots]: of the wide plan, if claimed */
    uint32_t workers;
    uint32_t slots;
    struct placement_need need;
    struct placement_sight sight;
    struct claim claim;
    struct cpus held;  /* claimed by us */
    bool claims;       /* it takes part in claiming */
    pid_t predecessor; /* its cores shall be ours; 0: nobody's */
};

/*
 * Reads this machine and plans for config->workers. Without @claims it only
 * looks, and takes no core. 0 or -EINVAL; to be followed by placement_done()
 * in both cases.
 */
int placement_make(struct placement *placement, const struct config *config,
                   const struct placement_need *need, bool claims,
                   struct config_error *error);
void placement_done(struct placement *placement);

/*
 * Looks whether limits, cpuset or CPUs changed, and plans anew if so, or if
 * @force. The number of slots stays. Returns 1 when there is a new plan, 0,
 * or -errno: then the old one stays.
 */
int placement_replan(struct placement *placement, const struct config *config,
                     bool force);

const struct plan_place *placement_of(const struct placement *placement,
                                      uint32_t slot);

/*
 * A slot beyond the plan comes into service: its core is claimed, or it
 * floats when somebody else was faster. One that went gives its core back.
 */
void placement_open(struct placement *placement, uint32_t slot);
void placement_close(struct placement *placement, uint32_t slot);

/* The predecessor is gone: what was planned on its cores is claimed. */
void placement_inherit(struct placement *placement);

/* The other slots, nearest first: slots - 1 entries. */
const uint16_t *placement_steal_order(const struct placement *placement,
                                      uint32_t slot);

/* To the log: in short, or with each worker's place. */
void placement_log(const struct placement *placement, bool in_full);
#endif
