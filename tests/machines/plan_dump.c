/* SPDX-License-Identifier: MIT */
/*
 * plan_dump - prints the plan of a machine as one JSON object, with the key
 * names of the reference plans.
 *
 *   plan_dump xml|synthetic WHAT WORKER_BYTES [quota=MILLI] [limit=BYTES]
 *             [workers=N] [shared=BYTES]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base.h"
#include "topology/plan.h"

static void print_set(const struct cpus *set)
{
    const char *comma = "";

    printf("[");
    for (int i = cpus_next(set, 0); i >= 0;
         i = cpus_next(set, (uint32_t)i + 1)) {
        printf("%s%d", comma, i);
        comma = ",";
    }
    printf("]");
}

static void print_index(int32_t index)
{
    if (index < 0)
        printf("null");
    else
        printf("%d", index);
}

static void print_places(const struct machine *m, const struct plan *plan)
{
    printf("\"placement\":[");
    for (uint32_t i = 0; i < plan->n_workers; i++) {
        const struct plan_place *p = &plan->places[i];

        printf("%s[", i ? "," : "");
        print_index(p->core);
        printf(",");
        print_index(p->node);
        printf(",");
        print_index(p->memory_node);
        printf(",%d,", p->llc);
        print_set(p->core < 0 ? &p->interp_cpus : &m->cores[p->core].usable);
        printf("]");
    }
    printf("],");
}

static void print_reserved(const struct machine *m, const struct plan *plan)
{
    struct cpus pus = {0};

    printf("\"reserved_count\":%u,\"reserved_cores\":[", plan->n_reserved);
    for (uint32_t i = 0; i < plan->n_reserved; i++) {
        printf("%s%u", i ? "," : "", plan->reserved[i]);
        cpus_or(&pus, &m->cores[plan->reserved[i]].usable);
    }
    printf("],\"reserved_pus\":");
    print_set(&pus);
    printf(",");
}

static uint32_t workers_on(const struct plan *plan, int32_t node)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < plan->n_workers; i++)
        n += plan->places[i].core >= 0 && plan->places[i].node == node;
    return n;
}

static uint32_t cores_on(const struct machine *m, int32_t node)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < m->n_cores; i++)
        n += machine_core_is_usable(&m->cores[i]) && m->cores[i].node == node;
    return n;
}

static void print_nodes(const struct machine *m, const struct plan *plan)
{
    const char *comma = "";

    printf("\"numa_nodes\":[");
    for (uint32_t i = 0; i < m->n_nodes; i++) {
        const struct machine_node *n = &m->nodes[i];

        printf("%s[%u,%" PRIu64 ",%d,%s%s%s]", i ? "," : "", n->os_index,
               n->bytes, n->allowed, n->special[0] ? "\"" : "",
               n->special[0] ? n->special : "null", n->special[0] ? "\"" : "");
    }
    printf("],\"nic_nodes\":{");
    for (uint32_t i = 0; i < m->n_nodes; i++)
        if (m->nodes[i].nics) {
            printf("%s\"%u\":%u", comma, m->nodes[i].os_index,
                   m->nodes[i].nics);
            comma = ",";
        }
    printf("},\"per_node\":{");
    comma = "";
    if (cores_on(m, -1)) {
        printf("\"-1\":%u", workers_on(plan, -1));
        comma = ",";
    }
    for (uint32_t i = 0; i < m->n_nodes; i++)
        if (cores_on(m, (int32_t)i)) {
            printf("%s\"%u\":%u", comma, m->nodes[i].os_index,
                   workers_on(plan, (int32_t)m->nodes[i].os_index));
            comma = ",";
        }
    printf("},");
}

static void print_steals(const struct plan *plan)
{
    printf("\"steal\":[");
    for (uint32_t i = 0; i < plan->n_workers; i++) {
        printf("%s[", i ? "," : "");
        for (uint32_t k = 0; k + 1 < plan->n_workers; k++)
            printf("%s%u", k ? "," : "", plan_steal_order(plan, i)[k]);
        printf("]");
    }
    printf("],");
}

static void print_machine(const struct machine *m)
{
    uint32_t cores = 0, pus = 0;

    for (uint32_t i = 0; i < m->n_cores; i++) {
        cores += machine_core_is_usable(&m->cores[i]);
        pus += cpus_count(&m->cores[i].usable);
    }
    printf("\"cores_total\":%u,\"cores_usable\":%u,\"pus_usable\":%u,"
           "\"l3_count\":%u,\"l3_bytes\":%" PRIu64 ",\"llc_domains\":%u,"
           "\"packages\":%u,\"packages_usable\":%u,",
           m->n_cores, cores, pus, m->n_l3, m->l3_bytes, m->n_llcs_usable,
           m->packages, m->packages_usable);
    printf("\"core_nodes\":[");
    for (uint32_t i = 0; i < m->n_cores; i++)
        printf("%s%d", i ? "," : "", m->cores[i].node);
    printf("],\"core_llcs\":[");
    for (uint32_t i = 0; i < m->n_cores; i++)
        printf("%s%d", i ? "," : "", m->cores[i].llc);
    printf("],\"core_kinds\":[");
    for (uint32_t i = 0; i < m->n_cores; i++)
        printf("%s%d", i ? "," : "", m->cores[i].efficiency);
    printf("],\"distances\":[");
    for (uint32_t i = 0; i < m->n_nodes * m->n_nodes; i++)
        printf("%s%u%s",
               i % m->n_nodes ? ","
               : i            ? ",["
                              : "[",
               m->distances[i], i % m->n_nodes == m->n_nodes - 1 ? "]" : "");
    printf("],\"usable\":[");
    for (uint32_t i = 0; i < m->n_cores; i++)
        printf("%s%d", i ? "," : "", machine_core_is_usable(&m->cores[i]));
    printf("],");
}

static void print_sizes(const struct plan *plan)
{
    printf("\"workers\":%u,\"n_cpu\":%u,", plan->n_workers, plan->n_cpu);
    if (plan->n_mem == UINT64_MAX)
        printf("\"n_mem\":null,");
    else
        printf("\"n_mem\":%" PRIu64 ",", plan->n_mem);
    printf("\"ram_bytes\":%" PRIu64 ",\"os_reserve_bytes\":%" PRIu64
           ",\"usable_bytes\":%" PRIu64 ",\"safe_limit_bytes\":%" PRIu64
           ",\"alarm_bytes\":%" PRIu64 ",\"bound\":\"%s\",\"pin\":\"%s\",",
           plan->ram_bytes, plan->os_reserve_bytes, plan->usable_bytes,
           plan->safe_limit_bytes, plan->alarm_bytes,
           plan_bound_name(plan->bound), plan_pin_name(plan->pin));
    printf("\"warnings\":[");
    for (uint32_t i = 0; i < plan->n_warnings; i++)
        printf("%s\"%s\"", i ? "," : "", plan->warnings[i]);
    printf("]}\n");
}

static bool take_option(const char *text, struct plan_demand *demand)
{
    const char *value = strchr(text, '=');
    uint64_t number = value ? strtoull(value + 1, NULL, 10) : 0;

    if (strncmp(text, "quota=", 6) == 0)
        demand->quota_milli = (uint32_t)number;
    else if (strncmp(text, "limit=", 6) == 0)
        demand->memory_limit = number;
    else if (strncmp(text, "workers=", 8) == 0)
        demand->workers = (uint32_t)number;
    else if (strncmp(text, "shared=", 7) == 0)
        demand->shared_bytes = number;
    else
        return false;
    return true;
}

static int dump(const struct machine_source *source,
                const struct plan_demand *demand)
{
    struct machine *machine;
    struct plan *plan;
    int rc = machine_read(source, &machine);

    if (rc < 0) {
        fprintf(stderr, "machine_read: %s\n", strerror(-rc));
        return 1;
    }
    rc = plan_make(machine, demand, &plan);
    if (rc == 0) {
        printf("{");
        print_machine(machine);
        print_places(machine, plan);
        print_reserved(machine, plan);
        print_nodes(machine, plan);
        print_steals(plan);
        print_sizes(plan);
        plan_free(plan);
    } else {
        fprintf(stderr, "plan_make: %s\n", strerror(-rc));
    }
    machine_free(machine);
    return rc < 0;
}

int main(int argc, char **argv)
{
    struct machine_source source = {0};
    struct plan_demand demand;

    plan_demand_init(&demand);
    if (argc < 4)
        return 2;
    if (strcmp(argv[1], "xml") == 0)
        source.xml = argv[2];
    else
        source.synthetic = argv[2];
    demand.worker_bytes = strtoull(argv[3], NULL, 10);
    for (int i = 4; i < argc; i++)
        if (!take_option(argv[i], &demand))
            return 2;
    return dump(&source, &demand);
}
