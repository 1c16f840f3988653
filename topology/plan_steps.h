/* SPDX-License-Identifier: MIT */
/*
 * plan_steps - the steps of plan_make(), inside topology/ only: which cores to
 * leave alone (plan_place.c), how many workers (plan_count.c), which cores they
 * get (plan_place.c), and how they are bound (plan_pin.c).
 */
#ifndef GCORN_TOPOLOGY_PLAN_STEPS_H
#define GCORN_TOPOLOGY_PLAN_STEPS_H

#include "core/base.h"
#include "topology/plan.h"

/*
 * The cores that share a local node. Group 0 has those without one; group
 * i + 1 belongs to nodes[i]. So group 0 comes before all nodes, and nodes
 * come by OS index, in every "lowest" of the rules.
 */
struct plan_group {
    uint32_t cores; /* usable */
    uint32_t reserved;
    uint32_t assigned; /* workers that got a core here */
    uint64_t slots;    /* workers whose memory still fits on the node */
};

enum plan_core_state {
    PLAN_CORE_UNUSABLE,
    PLAN_CORE_FREE,
    PLAN_CORE_RESERVED,
    PLAN_CORE_TAKEN,
};

struct plan_work {
    const struct machine *machine;
    const struct plan_demand *demand;
    struct plan *plan;
    struct plan_group *groups; /* [n_nodes + 1] */
    enum plan_core_state *cores;
    uint32_t *llc_total; /* scratch, [n_llcs] */
    uint32_t *llc_used;
    uint32_t n_usable;  /* cores that we may use */
    uint32_t n_claimed; /* of them: another master's, and not reserved */
};

static inline uint32_t plan_group_of(const struct machine *machine,
                                     uint32_t core)
{
    return (uint32_t)(machine->cores[core].node + 1);
}

/* Reserves cores, then sets aside those that other masters have. */
void plan_reserve(struct plan_work *work);
/* Fills the counts and the memory figures of the plan, and the slots. */
void plan_count(struct plan_work *work);
/* How many cores to leave to the kernel and its interrupts. */
uint32_t plan_reserve_count(const struct plan_work *work);
/* Gives every worker its place. */
void plan_place(struct plan_work *work);
/* Decides about binding, writes the CPU sets and the steal order. */
void plan_pin(struct plan_work *work);
/* Adds a sentence to plan->warnings; one too many is dropped. */
printf_like(2, 3) void plan_warn(struct plan *plan, const char *format, ...);

#endif
