/* SPDX-License-Identifier: MIT */
/*
 * Cores and the caches they share. hwloc lists hardware threads, and knows for
 * each what is above it; a core is here what the threads of one core have in
 * common, also on machines that report no cores.
 */
#include "topology/machine_parts.h"

#include <errno.h>
#include <stdlib.h>

/* Old files and some architectures have no cores: the L1 or PU stands in. */
static hwloc_obj_type_t core_type_of(hwloc_topology_t topology)
{
    if (hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE) > 0)
        return HWLOC_OBJ_CORE;
    if (hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_L1CACHE) > 0)
        return HWLOC_OBJ_L1CACHE;
    return HWLOC_OBJ_PU;
}

/* Objects of the core type need not cover all threads. */
static hwloc_obj_t core_above(const struct machine_reading *r, hwloc_obj_t pu)
{
    hwloc_obj_t core = NULL;

    if (r->core_type != HWLOC_OBJ_PU)
        core = hwloc_get_ancestor_obj_by_type(r->topology, r->core_type, pu);
    return core ? core : pu;
}

/* Dumps of CPUID alone have nodes without sizes. */
static bool has_memory_data(const struct machine *m)
{
    for (uint32_t i = 0; i < m->n_nodes; i++)
        if (m->nodes[i].bytes > 0)
            return true;
    return false;
}

/*
 * The smallest node around the core; of equals the first. A node without memory
 * is no home, unless no node of the machine tells its size.
 */
static int32_t local_node(const struct machine *m, const struct cpus *pus)
{
    bool known = has_memory_data(m);
    int32_t best = -1;
    uint32_t best_count = 0;

    for (uint32_t i = 0; i < m->n_nodes; i++) {
        const struct machine_node *node = &m->nodes[i];
        uint32_t count = cpus_count(&node->cpus);

        if (!machine_node_is_counted(node) || (known && node->bytes == 0) ||
            !cpus_contain(&node->cpus, pus))
            continue;
        if (best < 0 || count < best_count) {
            best = (int32_t)i;
            best_count = count;
        }
    }
    return best;
}

/*
 * As hwloc ranks the kinds: higher is faster. It may see more kinds than there
 * are, by small differences in frequency; the order is right all the same.
 */
static int32_t efficiency_of(const struct machine_reading *r, hwloc_obj_t core)
{
    int kind = hwloc_cpukinds_get_by_cpuset(r->topology, core->cpuset, 0);
    int efficiency = -1;

    if (kind < 0 || hwloc_cpukinds_get_info(r->topology, (unsigned)kind, NULL,
                                            &efficiency, NULL, NULL, 0) < 0)
        return -1;
    return efficiency;
}

static int fill_core(struct machine_reading *r, hwloc_obj_t obj)
{
    struct machine *m = r->machine;
    struct machine_core *core = &m->cores[m->n_cores];
    hwloc_obj_t package =
        hwloc_get_ancestor_obj_by_type(r->topology, HWLOC_OBJ_PACKAGE, obj);
    int rc = machine_cpus_of(obj->cpuset, &core->pus);

    r->core_objs[m->n_cores++] = obj;
    core->usable = core->pus;
    cpus_and(&core->usable, &m->allowed);
    cpus_and(&core->usable, &m->affinity);
    core->efficiency = efficiency_of(r, obj);
    core->package = package ? (int32_t)package->logical_index : -1;
    core->llc = -1;
    core->node = local_node(m, &core->pus);
    return rc;
}

int machine_read_cores(struct machine_reading *r)
{
    int count = hwloc_get_nbobjs_by_type(r->topology, HWLOC_OBJ_PU);
    struct machine *m = r->machine;
    hwloc_obj_t pu = NULL, last = NULL;

    if (count <= 0)
        return -EINVAL;
    m->cores = calloc((size_t)count, sizeof(*m->cores));
    r->core_objs = calloc((size_t)count, sizeof(*r->core_objs));
    if (!m->cores || !r->core_objs)
        return -ENOMEM;
    r->core_type = core_type_of(r->topology);
    /* Siblings are neighbours in this order. */
    while ((pu = hwloc_get_next_obj_by_type(r->topology, HWLOC_OBJ_PU, pu))) {
        hwloc_obj_t core = core_above(r, pu);
        int rc = core == last ? 0 : fill_core(r, core);

        if (rc < 0)
            return rc;
        last = core;
    }
    return 0;
}

/*
 * An L2 of a single core is nobody's domain; one shared by a cluster is, as on
 * ARM and on the small cores of hybrid CPUs.
 */
static hwloc_obj_t cache_above(const struct machine_reading *r,
                               hwloc_obj_t core)
{
    hwloc_obj_t l3 = hwloc_get_ancestor_obj_by_type(r->topology,
                                                    HWLOC_OBJ_L3CACHE, core);
    hwloc_obj_t l2 = hwloc_get_ancestor_obj_by_type(r->topology,
                                                    HWLOC_OBJ_L2CACHE, core);

    if (l3)
        return l3;
    if (l2 && hwloc_get_nbobjs_inside_cpuset_by_type(r->topology, l2->cpuset,
                                                     r->core_type) >= 2)
        return l2;
    return NULL;
}

static struct machine_llc llc_of(const struct machine_reading *r, uint32_t i)
{
    const struct machine_core *core = &r->machine->cores[i];
    hwloc_obj_t cache = cache_above(r, r->core_objs[i]);

    if (cache)
        return (struct machine_llc){
            cache->type == HWLOC_OBJ_L3CACHE ? MACHINE_LLC_L3 : MACHINE_LLC_L2,
            cache->logical_index, cache->attr->cache.size};
    if (core->node >= 0)
        return (struct machine_llc){MACHINE_LLC_NODE, (uint32_t)core->node, 0};
    return (struct machine_llc){MACHINE_LLC_WHOLE, 0, 0};
}

/* The place of this domain, new or known. */
static uint32_t llc_place(struct machine *m, struct machine_llc llc)
{
    uint32_t i = 0;

    while (i < m->n_llcs &&
           (m->llcs[i].kind != llc.kind || m->llcs[i].id != llc.id))
        i++;
    if (i == m->n_llcs)
        m->llcs[m->n_llcs++] = llc;
    return i;
}

int machine_read_llcs(struct machine_reading *r)
{
    struct machine *m = r->machine;
    hwloc_obj_t l3 = NULL;

    m->llcs = calloc(m->n_cores, sizeof(*m->llcs));
    if (!m->llcs)
        return -ENOMEM;
    /* Two passes: domains that hold usable cores are numbered first. */
    for (int usable = 1; usable >= 0; usable--) {
        for (uint32_t i = 0; i < m->n_cores; i++)
            if (machine_core_is_usable(&m->cores[i]) == (usable != 0))
                m->cores[i].llc = (int32_t)llc_place(m, llc_of(r, i));
        if (usable)
            m->n_llcs_usable = m->n_llcs;
    }
    while (
        (l3 = hwloc_get_next_obj_by_type(r->topology, HWLOC_OBJ_L3CACHE, l3))) {
        m->n_l3++;
        m->l3_bytes += l3->attr->cache.size;
    }
    return 0;
}
