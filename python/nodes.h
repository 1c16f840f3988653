/* SPDX-License-Identifier: MIT */
/*
 * nodes - with preload on a machine of several memory nodes: one template for
 * each node that hosts interpreters, so that the pages they share by fork are
 * local to all of them.
 *
 *   master -- relay -+- template of node 0 -- interpreters
 *                    +- template of node 1 -- interpreters
 *
 * The relay is what the master started and takes for the template. It passes
 * an order to fork to the template of its node, says READY when all are, and
 * ends as the first of them that fails does.
 */
#ifndef GCORN_PYTHON_NODES_H
#define GCORN_PYTHON_NODES_H

#include "host.h"

/*
 * Called with the GIL, before anything is preloaded. False in a process that
 * goes on as a template, which is this one where one template is enough. True
 * in the relay, when all is over: *ret_code is what to exit with.
 */
bool nodes_split(struct host *host, int *ret_code);

#endif
