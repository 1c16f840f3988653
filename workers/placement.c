/* SPDX-License-Identifier: MIT */
#include "placement.h"

#include "core/board.h"
#include "core/log.h"
#include "topology/cgroup.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Room for TTIN beyond what is started: shared memory is made only once. */
#define SPARE_SLOTS 8

/* Others may have pinned themselves on the same CPUs, unseen. */
static bool in_container(const struct cgroup_limits *limits)
{
    return limits->quota.value != 0 || limits->partial ||
           access("/.dockerenv", F_OK) == 0 ||
           access("/run/.containerenv", F_OK) == 0 ||
           getenv("KUBERNETES_SERVICE_HOST") != NULL;
}

static void demand_make(struct plan_demand *demand, const struct config *config)
{
    struct cgroup_limits limits;

    plan_demand_init(demand);
    demand->workers = (uint32_t)config->workers;
    must(plan_pin_parse(config->pin, &demand->pin) == 0);
    if (cgroup_read("", &limits) < 0)
        return;
    plan_demand_limit(demand, &limits);
    demand->container = in_container(&limits);
}

/* The plan has workers in order: a longer one starts like a shorter one. */
static int widen(struct placement *placement, struct plan_demand *demand)
{
    uint32_t most = placement->workers;

    if (placement->plan->n_cpu > most)
        most = placement->plan->n_cpu;
    placement->slots = most + SPARE_SLOTS;
    if (placement->slots > BOARD_WORKERS_MAX)
        placement->slots = BOARD_WORKERS_MAX;
    demand->workers = placement->slots;
    return plan_make(placement->machine, demand, &placement->wide);
}

int placement_make(struct placement *placement, const struct config *config,
                   struct config_error *error)
{
    struct machine_source source = {NULL, NULL, NULL};
    struct plan_demand demand;
    int err;

    memset(placement, 0, sizeof(*placement));
    err = machine_read(&source, &placement->machine);
    if (err < 0)
        return config_fail(error, 1, "Can't read this machine: %s",
                           strerror(-err));
    demand_make(&demand, config);
    err = plan_make(placement->machine, &demand, &placement->plan);
    if (err == 0) {
        placement->workers = placement->plan->n_workers;
        if (placement->workers == 0)
            placement->workers = 1;
        if (placement->workers > BOARD_WORKERS_MAX)
            placement->workers = BOARD_WORKERS_MAX;
        err = widen(placement, &demand);
    }
    if (err < 0)
        return config_fail(error, 1, "Can't make a plan for this machine: %s",
                           strerror(-err));
    return 0;
}

void placement_done(struct placement *placement)
{
    if (placement->wide != NULL)
        plan_free(placement->wide);
    if (placement->plan != NULL)
        plan_free(placement->plan);
    if (placement->machine != NULL)
        machine_free(placement->machine);
    memset(placement, 0, sizeof(*placement));
}

const struct plan_place *placement_of(const struct placement *placement,
                                      uint32_t slot)
{
    must(slot < placement->slots);
    if (slot < placement->plan->n_workers)
        return &placement->plan->places[slot];
    return &placement->wide->places[slot];
}

const uint16_t *placement_steal_order(const struct placement *placement,
                                      uint32_t slot)
{
    return plan_steal_order(placement->wide, slot);
}

static void log_places(const struct placement *placement)
{
    char worker[CPUS_TEXT], interp[CPUS_TEXT];

    for (uint32_t i = 0; i < placement->workers; i++) {
        const struct plan_place *place = placement_of(placement, i);

        if (cpus_is_empty(&place->worker_cpus)) {
            log_info("Plan: worker %u floats", i);
            continue;
        }
        cpus_format(&place->worker_cpus, worker, sizeof(worker));
        cpus_format(&place->interp_cpus, interp, sizeof(interp));
        log_info("Plan: worker %u on CPU %s, its interpreter on %s, memory of "
                 "node %d%s",
                 i, worker, interp, place->memory_node,
                 place->remote ? " (remote)" : "");
    }
}

static void log_memory(const struct plan *plan)
{
    if (plan->ram_bytes == 0)
        return;
    log_info("Plan: %llu MiB of memory, %llu usable, %llu for each worker; "
             "CPUs allow %u workers, memory %llu",
             (unsigned long long)(plan->ram_bytes >> 20),
             (unsigned long long)(plan->usable_bytes >> 20),
             (unsigned long long)(plan->worker_bytes >> 20), plan->n_cpu,
             (unsigned long long)plan->n_mem);
}

void placement_log(const struct placement *placement, bool in_full)
{
    const struct plan *plan = placement->plan;

    log_info("Plan: %u worker%s, bound by %s; pin %s: %s", placement->workers,
             placement->workers == 1 ? "" : "s", plan_bound_name(plan->bound),
             plan_pin_name(plan->pin), plan->pin_reason);
    for (uint32_t i = 0; i < plan->n_warnings; i++)
        log_warning("Plan: %s", plan->warnings[i]);
    if (!in_full)
        return;
    log_memory(plan);
    log_places(placement);
}
