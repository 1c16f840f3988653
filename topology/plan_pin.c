/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "topology/plan_steps.h"

static enum plan_pin decide(struct plan *plan, enum plan_pin pin,
                            const char *reason)
{
    snprintf(plan->pin_reason, sizeof(plan->pin_reason), "%s", reason);
    return pin;
}

/*
 * Has somebody chosen CPUs for us, as far as a cpuset or an affinity can
 * promise that they are ours?
 */
static bool has_own_cpus(const struct plan_work *work)
{
    const struct machine *m = work->machine;
    struct cpus ours = m->allowed;

    cpus_and(&ours, &m->affinity);
    return work->demand->cpuset_exclusive ||
           cpus_count(&ours) < cpus_count(&m->online);
}

/*
 * Two containers that see all CPUs of their host would both pin from core 0
 * on, and pile up there; so CPUs are pinned only where nobody else comes.
 */
static enum plan_pin decide_auto(struct plan_work *work)
{
    const struct plan_demand *demand = work->demand;
    struct plan *plan = work->plan;

    if (has_own_cpus(work))
        return decide(plan, PLAN_PIN_CORE,
                      "a cpuset or affinity gives us these CPUs");
    if (demand->quota_milli > 0)
        return decide(plan, PLAN_PIN_OFF,
                      "a CPU quota without a cpuset: others share these CPUs");
    if (demand->container)
        return decide(plan, PLAN_PIN_OFF,
                      "a container without a cpuset: others share these CPUs");
    return decide(plan, PLAN_PIN_CORE, "no quota, all CPUs are ours");
}

static enum plan_pin decide_pin(struct plan_work *work)
{
    if (work->n_usable == 0)
        return decide(work->plan, PLAN_PIN_OFF, "no core is usable");
    if (work->plan->n_floating == work->plan->n_workers)
        return decide(work->plan, PLAN_PIN_OFF,
                      "other gcorn masters have left no core");
    if (work->demand->pin == PLAN_PIN_AUTO)
        return decide_auto(work);
    return decide(work->plan, work->demand->pin, "as configured");
}

/* Is core @i one of those that share the domain with @place? */
static bool is_around(const struct plan_work *work,
                      const struct plan_place *place, uint32_t i)
{
    const struct machine *m = work->machine;
    const struct machine_core *mine = &m->cores[place->core];

    if (work->cores[i] != PLAN_CORE_FREE && work->cores[i] != PLAN_CORE_TAKEN)
        return false;
    if (m->cores[i].node != mine->node)
        return false;
    /* Without a node of its own the cache is the best there is. */
    if (work->plan->pin == PLAN_PIN_L3 || mine->node < 0)
        return m->cores[i].llc == mine->llc;
    return true;
}

static void set_domain(struct plan_work *work, struct plan_place *place)
{
    for (uint32_t i = 0; i < work->machine->n_cores; i++)
        if (is_around(work, place, i))
            cpus_or(&place->interp_cpus, &work->machine->cores[i].usable);
    place->worker_cpus = place->interp_cpus;
}

/*
 * The interpreter may use every hardware thread of the core, for its helper
 * threads; the worker process keeps to the last one and leaves it the rest.
 */
static void set_core(struct plan_work *work, struct plan_place *place)
{
    const struct cpus *usable = &work->machine->cores[place->core].usable;

    place->interp_cpus = *usable;
    cpus_add(&place->worker_cpus, (uint32_t)cpus_last(usable));
}

static void set_cpus(struct plan_work *work, struct plan_place *place)
{
    if (place->core < 0)
        return;
    switch (work->plan->pin) {
    case PLAN_PIN_CORE:
        set_core(work, place);
        break;
    case PLAN_PIN_L3:
    case PLAN_PIN_NODE:
        set_domain(work, place);
        break;
    case PLAN_PIN_AUTO:
    case PLAN_PIN_OFF:
        break;
    }
}

/* 0: same cache, 1: same node, 2: anywhere. */
static int nearness(const struct plan_place *a, const struct plan_place *b)
{
    if (a->core < 0 || b->core < 0)
        return 2;
    if (a->llc == b->llc)
        return 0;
    return a->node == b->node ? 1 : 2;
}

static void order_steals(struct plan *plan, uint32_t worker)
{
    uint32_t n = plan->n_workers;
    uint16_t *row = plan->steal + (size_t)worker * (n - 1);

    for (int near = 0; near <= 2; near++)
        for (uint32_t k = 1; k < n; k++) {
            uint32_t other = (worker + k) % n;

            if (nearness(&plan->places[worker], &plan->places[other]) == near)
                *row++ = (uint16_t)other;
        }
}

void plan_pin(struct plan_work *work)
{
    struct plan *plan = work->plan;

    plan->pin = decide_pin(work);
    for (uint32_t i = 0; i < plan->n_workers; i++) {
        set_cpus(work, &plan->places[i]);
        order_steals(plan, i);
    }
}
