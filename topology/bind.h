/* SPDX-License-Identifier: MIT */
/*
 * bind - apply a place of the plan to this process, and look afterwards.
 *
 * To be called before the process allocates: moving the CPU moves no page.
 * The kernel is asked directly and read back, since it cuts a CPU set down
 * to the cpuset without saying so. EPERM and ENOSYS are normal answers in
 * containers whose seccomp profile forbids memory policies.
 */
#ifndef GCORN_TOPOLOGY_BIND_H
#define GCORN_TOPOLOGY_BIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "topology/cpus.h"

/* Where a process's private anonymous pages are. */
struct bind_pages {
    uint64_t local;
    uint64_t elsewhere;
    /* Of those: in areas that no other process has pages of. */
    uint64_t own_local;
    uint64_t own_elsewhere;
};

/*
 * Binds the calling thread and what it starts. An empty set changes nothing.
 * Returns 0, -errno, or -ESTALE when the kernel granted only a part.
 */
int bind_cpus(const struct cpus *cpus);

/*
 * Binds all threads that @pid has now, as far as they live on until it is
 * their turn. Returns 0, or -errno of the process's first thread.
 */
int bind_process_cpus(pid_t pid, const struct cpus *cpus);

/* The CPUs that process or thread @pid (0: this one) may run on. */
int bind_cpus_get(pid_t pid, struct cpus *ret_cpus);

/*
 * New pages of this thread, and of what it starts, come from @node (OS index;
 * -1: the kernel's default) as long as it has any; with @strict from nowhere
 * else, to the point of being killed. Returns 0 or -errno.
 */
int bind_memory(int node, bool strict);

/* The same for a range of whole pages, also shared, before its first touch. */
int bind_range(void *start, size_t length, int node, bool strict);

/* The node of the page at @address, which is touched; or -errno. */
int bind_page_node(const void *address);

/*
 * Counts the private anonymous pages of @pid (0: this process) on @node and
 * elsewhere. Slow (walks the page tables): at most every few seconds.
 * Returns 0 or -errno; -ENOENT also on a kernel without NUMA.
 */
int bind_count_pages(pid_t pid, int node, struct bind_pages *ret_pages);

#endif
