/* SPDX-License-Identifier: MIT */
/*
 * options - the command line of gcorn-topo.
 */
#ifndef GCORN_TOPO_OPTIONS_H
#define GCORN_TOPO_OPTIONS_H

#include <stdbool.h>

#include "topology/machine.h"
#include "topology/plan.h"

enum topo_color { TOPO_COLOR_AUTO, TOPO_COLOR_ALWAYS, TOPO_COLOR_NEVER };

struct topo_options {
    struct machine_source source;
    /* What the plan is asked for; limits of the system come on top. */
    struct plan_demand demand;
    bool no_claims; /* as if no gcorn were running */
    bool json, plan_only, check, strict, fixes, all, help, version;
    const char *svg, *html; /* "-" is standard output */
    const char *bench_dir;
    enum topo_color color;
    int width; /* 0: the terminal's */
};

/* Returns 0, or -EINVAL after saying on standard error what is wrong. */
int options_parse(int argc, char **argv, struct topo_options *ret_options);

/* The text of --help. */
extern const char options_help[];

#endif
