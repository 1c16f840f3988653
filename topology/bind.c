/* SPDX-License-Identifier: MIT */
#include "topology/bind.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "topology/sysfile.h"

#define NODES_MAX 1024
#define BITS_PER_LONG (8 * sizeof(unsigned long))

/*
 * The system calls are used directly: libnuma prints warnings of its own and
 * hwloc turns "bind" into "prefer", and into nothing after reading a file.
 */
struct node_mask {
    unsigned long word[NODES_MAX / BITS_PER_LONG];
};

static bool mask_of(int node, struct node_mask *ret_mask)
{
    if (node < 0 || node >= NODES_MAX)
        return false;
    *ret_mask = (struct node_mask){0};
    ret_mask->word[(size_t)node / BITS_PER_LONG] =
        1UL << ((size_t)node % BITS_PER_LONG);
    return true;
}

static int mode_of(bool strict)
{
    return strict ? MPOL_BIND : MPOL_PREFERRED;
}

int bind_cpus_get(pid_t pid, struct cpus *ret_cpus)
{
    cpu_set_t *set = CPU_ALLOC(CPUS_MAX);
    size_t size = CPU_ALLOC_SIZE(CPUS_MAX);
    struct cpus cpus = {0};
    int rc = 0;

    if (!set)
        return -ENOMEM;
    CPU_ZERO_S(size, set);
    if (sched_getaffinity(pid, size, set) < 0)
        rc = -errno;
    for (uint32_t i = 0; rc == 0 && i < CPUS_MAX; i++)
        if (CPU_ISSET_S(i, size, set))
            cpus_add(&cpus, i);
    CPU_FREE(set);
    if (rc == 0)
        *ret_cpus = cpus;
    return rc;
}

static int set_affinity(pid_t tid, const struct cpus *cpus)
{
    cpu_set_t *set = CPU_ALLOC(CPUS_MAX);
    size_t size = CPU_ALLOC_SIZE(CPUS_MAX);
    int rc = 0;

    if (!set)
        return -ENOMEM;
    CPU_ZERO_S(size, set);
    for (uint32_t i = 0; i < CPUS_MAX; i++)
        if (cpus_has(cpus, i))
            CPU_SET_S(i, size, set);
    if (sched_setaffinity(tid, size, set) < 0)
        rc = -errno;
    CPU_FREE(set);
    return rc;
}

int bind_cpus(const struct cpus *cpus)
{
    struct cpus got;
    int rc;

    if (cpus_is_empty(cpus))
        return 0;
    rc = set_affinity(0, cpus);
    if (rc == 0)
        rc = bind_cpus_get(0, &got);
    if (rc == 0 && !cpus_equal(cpus, &got))
        rc = -ESTALE;
    return rc;
}

struct bind_threads {
    const struct cpus *cpus;
};

static void bind_thread(const char *name, void *data)
{
    const struct bind_threads *threads = data;

    set_affinity((pid_t)strtol(name, NULL, 10), threads->cpus);
}

int bind_process_cpus(pid_t pid, const struct cpus *cpus)
{
    struct bind_threads threads = {cpus};
    char path[64];
    int rc = set_affinity(pid, cpus);

    if (rc < 0)
        return rc;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    sysfile_each("", path, bind_thread, &threads);
    return 0;
}

int bind_memory(int node, bool strict)
{
    struct node_mask mask;
    long rc;

    if (node < 0)
        rc = syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0UL);
    else if (!mask_of(node, &mask))
        return -EINVAL;
    else /* The kernel wants one more than the number of bits. */
        rc = syscall(SYS_set_mempolicy, mode_of(strict), mask.word,
                     (unsigned long)NODES_MAX + 1);
    return rc < 0 ? -errno : 0;
}

int bind_range(void *start, size_t length, int node, bool strict)
{
    struct node_mask mask;
    long rc;

    if (node < 0)
        rc = syscall(SYS_mbind, start, length, MPOL_DEFAULT, NULL, 0UL, 0U);
    else if (!mask_of(node, &mask))
        return -EINVAL;
    else
        rc = syscall(SYS_mbind, start, length, mode_of(strict), mask.word,
                     (unsigned long)NODES_MAX + 1, 0U);
    return rc < 0 ? -errno : 0;
}

/*
 * Not move_pages(): while the kernel's automatic balancing scans a page that
 * call says ENOENT for it.
 */
int bind_page_node(const void *address)
{
    int node = -1;

    if (syscall(SYS_get_mempolicy, &node, NULL, 0UL, address,
                (unsigned long)(MPOL_F_NODE | MPOL_F_ADDR)) < 0)
        return -errno;
    return node;
}

/* "N3=1204" counts pages of node 3. */
static void add_counts(char *line, int node, struct bind_pages *pages)
{
    bool own = strstr(line, " mapmax=") == NULL;
    char *p = line;
    uint64_t count;
    int at;

    while ((p = strstr(p, " N"))) {
        p += 2;
        if (sscanf(p, "%d=%" SCNu64, &at, &count) != 2)
            continue;
        *(at == node ? &pages->local : &pages->elsewhere) += count;
        if (own)
            *(at == node ? &pages->own_local : &pages->own_elsewhere) += count;
    }
}

int bind_count_pages(pid_t pid, int node, struct bind_pages *ret_pages)
{
    struct bind_pages pages = {0};
    char path[64], *line = NULL;
    size_t size = 0;
    FILE *file;

    if (pid)
        snprintf(path, sizeof(path), "/proc/%d/numa_maps", (int)pid);
    else
        snprintf(path, sizeof(path), "/proc/self/numa_maps");
    file = fopen(path, "re");
    if (!file)
        return -errno;
    /* Pages of files and of shared memory were placed by whoever was first. */
    while (getline(&line, &size, file) >= 0)
        if (strstr(line, " anon=") && !strstr(line, " file="))
            add_counts(line, node, &pages);
    free(line);
    fclose(file);
    *ret_pages = pages;
    return 0;
}
