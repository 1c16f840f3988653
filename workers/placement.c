/* SPDX-License-Identifier: MIT */
#include "placement.h"

#include "core/board.h"
#include "core/log.h"
#include "huge_pages.h"
#include "topology/bind.h"
#include "topology/cgroup.h"
#include "topology/host.h"
#include "topology/sysfile.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Room for TTIN beyond what is started: shared memory is made only once. */
#define SPARE_SLOTS 8
#define GROWTH 4
/* Other masters start too: after so many lost races the cores are gone. */
#define CLAIM_ATTEMPTS 32

static void sight_take(struct placement_sight *sight)
{
    char text[CPUS_TEXT] = "";

    memset(sight, 0, sizeof(*sight));
    if (sysfile_text("", "/sys/devices/system/cpu/online", text, sizeof(text)))
        cpus_parse(text, &sight->online);
    bind_cpus_get(0, &sight->affinity);
    if (cgroup_read("", &sight->limits) < 0)
        memset(&sight->limits, 0, sizeof(sight->limits));
}

static bool sight_equal(const struct placement_sight *a,
                        const struct placement_sight *b)
{
    const struct cgroup_limits *x = &a->limits, *y = &b->limits;

    return cpus_equal(&a->online, &b->online) &&
           cpus_equal(&a->affinity, &b->affinity) &&
           cpus_equal(&x->cpuset, &y->cpuset) &&
           x->cpuset_exclusive == y->cpuset_exclusive &&
           x->quota.value == y->quota.value &&
           x->memory_max.value == y->memory_max.value &&
           x->memory_high.value == y->memory_high.value;
}

static void demand_make(const struct placement *placement,
                        const struct config *config, struct plan_demand *demand)
{
    struct host host;

    plan_demand_init(demand);
    demand->workers = (uint32_t)config->workers;
    if (placement->need.worker_bytes > 0)
        demand->worker_bytes = placement->need.worker_bytes;
    demand->shared_bytes = placement->need.shared_bytes;
    must(plan_pin_parse(config->pin, &demand->pin) == 0);
    plan_demand_limit(demand, &placement->sight.limits);
    host_read("", &host);
    demand->container = host.container;
}

static int machine_look(struct machine **ret_machine)
{
    struct machine_source source = {NULL, NULL, NULL};

    return machine_read(&source, ret_machine);
}

/* The CPUs that this plan binds to; none where it does not bind. */
static void plan_wants(const struct plan *plan, const struct machine *machine,
                       struct cpus *ret_cpus)
{
    *ret_cpus = (struct cpus){0};
    if (plan->pin != PLAN_PIN_OFF)
        plan_cpus(plan, machine, ret_cpus);
}

/* Who binds nothing takes nobody's core, and may plan with all of them. */
static void see_taken(const struct placement *placement,
                      struct plan_demand *demand)
{
    struct claim_view view;

    if (placement->claims) {
        claim_taken(&placement->claim, placement->predecessor, &demand->taken);
    } else if (demand->pin != PLAN_PIN_OFF) {
        claim_look(NULL, &view);
        demand->taken = view.taken;
    }
}

/*
 * A plan on cores that nobody else has, which then are ours: planned around
 * what others hold, and again when one was faster.
 */
static int plan_claim(struct placement *placement, struct machine *machine,
                      struct plan_demand *demand, struct plan **ret_plan)
{
    struct cpus wants;
    int err;

    for (int i = 0; i < CLAIM_ATTEMPTS; i++) {
        see_taken(placement, demand);
        err = plan_make(machine, demand, ret_plan);
        if (err < 0 || !placement->claims)
            return err;
        plan_wants(*ret_plan, machine, &wants);
        if (placement->predecessor != 0) {
            placement->held = wants; /* once it is gone */
            return 0;
        }
        err = claim_take(&placement->claim, &wants);
        if (err == 0)
            placement->held = wants;
        if (err != -EBUSY)
            return 0; /* a file system without locks: do without claims */
        plan_free(*ret_plan);
    }
    demand->pin = PLAN_PIN_OFF;
    return plan_make(machine, demand, ret_plan);
}

static uint32_t workers_of(const struct plan *plan)
{
    if (plan->n_workers == 0)
        return 1;
    return plan->n_workers < BOARD_WORKERS_MAX ? plan->n_workers
                                               : BOARD_WORKERS_MAX;
}

/* Limits can be raised later, up to the cores that are there. */
static uint32_t slots_of(const struct plan *plan, const struct machine *machine)
{
    uint32_t most = workers_of(plan);
    uint32_t grown = most * GROWTH + SPARE_SLOTS;

    if (plan->n_cpu > most)
        most = plan->n_cpu;
    if (machine->n_cores > most)
        most = machine->n_cores < grown ? machine->n_cores : grown;
    most += SPARE_SLOTS;
    return most < BOARD_WORKERS_MAX ? most : BOARD_WORKERS_MAX;
}

static void place_float(struct plan_place *place)
{
    *place = (struct plan_place){
        .core = -1, .llc = -1, .node = -1, .memory_node = -1};
}

static bool is_held(const struct placement *placement,
                    const struct plan_place *place)
{
    return place->core < 0 || !placement->claims ||
           placement->plan->pin == PLAN_PIN_OFF ||
           cpus_contain(&placement->held,
                        &placement->machine->cores[place->core].usable);
}

/* The places as planned; those beyond the plan have to be opened first. */
static void places_set(struct placement *placement)
{
    for (uint32_t i = 0; i < placement->slots; i++) {
        struct plan_place *place = &placement->places[i];

        *place = i < placement->plan->n_workers ? placement->plan->places[i]
                                                : placement->wide->places[i];
        /* The wide plan decides about binding for more workers than there
         * are: what the plan in force says counts. */
        if (placement->plan->pin == PLAN_PIN_OFF) {
            place->worker_cpus = (struct cpus){0};
            place->interp_cpus = (struct cpus){0};
            /* Where it runs next, nobody knows. */
            place->memory_node = -1;
        }
    }
}

/*
 * Plans for the machine as it is seen now. The plan has workers in order: a
 * longer one starts like a shorter one.
 */
static int make(struct placement *placement, const struct config *config)
{
    struct plan_demand demand;
    int err = machine_look(&placement->machine);

    if (err < 0)
        return err;
    demand_make(placement, config, &demand);
    err = plan_claim(placement, placement->machine, &demand, &placement->plan);
    if (err < 0)
        return err;
    placement->workers = workers_of(placement->plan);
    if (placement->slots == 0)
        placement->slots = slots_of(placement->plan, placement->machine);
    if (placement->workers > placement->slots)
        placement->workers = placement->slots;
    demand.workers = placement->slots;
    return plan_make(placement->machine, &demand, &placement->wide);
}

static void claims_open(struct placement *placement)
{
    int err = claim_open(&placement->claim, NULL);

    placement->claims = err == 0;
    if (err < 0)
        log_info("Cores are not shared out with other gcorn masters: no lock "
                 "file in /run/gcorn: %s",
                 strerror(-err));
}

int placement_make(struct placement *placement, const struct config *config,
                   const struct placement_need *need, bool claims,
                   struct config_error *error)
{
    int err;

    *placement = (struct placement){
        .predecessor = placement->predecessor,
        .claim = {.fd = -1},
        .need = *need,
    };
    sight_take(&placement->sight);
    if (claims && strcmp(config->pin, "off") != 0)
        claims_open(placement);
    err = make(placement, config);
    if (err == 0) {
        placement->places = calloc(placement->slots,
                                   sizeof(*placement->places));
        err = placement->places == NULL ? -ENOMEM : 0;
    }
    if (err < 0)
        return config_fail(error, 1, "Can't make a plan for this machine: %s",
                           strerror(-err));
    places_set(placement);
    return 0;
}

static void plans_free(struct placement *placement)
{
    if (placement->wide != NULL)
        plan_free(placement->wide);
    if (placement->plan != NULL)
        plan_free(placement->plan);
    if (placement->machine != NULL)
        machine_free(placement->machine);
}

void placement_done(struct placement *placement)
{
    plans_free(placement);
    free(placement->places);
    if (placement->claim.fd >= 0)
        claim_close(&placement->claim);
    memset(placement, 0, sizeof(*placement));
    placement->claim.fd = -1;
}

int placement_replan(struct placement *placement, const struct config *config,
                     bool force)
{
    struct placement_sight sight;
    struct placement next = *placement;
    struct cpus given;
    int err;

    sight_take(&sight);
    if (!force && sight_equal(&sight, &placement->sight))
        return 0;
    next.sight = sight;
    next.machine = NULL;
    next.plan = next.wide = NULL;
    next.held = (struct cpus){0};
    err = make(&next, config);
    if (err < 0) {
        cpus_remove(&next.held, &placement->held);
        claim_drop(&placement->claim, &next.held);
        plans_free(&next);
        return err;
    }
    given = placement->held;
    cpus_remove(&given, &next.held);
    claim_drop(&placement->claim, &given);
    plans_free(placement);
    *placement = next;
    places_set(placement);
    return 1;
}

const struct plan_place *placement_of(const struct placement *placement,
                                      uint32_t slot)
{
    must(slot < placement->slots);
    return &placement->places[slot];
}

void placement_open(struct placement *placement, uint32_t slot)
{
    struct plan_place *place = &placement->places[slot];
    const struct cpus *wants;

    if (is_held(placement, place))
        return;
    wants = &placement->machine->cores[place->core].usable;
    if (claim_take(&placement->claim, wants) == 0) {
        cpus_or(&placement->held, wants);
        return;
    }
    log_info("Plan: worker %u floats: its core was taken by another gcorn",
             slot);
    place_float(place);
}

void placement_close(struct placement *placement, uint32_t slot)
{
    const struct plan_place *place = &placement->places[slot];
    const struct cpus *has;

    if (!placement->claims || place->core < 0)
        return;
    has = &placement->machine->cores[place->core].usable;
    if (!cpus_contain(&placement->held, has))
        return;
    claim_drop(&placement->claim, has);
    cpus_remove(&placement->held, has);
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
    if (huge_pages_always())
        log_info("Huge pages are given to all: interpreters go without, since "
                 "each copied page would be one");
}

void placement_inherit(struct placement *placement)
{
    placement->predecessor = 0;
    if (placement->claims &&
        claim_take(&placement->claim, &placement->held) == -EBUSY)
        log_warning("Another gcorn was faster to claim CPUs of the master "
                    "that was replaced; both use them");
}
