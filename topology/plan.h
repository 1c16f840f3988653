/* SPDX-License-Identifier: MIT */
/*
 * plan - who runs where, and why: machine + demand -> plan.
 *
 * A pure function in integers: the same input gives the same plan, on any
 * machine. Workers are numbered so that every prefix of the list is itself a
 * balanced placement; scaling up or down never moves a worker.
 */
#ifndef GCORN_TOPOLOGY_PLAN_H
#define GCORN_TOPOLOGY_PLAN_H

#include "topology/cgroup.h"
#include "topology/machine.h"

#define PLAN_WORKER_BYTES (UINT64_C(150) << 20)
#define PLAN_SAFETY_PERCENT 80
#define PLAN_TEXT 192
#define PLAN_WARNINGS 8

enum plan_pin {
    PLAN_PIN_AUTO, /* a wish only, never a decision */
    PLAN_PIN_CORE,
    PLAN_PIN_L3,
    PLAN_PIN_NODE,
    PLAN_PIN_OFF,
};

enum plan_bound {
    PLAN_BOUND_CPU,
    PLAN_BOUND_MEMORY,
    PLAN_BOUND_QUOTA,
    PLAN_BOUND_USER,
};

struct plan_demand {
    uint32_t workers; /* 0: as many as the plan allows */
    enum plan_pin pin;
    uint64_t worker_bytes;   /* peak of a worker and its interpreter */
    uint64_t shared_bytes;   /* counted once for all */
    uint32_t safety_percent; /* of the memory share a worker may plan with */
    uint32_t quota_milli;    /* CPU quota in 1/1000 CPU; 0: none */
    uint64_t memory_limit;   /* of the cgroup, bytes; 0: none */
    bool container;          /* others may pin on the same CPUs */
    bool cpuset_exclusive;
    struct cpus taken; /* claimed by another master: not for us */
};

/* Where a worker process and its interpreter run. */
struct plan_place {
    struct cpus worker_cpus; /* empty: not bound */
    struct cpus interp_cpus; /* empty: not bound */
    int32_t core;            /* place in machine->cores, -1: floats */
    int32_t llc;             /* place in machine->llcs, -1: floats */
    int32_t node;            /* OS index of the core's node, -1: none */
    int32_t memory_node;     /* OS index, -1: as the kernel likes */
    bool remote;             /* its memory is not next to its core */
};

struct plan {
    uint32_t n_workers;
    uint32_t n_cpu;
    uint64_t n_mem; /* UINT64_MAX: memory is unknown */
    enum plan_bound bound;
    enum plan_pin pin; /* the decision */
    char pin_reason[PLAN_TEXT];
    uint64_t ram_bytes; /* 0: unknown, as the following */
    uint64_t os_reserve_bytes;
    uint64_t usable_bytes;
    uint64_t worker_bytes;
    uint64_t safe_limit_bytes; /* a worker may grow to this */
    uint64_t alarm_bytes;      /* and is spoken of from here on */
    struct plan_place *places; /* [n_workers] */
    uint32_t n_reserved;
    uint32_t *reserved; /* places in machine->cores, in order of reserving */
    uint32_t n_remote, n_floating;
    uint16_t *steal;          /* see plan_steal_order() */
    char one_more[PLAN_TEXT]; /* what another worker would need */
    uint32_t n_warnings;
    char warnings[PLAN_WARNINGS][PLAN_TEXT];
};

/* The defaults above, no limits, pin auto. */
void plan_demand_init(struct plan_demand *demand);

/*
 * Takes over quota, memory limits and exclusiveness. Where memory.high is
 * set, what is planned stays 5 % below it: above it everything is throttled.
 */
void plan_demand_limit(struct plan_demand *demand,
                       const struct cgroup_limits *limits);

/*
 * Returns 0, -EINVAL for a demand without worker_bytes or with a safety that
 * is not 1-100 percent or more than 65535 workers, or -ENOMEM. A wish for
 * more workers than there are cores is granted: the others float.
 */
int plan_make(const struct machine *machine, const struct plan_demand *demand,
              struct plan **ret_plan);
void plan_free(struct plan *plan);

/*
 * The other workers in the order in which worker @worker, or its interpreter,
 * helps them and is helped: same cache, same node, anywhere. Each row starts
 * behind the worker's own number, so that not all ask the same one first.
 * n_workers - 1 entries.
 */
const uint16_t *plan_steal_order(const struct plan *plan, uint32_t worker);

/* The CPUs that the plan gives to workers: what a master claims. */
void plan_cpus(const struct plan *plan, const struct machine *machine,
               struct cpus *ret_cpus);

const char *plan_pin_name(enum plan_pin pin);
const char *plan_bound_name(enum plan_bound bound);
/* auto, on (= core), core, l3, node, off. Returns 0 or -EINVAL. */
int plan_pin_parse(const char *text, enum plan_pin *ret_pin);

#endif
