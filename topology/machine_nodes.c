/* SPDX-License-Identifier: MIT */
/*
 * Memory nodes. In hwloc they hang beside the tree of cores, not in it, and a
 * node without memory is not there at all: its cores then have no node.
 */
#include "topology/machine_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base.h"

int machine_cpus_of(hwloc_const_bitmap_t bitmap, struct cpus *ret_cpus)
{
    struct cpus cpus = {0};
    int cpu = hwloc_bitmap_first(bitmap);

    for (; cpu >= 0; cpu = hwloc_bitmap_next(bitmap, cpu)) {
        if (cpu >= CPUS_MAX)
            return -E2BIG;
        cpus_add(&cpus, (uint32_t)cpu);
    }
    *ret_cpus = cpus;
    return 0;
}

static bool is_special_subtype(const char *subtype)
{
    static const char *const names[] = {"HBM", "MCDRAM", "NVM", "SPM",
                                        "GPUMemory"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(subtype, names[i]) == 0)
            return true;
    return strncmp(subtype, "CXL", 3) == 0;
}

/* By OS index, so that "the lowest" is "the first" everywhere. */
static int compare_nodes(const void *a, const void *b)
{
    const hwloc_obj_t *x = a, *y = b;

    return ((*x)->os_index > (*y)->os_index) -
           ((*x)->os_index < (*y)->os_index);
}

static int fill_node(struct machine_reading *r, uint32_t i)
{
    hwloc_obj_t obj = r->node_objs[i];
    struct machine_node *node = &r->machine->nodes[i];
    hwloc_const_nodeset_t allowed =
        hwloc_topology_get_allowed_nodeset(r->topology);
    const char *special = "";

    if (obj->subtype && is_special_subtype(obj->subtype))
        special = obj->subtype;
    else if (hwloc_bitmap_iszero(obj->complete_cpuset))
        special = "CPU-less";
    snprintf(node->special, sizeof(node->special), "%s", special);
    node->os_index = obj->os_index;
    node->bytes = obj->attr->numanode.local_memory;
    node->allowed = hwloc_bitmap_isset(allowed, obj->os_index);
    return machine_cpus_of(obj->cpuset, &node->cpus);
}

/* Does @other serve the same or fewer CPUs, so that node @i comes second? */
static bool is_covered_by(const struct machine_reading *r, uint32_t i,
                          uint32_t other)
{
    hwloc_const_bitmap_t mine = r->node_objs[i]->complete_cpuset;
    hwloc_const_bitmap_t theirs = r->node_objs[other]->complete_cpuset;

    if (i == other || r->machine->nodes[other].special[0] ||
        r->machine->nodes[other].bytes == 0)
        return false;
    if (hwloc_bitmap_isequal(theirs, mine))
        return other < i;
    return hwloc_bitmap_isincluded(theirs, mine);
}

/*
 * A big slow node behind several small fast ones is not RAM for workers,
 * even when an old kernel does not say what it is made of.
 */
static void mark_secondary(struct machine_reading *r)
{
    struct machine *m = r->machine;

    for (uint32_t i = 0; i < m->n_nodes; i++)
        for (uint32_t k = 0; k < m->n_nodes && !m->nodes[i].special[0]; k++)
            if (is_covered_by(r, i, k))
                snprintf(m->nodes[i].special, sizeof(m->nodes[i].special),
                         "secondary");
}

int machine_read_nodes(struct machine_reading *r)
{
    int count = hwloc_get_nbobjs_by_type(r->topology, HWLOC_OBJ_NUMANODE);
    struct machine *m = r->machine;
    hwloc_obj_t obj = NULL;
    uint32_t n = 0;
    int rc = 0;

    m->n_nodes = count > 0 ? (uint32_t)count : 0;
    m->nodes = calloc(m->n_nodes + 1, sizeof(*m->nodes));
    r->node_objs = calloc(m->n_nodes + 1, sizeof(*r->node_objs));
    if (!m->nodes || !r->node_objs)
        return -ENOMEM;
    while (n < m->n_nodes && (obj = hwloc_get_next_obj_by_type(
                                  r->topology, HWLOC_OBJ_NUMANODE, obj)))
        r->node_objs[n++] = obj;
    qsort(r->node_objs, n, sizeof(*r->node_objs), compare_nodes);
    for (uint32_t i = 0; i < n && rc == 0; i++)
        rc = fill_node(r, i);
    mark_secondary(r);
    return rc;
}

/* The numbers may have gaps: 0, 8, 252. n_nodes when it is not there. */
static uint32_t node_place(const struct machine *m, uint32_t os_index)
{
    uint32_t i = 0;

    while (i < m->n_nodes && m->nodes[i].os_index != os_index)
        i++;
    return i;
}

/* hwloc lists the matrix in an order of its own. */
static void copy_distances(struct machine *m, const struct hwloc_distances_s *d)
{
    for (unsigned i = 0; i < d->nbobjs * d->nbobjs; i++) {
        hwloc_obj_t from = d->objs[i / d->nbobjs];
        hwloc_obj_t to = d->objs[i % d->nbobjs];
        uint32_t a = from ? node_place(m, from->os_index) : m->n_nodes;
        uint32_t b = to ? node_place(m, to->os_index) : m->n_nodes;

        if (a < m->n_nodes && b < m->n_nodes)
            m->distances[a * m->n_nodes + b] = (uint32_t)d->values[i];
    }
}

int machine_read_distances(struct machine_reading *r)
{
    struct machine *m = r->machine;
    struct hwloc_distances_s *d = NULL;
    unsigned count = 1;

    m->distances = calloc((size_t)m->n_nodes * m->n_nodes + 1,
                          sizeof(*m->distances));
    if (!m->distances)
        return -ENOMEM;
    if (hwloc_distances_get_by_name(r->topology, "NUMALatency", &count, &d, 0) <
            0 ||
        count == 0 || !d)
        return 0;
    copy_distances(m, d);
    hwloc_distances_release(r->topology, d);
    return 0;
}
