/* SPDX-License-Identifier: MIT */
/*
 * cgroup - the limits this process runs under: CPU quota, memory, processes.
 *
 * The tightest of *all* ancestors that can be seen counts, of version 1, of
 * version 2, or of both where a system mounts both. What lies above the
 * namespace's root cannot be read; `partial` says so.
 */
#ifndef GCORN_TOPOLOGY_CGROUP_H
#define GCORN_TOPOLOGY_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "topology/cpus.h"

#define CGROUP_PATH 256

/* A limit and who sets it; value 0 means that there is none. */
struct cgroup_limit {
    uint64_t value;
    char path[CGROUP_PATH]; /* of the cgroup, below its hierarchy's root */
};

struct cgroup_limits {
    struct cgroup_limit quota;       /* CPUs in thousandths */
    struct cgroup_limit memory_max;  /* bytes: killed above */
    struct cgroup_limit memory_high; /* bytes: throttled above */
    struct cgroup_limit pids_max;
    struct cpus cpuset;    /* empty: no cpuset found */
    bool cpuset_exclusive; /* nobody else may run there */
    bool has_v1, has_v2;
    bool partial;
};

/*
 * Reads the limits of this process from below @root ("" for the system
 * itself; a directory with proc/self and sys/fs/cgroup for tests). A file
 * that is missing is no limit. Returns 0, or -errno when proc/self/cgroup
 * cannot be read.
 */
int cgroup_read(const char *root, struct cgroup_limits *ret_limits);

#endif
