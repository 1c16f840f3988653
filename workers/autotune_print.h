/* SPDX-License-Identifier: MIT */
/*
 * autotune_print - what --autotune found, for people and for programs.
 */
#ifndef GCORN_WORKERS_AUTOTUNE_PRINT_H
#define GCORN_WORKERS_AUTOTUNE_PRINT_H

#include "workers/placement.h"
#include "workers/probe.h"

struct autotune_report {
    const struct config *config;
    const struct probe_result *measured;
    const struct placement *placement; /* its plan and need */
    uint64_t lifetime;                 /* requests; 0: no end in sight */
};

void autotune_print_text(const struct autotune_report *report, FILE *out);

/* One object, "gcorn-autotune/1"; sizes in bytes. */
void autotune_print_json(const struct autotune_report *report, FILE *out);
#endif
