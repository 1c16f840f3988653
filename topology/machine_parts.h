/* SPDX-License-Identifier: MIT */
/*
 * machine_parts - how machine_read() fills a machine, inside topology/ only.
 */
#ifndef GCORN_TOPOLOGY_MACHINE_PARTS_H
#define GCORN_TOPOLOGY_MACHINE_PARTS_H

#include <hwloc.h>

#include "topology/machine.h"

/*
 * While reading, hwloc's objects are kept beside the plain data, each in the
 * same place of its array.
 */
struct machine_reading {
    hwloc_topology_t topology;
    struct machine *machine;
    hwloc_obj_t *core_objs;
    hwloc_obj_t *node_objs;
    hwloc_obj_type_t core_type;
};

/* Returns 0, or -E2BIG for a CPU beyond CPUS_MAX. */
int machine_cpus_of(hwloc_const_bitmap_t bitmap, struct cpus *ret_cpus);

/* In this order; each returns 0 or -errno. */
int machine_read_nodes(struct machine_reading *r);
int machine_read_distances(struct machine_reading *r);
int machine_read_cores(struct machine_reading *r);
int machine_read_llcs(struct machine_reading *r);

#endif
