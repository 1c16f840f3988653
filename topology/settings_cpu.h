/* SPDX-License-Identifier: MIT */
/*
 * settings_cpu - how the processors are run: speed, sleep, threads, isolation,
 * and who gets the interrupts of network cards.
 */
#ifndef GCORN_TOPOLOGY_SETTINGS_CPU_H
#define GCORN_TOPOLOGY_SETTINGS_CPU_H

#include "topology/checks.h"
#include "topology/devices.h"
#include "topology/plan.h"

/* Reads below @root. What only informs passes. */
void settings_cpu_check(const char *root, struct checks *checks);

/* @plan is for this @machine, which has these @devices. */
void settings_irq_check(const struct machine *machine, const struct plan *plan,
                        const struct devices *devices, struct checks *checks);

#endif
