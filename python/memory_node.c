/* SPDX-License-Identifier: MIT */
#include "memory_node.h"

#include <linux/mempolicy.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/log.h"

#define NODES_MAX 1024
#define NODE_WORDS (NODES_MAX / 64)

/* The kernel reads one bit less than it is told. */
static long set_policy(int32_t node, bool strict)
{
    uint64_t nodes[NODE_WORDS] = {0};

    if (node < 0)
        return syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0);
    nodes[node / 64] = 1ULL << node % 64;
    return syscall(SYS_set_mempolicy, strict ? MPOL_BIND : MPOL_PREFERRED,
                   nodes, NODES_MAX + 1);
}

void memory_node_set(int32_t node, bool strict)
{
    if (node >= NODES_MAX)
        return;
    if (set_policy(node, strict) < 0 && node >= 0)
        log_warning("The interpreter's memory cannot be put on node %d: %s",
                    (int)node, strerror(errno));
}
