/* SPDX-License-Identifier: MIT */
/*
 * tier - the machine against the High-Density Production Tier, line by line.
 *
 * Pure. Grades what can be believed: under a hypervisor the clock, the
 * caches and the memory modules are unknown, whatever is shown.
 */
#ifndef GCORN_TOPOLOGY_TIER_H
#define GCORN_TOPOLOGY_TIER_H

#include "topology/checks.h"
#include "topology/devices.h"
#include "topology/dimms.h"
#include "topology/host.h"
#include "topology/machine.h"
#include "topology/plan.h"
#include "topology/processor.h"

struct tier_facts {
    const struct machine *machine;
    const struct plan *plan; /* how many queues the workers can use */
    const struct host *host;
    const struct processor *processor;
    const struct dimms *dimms;
    const struct devices *devices;
    uint64_t random_read_iops; /* measured, 0: not */
};

void tier_check(const struct tier_facts *facts, struct checks *checks);

#endif
