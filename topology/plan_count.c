/* SPDX-License-Identifier: MIT */
/*
 * How many workers: the smaller of what cores and memory allow.
 *
 *   cores    C usable, less R for the kernel; under a quota its whole CPUs
 *   memory   M bytes of RAM, or the cgroup's limit where that is tighter
 *            OSR of it for the system, S shared by all workers, counted once
 *            U = M - OSR - S is what the workers may use together
 *            each may plan with s % of its share, so U * s / W of them fit
 *
 * Memory is counted node by node, since half a worker on each of two nodes is
 * no worker: each node has slots, and their sum is the bound. Everything is in
 * integers; a product that could pass 2^64 is taken in 128 bits.
 */
#include <stdio.h>

#include "topology/plan_steps.h"

/* The reserve has a floor for small machines and a lid for large ones. */
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

/* No machine of today has this much: a broken table says so. */
#define IMPLAUSIBLE_RAM (UINT64_C(128) << 40)

/* a * b / c without overflow in between; c is not 0. */
static uint64_t scale(uint64_t a, uint64_t b, uint64_t c)
{
    return (uint64_t)((unsigned __int128)a * b / c);
}

/* Workers that fit into @bytes when each takes its safe part only. */
static uint64_t fit(const struct plan_demand *demand, uint64_t bytes)
{
    return (uint64_t)((unsigned __int128)bytes * demand->safety_percent /
                      ((unsigned __int128)100 * demand->worker_bytes));
}

/* What is left, never less than nothing. */
static uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/*
 * A sixteenth for the kernel, its page cache and other services. Half at most:
 * a machine of 512 MiB should still run one worker.
 */
static uint64_t os_reserve(uint64_t ram)
{
    return min_u64(min_u64(max_u64(ram / 16, 256 * MIB), 8 * GIB), ram / 2);
}

/* Inside a limit only our own processes count, no kernel. */
static uint64_t limit_reserve(uint64_t limit)
{
    return min_u64(max_u64(limit / 20, 32 * MIB), limit / 2);
}

/* Also nodes whose CPUs are not ours: their memory can be. */
static uint64_t sum_of_nodes(const struct machine *machine)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < machine->n_nodes; i++)
        if (machine_node_is_counted(&machine->nodes[i]))
            sum += machine->nodes[i].bytes;
    return sum;
}

static bool all_memory_is_allowed(const struct machine *machine)
{
    for (uint32_t i = 0; i < machine->n_nodes; i++)
        if (!machine->nodes[i].allowed)
            return false;
    return true;
}

/* Hypervisors that add or take memory at run time forget to tell the nodes. */
static uint64_t believable_ram(struct plan_work *work, uint64_t sum)
{
    uint64_t meminfo = work->machine->meminfo_bytes;
    uint64_t less = min_u64(sum, meminfo), more = max_u64(sum, meminfo);

    if (meminfo == 0 || sum == 0)
        return sum;
    /* meminfo counts nodes that a cpuset keeps from us: then it is no news. */
    if (!all_memory_is_allowed(work->machine) && meminfo > sum)
        return sum;
    if (more - less > more / 20)
        plan_warn(work->plan,
                  "nodes have %llu MiB, /proc/meminfo %llu MiB: using less",
                  (unsigned long long)(sum / MIB),
                  (unsigned long long)(meminfo / MIB));
    return less;
}

/* Gives each node its slots; returns their sum. */
static uint64_t count_slots(struct plan_work *work, uint64_t ram, uint64_t sum)
{
    const struct machine *machine = work->machine;
    uint64_t taken = os_reserve(ram) + work->demand->shared_bytes;
    uint64_t total = 0;

    for (uint32_t i = 0; i < machine->n_nodes; i++) {
        const struct machine_node *node = &machine->nodes[i];
        uint64_t bytes = ram == sum ? node->bytes
                                    : scale(node->bytes, ram, sum);

        if (!machine_node_is_counted(node))
            continue;
        work->groups[i + 1].slots = fit(work->demand,
                                        minus(bytes, scale(taken, bytes, ram)));
        total += work->groups[i + 1].slots;
    }
    return total;
}

/* Some files of machines have no sizes: then cores alone decide. */
static void unknown_memory(struct plan_work *work)
{
    for (uint32_t i = 0; i <= work->machine->n_nodes; i++)
        work->groups[i].slots = i == 0 ? 0 : UINT32_MAX;
    work->plan->n_mem = UINT64_MAX;
    plan_warn(work->plan, "memory unknown: not a bound");
}

static void set_memory(struct plan_work *work, uint64_t ram, uint64_t reserve)
{
    struct plan *plan = work->plan;

    plan->ram_bytes = ram;
    plan->os_reserve_bytes = reserve;
    plan->usable_bytes = minus(ram - reserve, work->demand->shared_bytes);
}

static void count_memory(struct plan_work *work)
{
    const struct plan_demand *demand = work->demand;
    uint64_t sum = sum_of_nodes(work->machine);
    uint64_t ram = believable_ram(work, sum);
    struct plan *plan = work->plan;
    uint64_t limit = demand->memory_limit;

    if (ram == 0)
        unknown_memory(work);
    if (ram > IMPLAUSIBLE_RAM)
        plan_warn(plan, "implausible RAM %llu TiB",
                  (unsigned long long)(ram >> 40));
    set_memory(work, ram, os_reserve(ram));
    if (ram > 0)
        plan->n_mem = count_slots(work, ram, sum);
    /* A worker larger than every node spans some of them. */
    if (plan->n_mem == 0)
        plan->n_mem = fit(demand, plan->usable_bytes);
    /* A limit is not per node: it bounds the count, not the slots. */
    if (limit > 0 && (ram == 0 || limit < ram)) {
        set_memory(work, limit, limit_reserve(limit));
        plan->n_mem = min_u64(plan->n_mem, fit(demand, plan->usable_bytes));
    }
}

uint32_t plan_reserve_count(const struct plan_work *work)
{
    uint32_t all = work->machine->n_cores;
    uint32_t wish = all <= 4 ? 0 : (all + 15) / 16;
    uint32_t denied = all - work->n_usable;

    /* Cores that others keep are cores the kernel can use. */
    if (work->demand->quota_milli > 0 || denied >= wish)
        return 0;
    return wish - denied;
}

/* A worker keeps its core busy: the fraction of a quota holds none. */
static void count_cores(struct plan_work *work)
{
    struct plan *plan = work->plan;
    uint32_t kept = plan->n_reserved + work->n_claimed;
    uint32_t quota = work->demand->quota_milli / 1000;

    plan->bound = PLAN_BOUND_CPU;
    plan->n_cpu = work->n_usable > kept ? work->n_usable - kept : 1;
    if (work->demand->quota_milli > 0 && quota < plan->n_cpu) {
        plan->n_cpu = quota > 0 ? quota : 1;
        plan->bound = PLAN_BOUND_QUOTA;
    }
}

static void count_workers(struct plan_work *work)
{
    struct plan *plan = work->plan;
    uint32_t wanted = work->demand->workers;

    plan->n_workers = plan->n_cpu;
    if (plan->n_mem < plan->n_cpu) {
        plan->n_workers = plan->n_mem > 0 ? (uint32_t)plan->n_mem : 1;
        plan->bound = PLAN_BOUND_MEMORY;
    }
    if (plan->n_mem == 0)
        plan_warn(plan, "one worker does not fit in memory");
    /* What the operator asks for is granted, and doubted aloud. */
    if (wanted == 0)
        return;
    if (wanted > plan->n_workers)
        plan_warn(plan, "%u workers wanted, %s allows %u", wanted,
                  plan_bound_name(plan->bound), plan->n_workers);
    plan->n_workers = wanted;
    plan->bound = PLAN_BOUND_USER;
}

/* The RAM that lets @workers stay within their safe part of it. */
static uint64_t needed_for(const struct plan_demand *demand, uint64_t workers)
{
    unsigned __int128 parts = (unsigned __int128)demand->worker_bytes *
                              workers * 100;
    unsigned __int128 bytes = (parts + demand->safety_percent - 1) /
                              demand->safety_percent;

    return bytes > UINT64_MAX ? UINT64_MAX : (uint64_t)bytes;
}

static void say_memory(struct plan_work *work)
{
    const struct plan_demand *demand = work->demand;
    struct plan *plan = work->plan;
    uint64_t next = (uint64_t)plan->n_workers + (plan->n_mem > 0);
    uint64_t more = minus(needed_for(demand, next), plan->usable_bytes);

    /* Memory may be there, but in pieces smaller than a worker. */
    if (more == 0)
        more = demand->worker_bytes;
    snprintf(plan->one_more, sizeof(plan->one_more),
             "at least %llu MiB more memory, or workers of at most %llu MiB",
             (unsigned long long)(more / MIB) + (more % MIB > 0),
             (unsigned long long)(scale(plan->usable_bytes,
                                        demand->safety_percent, 100) /
                                  next / MIB));
}

/* Numbers for whoever wonders why there are no more of them. */
static void say_one_more(struct plan_work *work)
{
    struct plan *plan = work->plan;

    switch (plan->bound) {
    case PLAN_BOUND_CPU:
        if (plan->n_reserved > 0)
            snprintf(plan->one_more, sizeof(plan->one_more),
                     "another core, or one of the %u reserved: workers=%u",
                     plan->n_reserved, plan->n_workers + 1);
        else
            snprintf(plan->one_more, sizeof(plan->one_more), "another core");
        return;
    case PLAN_BOUND_QUOTA:
        snprintf(plan->one_more, sizeof(plan->one_more),
                 "a CPU quota of %u CPUs", plan->n_workers + 1);
        return;
    case PLAN_BOUND_MEMORY:
        say_memory(work);
        return;
    case PLAN_BOUND_USER:
        snprintf(plan->one_more, sizeof(plan->one_more),
                 "another number of workers in the configuration");
        return;
    }
}

void plan_count(struct plan_work *work)
{
    struct plan *plan = work->plan;

    count_memory(work);
    count_cores(work);
    count_workers(work);
    plan->worker_bytes = work->demand->worker_bytes;
    plan->safe_limit_bytes = plan->usable_bytes / plan->n_workers;
    plan->alarm_bytes = scale(plan->safe_limit_bytes,
                              work->demand->safety_percent, 100);
    say_one_more(work);
}
