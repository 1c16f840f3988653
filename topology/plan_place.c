/* SPDX-License-Identifier: MIT */
/*
 * Which cores: first those to leave alone, then one for each worker.
 *
 *   node  -> where the fewest of its cores are taken, in proportion
 *   kind  -> the fastest that is left there
 *   cache -> where the fewest cores of that kind are taken, in proportion
 *   core  -> the first one
 *
 * "In proportion" is d'Hondt's rule: the smallest (taken + 1) / size goes next.
 * It fills unequal nodes evenly at every step, so that any number of first
 * workers is balanced, and one more never moves the others. Fractions are
 * compared by cross-multiplication.
 */
#include <string.h>

#include "topology/plan_steps.h"

#define NOBODY UINT32_MAX

/* Is (a + 1) / of_a smaller than (b + 1) / of_b? Neither divisor is 0. */
static bool is_emptier(uint32_t a, uint32_t of_a, uint32_t b, uint32_t of_b)
{
    return (uint64_t)(a + 1) * of_b < (uint64_t)(b + 1) * of_a;
}

/* Neither reserved nor given to a worker. */
static uint32_t free_cores(const struct plan_group *group)
{
    return group->cores - group->reserved - group->assigned;
}

/*
 * Nodes with cards, those with most first: what comes after group @after?
 * NOBODY asks for the first one, and is the answer behind the last.
 */
static uint32_t next_nic_group(const struct plan_work *work, uint32_t after)
{
    const struct machine *m = work->machine;
    uint32_t best = NOBODY;

    for (uint32_t g = 1; g <= m->n_nodes; g++) {
        uint32_t nics = m->nodes[g - 1].nics;

        if (nics == 0 || work->groups[g].cores == 0)
            continue;
        if (after != NOBODY &&
            (nics > m->nodes[after - 1].nics ||
             (nics == m->nodes[after - 1].nics && g <= after)))
            continue;
        if (best == NOBODY || nics > m->nodes[best - 1].nics)
            best = g;
    }
    return best;
}

/*
 * A tie goes to the cores without memory: they serve workers worst, and the
 * kernel does not mind.
 */
static uint32_t largest_group(const struct plan_work *work)
{
    uint32_t best = 0;

    for (uint32_t g = 1; g <= work->machine->n_nodes; g++)
        if (free_cores(&work->groups[g]) > free_cores(&work->groups[best]))
            best = g;
    return best;
}

static bool is_free_in(const struct plan_work *work, uint32_t core,
                       uint32_t group)
{
    return work->cores[core] == PLAN_CORE_FREE &&
           plan_group_of(work->machine, core) == group;
}

/* The slowest (or fastest) kind that has a free core in the group. */
static int32_t edge_kind(const struct plan_work *work, uint32_t group,
                         bool fastest)
{
    const struct machine *m = work->machine;
    bool found = false;
    int32_t edge = 0;

    for (uint32_t i = 0; i < m->n_cores; i++) {
        int32_t kind = m->cores[i].efficiency;

        if (!is_free_in(work, i, group))
            continue;
        if (!found || (fastest ? kind > edge : kind < edge))
            edge = kind;
        found = true;
    }
    return edge;
}

/* Per cache domain: cores of this group and kind, and those already taken. */
static void count_llcs(struct plan_work *work, uint32_t group, int32_t kind)
{
    const struct machine *m = work->machine;

    memset(work->llc_total, 0, m->n_llcs * sizeof(*work->llc_total));
    memset(work->llc_used, 0, m->n_llcs * sizeof(*work->llc_used));
    for (uint32_t i = 0; i < m->n_cores; i++) {
        enum plan_core_state state = work->cores[i];

        if (plan_group_of(m, i) != group || m->cores[i].efficiency != kind ||
            (state != PLAN_CORE_FREE && state != PLAN_CORE_TAKEN))
            continue;
        work->llc_total[m->cores[i].llc]++;
        work->llc_used[m->cores[i].llc] += state == PLAN_CORE_TAKEN;
    }
}

static uint32_t first_free_core(const struct plan_work *work, uint32_t group,
                                int32_t kind, uint32_t llc)
{
    const struct machine *m = work->machine;

    for (uint32_t i = 0; i < m->n_cores; i++)
        if (is_free_in(work, i, group) && m->cores[i].efficiency == kind &&
            (uint32_t)m->cores[i].llc == llc)
            return i;
    return NOBODY;
}

/* One core: of the slowest kind, where the cache has most to spare. */
static void reserve_in(struct plan_work *work, uint32_t group)
{
    int32_t kind = edge_kind(work, group, false);
    uint32_t best = 0, core;

    count_llcs(work, group, kind);
    for (uint32_t l = 1; l < work->machine->n_llcs; l++)
        if (work->llc_total[l] > work->llc_total[best])
            best = l;
    core = first_free_core(work, group, kind, best);
    must(core != NOBODY);
    work->cores[core] = PLAN_CORE_RESERVED;
    work->groups[group].reserved++;
    work->plan->reserved[work->plan->n_reserved++] = core;
}

/* Interrupts arrive next to the cards: at most half of a node is theirs. */
static void reserve_near_nics(struct plan_work *work, uint32_t count)
{
    uint32_t before;

    do {
        uint32_t g = next_nic_group(work, NOBODY);

        before = work->plan->n_reserved;
        for (; g != NOBODY; g = next_nic_group(work, g)) {
            if (work->plan->n_reserved == count)
                return;
            if (work->groups[g].reserved < work->groups[g].cores / 2)
                reserve_in(work, g);
        }
    } while (work->plan->n_reserved > before);
}

/* A core of which another master has claimed a thread is not ours. */
static void set_claimed_aside(struct plan_work *work)
{
    const struct machine *m = work->machine;

    for (uint32_t i = 0; i < m->n_cores; i++) {
        if (work->cores[i] != PLAN_CORE_FREE ||
            !cpus_intersect(&m->cores[i].pus, &work->demand->taken))
            continue;
        work->cores[i] = PLAN_CORE_UNUSABLE;
        work->groups[plan_group_of(m, i)].cores--;
        work->n_claimed++;
    }
    if (work->n_claimed > 0)
        plan_warn(work->plan, "%u core%s claimed by another gcorn",
                  work->n_claimed, work->n_claimed == 1 ? " is" : "s are");
}

/*
 * The reserve is chosen before claims are looked at, so that all masters of a
 * host leave the same cores alone.
 */
void plan_reserve(struct plan_work *work)
{
    uint32_t count = plan_reserve_count(work);

    reserve_near_nics(work, count);
    while (work->plan->n_reserved < count)
        reserve_in(work, largest_group(work));
    set_claimed_aside(work);
}

static bool is_better_group(const struct plan_work *work, uint32_t g,
                            uint32_t best)
{
    const struct plan_group *a = &work->groups[g], *b = &work->groups[best];

    return is_emptier(a->assigned, a->cores - a->reserved, b->assigned,
                      b->cores - b->reserved);
}

/* Only real nodes; with @needs_slot only those with room for a worker. */
static uint32_t emptiest_node(const struct plan_work *work, bool needs_slot)
{
    uint32_t best = NOBODY;

    for (uint32_t g = 1; g <= work->machine->n_nodes; g++) {
        if (free_cores(&work->groups[g]) == 0 ||
            (needs_slot && work->groups[g].slots == 0))
            continue;
        if (best == NOBODY || is_better_group(work, g, best))
            best = g;
    }
    return best;
}

/* Memory first, then any node, then cores without memory beside them. */
static uint32_t choose_group(const struct plan_work *work)
{
    uint32_t g = emptiest_node(work, true);

    if (g == NOBODY)
        g = emptiest_node(work, false);
    if (g == NOBODY && free_cores(&work->groups[0]) > 0)
        g = 0;
    return g;
}

static uint32_t choose_core(struct plan_work *work, uint32_t group)
{
    int32_t kind = edge_kind(work, group, true);
    uint32_t best = NOBODY;

    count_llcs(work, group, kind);
    for (uint32_t l = 0; l < work->machine->n_llcs; l++) {
        if (work->llc_used[l] == work->llc_total[l])
            continue;
        if (best == NOBODY ||
            is_emptier(work->llc_used[l], work->llc_total[l],
                       work->llc_used[best], work->llc_total[best]))
            best = l;
    }
    must(best != NOBODY);
    return first_free_core(work, group, kind, best);
}

/* A node that the firmware says nothing about is far away. */
static uint32_t distance(const struct machine *m, uint32_t from, uint32_t to)
{
    uint32_t d = m->distances[from * m->n_nodes + to];

    return d ? d : UINT32_MAX;
}

/*
 * From a core without a node all nodes are far: the emptiest one is best. From
 * the others the nearest is. Ties go to the lowest number, being seen first.
 */
static bool is_better_memory(const struct plan_work *work, uint32_t group,
                             uint32_t g, uint32_t best)
{
    const struct machine *m = work->machine;

    if (group == 0)
        return work->groups[g].slots > work->groups[best].slots;
    return distance(m, group - 1, g - 1) < distance(m, group - 1, best - 1);
}

/*
 * The group whose node gives the memory, NOBODY for none. When no node has
 * room any more the local one is overcommitted: nothing else is nearer.
 */
static uint32_t choose_memory(const struct plan_work *work, uint32_t group)
{
    uint32_t best = NOBODY;

    if (group > 0 && work->groups[group].slots > 0)
        return group;
    for (uint32_t g = 1; g <= work->machine->n_nodes; g++)
        if (work->groups[g].slots > 0 &&
            (best == NOBODY || is_better_memory(work, group, g, best)))
            best = g;
    if (best == NOBODY && group > 0)
        return group;
    return best;
}

static int32_t node_os_index(const struct plan_work *work, uint32_t group)
{
    if (group == NOBODY || group == 0)
        return -1;
    return (int32_t)work->machine->nodes[group - 1].os_index;
}

/* Gives the core to the worker, and the worker its memory. */
static void settle(struct plan_work *work, struct plan_place *place,
                   uint32_t core)
{
    uint32_t group = plan_group_of(work->machine, core);
    uint32_t memory = choose_memory(work, group);

    work->cores[core] = PLAN_CORE_TAKEN;
    work->groups[group].assigned++;
    if (memory != NOBODY && work->groups[memory].slots > 0)
        work->groups[memory].slots--;
    place->core = (int32_t)core;
    place->llc = work->machine->cores[core].llc;
    place->node = node_os_index(work, group);
    place->memory_node = node_os_index(work, memory);
    place->remote = memory != group;
    work->plan->n_remote += place->remote;
}

static void float_on_all(struct plan_work *work, struct plan_place *place)
{
    place->core = place->llc = place->node = place->memory_node = -1;
    work->plan->n_floating++;
}

/*
 * An operator who asks for more workers than the plan has cores for gets the
 * reserve back, last reserved first, so that the workers before keep their
 * places.
 */
static bool take_reserve_back(struct plan_work *work)
{
    struct plan *plan = work->plan;
    uint32_t core;

    if (plan->n_reserved == 0 || work->demand->workers == 0)
        return false;
    core = plan->reserved[plan->n_reserved - 1];
    /* Another master was here before. */
    if (cpus_intersect(&work->machine->cores[core].pus, &work->demand->taken))
        return false;
    plan->n_reserved--;
    work->cores[core] = PLAN_CORE_FREE;
    work->groups[plan_group_of(work->machine, core)].reserved--;
    return true;
}

static void place_worker(struct plan_work *work, struct plan_place *place)
{
    uint32_t group = choose_group(work);

    if (group == NOBODY && take_reserve_back(work))
        group = choose_group(work);
    if (group == NOBODY)
        float_on_all(work, place);
    else
        settle(work, place, choose_core(work, group));
}

void plan_place(struct plan_work *work)
{
    struct plan *plan = work->plan;
    uint32_t reserved = plan->n_reserved;

    for (uint32_t i = 0; i < plan->n_workers; i++)
        place_worker(work, &plan->places[i]);
    if (plan->n_remote > 0)
        plan_warn(plan, "%u workers on remote memory", plan->n_remote);
    if (plan->n_reserved < reserved)
        plan_warn(plan, "%u of %u reserved cores given to workers",
                  reserved - plan->n_reserved, reserved);
    if (plan->n_floating > 0)
        plan_warn(plan, "%u worker%s more than cores: not bound",
                  plan->n_floating, plan->n_floating == 1 ? "" : "s");
}
