/* SPDX-License-Identifier: MIT */
/*
 * memory_node - which memory node the next pages of this thread, and of what
 * it forks, come from, and those it has.
 */
#ifndef GCORN_PYTHON_MEMORY_NODE_H
#define GCORN_PYTHON_MEMORY_NODE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * @node is preferred, or with @strict the only one; -1: the kernel's default,
 * the node it runs on. Logs when the kernel refuses, as in containers.
 */
void memory_node_set(int32_t node, bool strict);

/*
 * Takes copies of the private pages that this process has inherited and that
 * are on other nodes, so that they come from where memory_node_set() says: a
 * page that processes share is moved by no system call. To be called while
 * there is one thread.
 */
void memory_node_copy(int32_t node);

#endif
