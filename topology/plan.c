/* SPDX-License-Identifier: MIT */
#include "topology/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topology/plan_steps.h"

static const char *const pin_names[] = {
    [PLAN_PIN_AUTO] = "auto", [PLAN_PIN_CORE] = "core", [PLAN_PIN_L3] = "l3",
    [PLAN_PIN_NODE] = "node", [PLAN_PIN_OFF] = "off",
};

static const char *const bound_names[] = {
    [PLAN_BOUND_CPU] = "cpu",
    [PLAN_BOUND_MEMORY] = "memory",
    [PLAN_BOUND_QUOTA] = "quota",
    [PLAN_BOUND_USER] = "user",
};

const char *plan_pin_name(enum plan_pin pin)
{
    return pin_names[pin];
}

const char *plan_bound_name(enum plan_bound bound)
{
    return bound_names[bound];
}

int plan_pin_parse(const char *text, enum plan_pin *ret_pin)
{
    if (strcmp(text, "on") == 0)
        text = "core";
    for (size_t i = 0; i < ARRAY_SIZE(pin_names); i++)
        if (strcmp(text, pin_names[i]) == 0) {
            *ret_pin = (enum plan_pin)i;
            return 0;
        }
    return -EINVAL;
}

void plan_warn(struct plan *plan, const char *format, ...)
{
    va_list args;

    if (plan->n_warnings == PLAN_WARNINGS)
        return;
    va_start(args, format);
    vsnprintf(plan->warnings[plan->n_warnings++], PLAN_TEXT, format, args);
    va_end(args);
}

void plan_demand_init(struct plan_demand *demand)
{
    *demand = (struct plan_demand){
        .pin = PLAN_PIN_AUTO,
        .worker_bytes = PLAN_WORKER_BYTES,
        .safety_percent = PLAN_SAFETY_PERCENT,
    };
}

/* 0 is no limit. */
static uint64_t tighter(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0)
        return a | b;
    return min_u64(a, b);
}

void plan_demand_limit(struct plan_demand *demand,
                       const struct cgroup_limits *limits)
{
    uint64_t high = limits->memory_high.value;

    demand->quota_milli = (uint32_t)min_u64(limits->quota.value, UINT32_MAX);
    demand->memory_limit = tighter(limits->memory_max.value, high - high / 20);
    demand->cpuset_exclusive = limits->cpuset_exclusive;
}

/* Steal orders hold worker numbers in 16 bits. */
static bool is_possible(const struct plan_demand *demand)
{
    return demand->worker_bytes > 0 && demand->safety_percent > 0 &&
           demand->safety_percent <= 100 && demand->workers <= UINT16_MAX;
}

static void sort_cores(struct plan_work *work)
{
    const struct machine *m = work->machine;

    for (uint32_t i = 0; i < m->n_cores; i++) {
        if (!machine_core_is_usable(&m->cores[i]))
            continue;
        work->cores[i] = PLAN_CORE_FREE;
        work->groups[plan_group_of(m, i)].cores++;
        work->n_usable++;
    }
}

static int alloc_work(struct plan_work *work)
{
    const struct machine *m = work->machine;

    work->groups = calloc(m->n_nodes + 1, sizeof(*work->groups));
    work->cores = calloc(m->n_cores + 1, sizeof(*work->cores));
    work->llc_total = calloc(m->n_llcs + 1, sizeof(*work->llc_total));
    work->llc_used = calloc(m->n_llcs + 1, sizeof(*work->llc_used));
    work->plan->reserved = calloc(m->n_cores + 1,
                                  sizeof(*work->plan->reserved));
    return work->groups && work->cores && work->llc_total && work->llc_used &&
                   work->plan->reserved
               ? 0
               : -ENOMEM;
}

static void free_work(struct plan_work *work)
{
    free(work->groups);
    free(work->cores);
    free(work->llc_total);
    free(work->llc_used);
}

/* One worker has nobody to steal from: + 1 keeps calloc() honest. */
static int alloc_places(struct plan *plan)
{
    size_t n = plan->n_workers;

    plan->places = calloc(n, sizeof(*plan->places));
    plan->steal = calloc(n * (n - 1) + 1, sizeof(*plan->steal));
    return plan->places && plan->steal ? 0 : -ENOMEM;
}

static int make(struct plan_work *work)
{
    int rc = alloc_work(work);

    if (rc < 0)
        return rc;
    sort_cores(work);
    plan_reserve(work);
    plan_count(work);
    rc = alloc_places(work->plan);
    if (rc < 0)
        return rc;
    plan_place(work);
    plan_pin(work);
    return 0;
}

int plan_make(const struct machine *machine, const struct plan_demand *demand,
              struct plan **ret_plan)
{
    struct plan_work work = {.machine = machine, .demand = demand};
    int rc;

    if (!is_possible(demand))
        return -EINVAL;
    work.plan = calloc(1, sizeof(*work.plan));
    if (!work.plan)
        return -ENOMEM;
    rc = make(&work);
    free_work(&work);
    if (rc < 0) {
        plan_free(work.plan);
        return rc;
    }
    *ret_plan = work.plan;
    return 0;
}

void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    free(plan->places);
    free(plan->reserved);
    free(plan->steal);
    free(plan);
}

const uint16_t *plan_steal_order(const struct plan *plan, uint32_t worker)
{
    must(worker < plan->n_workers);
    return plan->steal + (size_t)worker * (plan->n_workers - 1);
}

void plan_cpus(const struct plan *plan, const struct machine *machine,
               struct cpus *ret_cpus)
{
    *ret_cpus = (struct cpus){0};
    for (uint32_t i = 0; i < plan->n_workers; i++)
        if (plan->places[i].core >= 0)
            cpus_or(ret_cpus, &machine->cores[plan->places[i].core].usable);
}
