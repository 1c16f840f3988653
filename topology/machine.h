/* SPDX-License-Identifier: MIT */
/*
 * machine - what this machine is: packages, physical cores, SMT siblings,
 * last-level caches, NUMA nodes and where its network cards and disks hang.
 *
 * Plain data without pointers into hwloc: read once, then only looked at.
 * CPU quotas and memory limits are not here but in cgroup.h; who should run
 * where is plan.h.
 */
#ifndef GCORN_TOPOLOGY_MACHINE_H
#define GCORN_TOPOLOGY_MACHINE_H

#include "topology/cpus.h"

enum machine_origin {
    MACHINE_LIVE,
    MACHINE_XML,
    MACHINE_SYNTHETIC,
    MACHINE_SYSROOT,
};

/* At most one of the three is set; none means the running system. */
struct machine_source {
    const char *xml;       /* an hwloc XML file */
    const char *synthetic; /* an hwloc synthetic description */
    const char *sysroot;   /* a directory with /sys and /proc in it */
};

/* What a core's cache domain is made of, in order of preference. */
enum machine_llc_kind {
    MACHINE_LLC_L3,
    MACHINE_LLC_L2, /* an L2 that two or more cores share */
    MACHINE_LLC_NODE,
    MACHINE_LLC_WHOLE,
};

struct machine_llc {
    enum machine_llc_kind kind;
    uint32_t id;    /* hwloc's logical index, or the node's place in nodes[] */
    uint64_t bytes; /* 0: not a cache, or unknown */
};

struct machine_core {
    struct cpus pus;    /* hardware threads that are online */
    struct cpus usable; /* those of them that we may use; may be empty */
    int32_t efficiency; /* higher is faster; -1 when all are alike */
    int32_t package;    /* -1: unknown */
    int32_t llc;        /* place in llcs[] */
    int32_t node;       /* place in nodes[], -1: no local memory for us */
};

struct machine_node {
    uint32_t os_index;
    uint64_t bytes; /* 0: unknown */
    struct cpus cpus;
    bool allowed;     /* our cpuset lets us allocate there */
    uint32_t nics;    /* Ethernet ports next to it */
    char special[16]; /* "HBM", "CPU-less", "secondary", ...; "": normal RAM */
};

enum machine_device_kind { MACHINE_NET, MACHINE_DISK, MACHINE_FABRIC };

struct machine_device {
    enum machine_device_kind kind;
    bool ethernet; /* counts as a place where interrupts come in */
    int32_t node;  /* place in nodes[], -1: unknown */
    char name[32];
};

struct machine {
    enum machine_origin origin;
    bool is_this_system; /* binding to it makes sense */
    uint32_t n_cores, n_llcs, n_nodes, n_devices;
    /* Ordered as hwloc counts them: neighbours are close. */
    struct machine_core *cores;
    /* Domains with usable cores first, in order of their first core. */
    struct machine_llc *llcs;
    uint32_t n_llcs_usable;
    struct machine_node *nodes; /* by OS index */
    struct machine_device *devices;
    /* n_nodes * n_nodes, row is "from"; 10 is local, 0 is unknown. */
    uint32_t *distances;

    struct cpus online;
    struct cpus allowed;  /* by cpuset */
    struct cpus affinity; /* inherited; all of them when not live */
    uint32_t packages, packages_usable;
    uint32_t n_kinds; /* of cores, 1 when all are alike */
    uint32_t n_l3;
    uint64_t l3_bytes;
    uint64_t meminfo_bytes; /* /proc/meminfo MemTotal; 0: not read */
    char hwloc[16];         /* version of the library that read it */
    char cpu_vendor[32];
    char cpu_model[96];
    int32_t cpu_family, cpu_model_number; /* -1: unknown */
};

/*
 * Returns 0; -EINVAL for a description or file that cannot be understood,
 * -ENOENT and others for one that cannot be read, -E2BIG for CPUs beyond
 * CPUS_MAX, -ENOMEM. Call it before threads are started, and before this
 * process binds itself: the affinity it finds counts as the operator's wish.
 * Removes hwloc's variables from the environment.
 */
int machine_read(const struct machine_source *source,
                 struct machine **ret_machine);
void machine_free(struct machine *machine);

static inline bool machine_core_is_usable(const struct machine_core *core)
{
    return !cpus_is_empty(&core->usable);
}

/* A node whose memory counts as RAM for workers. */
static inline bool machine_node_is_counted(const struct machine_node *node)
{
    return node->allowed && node->special[0] == '\0';
}

#endif
