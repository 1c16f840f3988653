/* SPDX-License-Identifier: MIT */
/*
 * settings - kernel settings that matter to a server, each with its fix.
 *
 * Only reads; a fix is a command for the operator to look at.
 */
#ifndef GCORN_TOPOLOGY_SETTINGS_H
#define GCORN_TOPOLOGY_SETTINGS_H

#include "topology/checks.h"
#include "topology/plan.h"

/* Reads below @root; @plan is for this @machine. */
void settings_check(const char *root, const struct machine *machine,
                    const struct plan *plan, struct checks *checks);

#endif
