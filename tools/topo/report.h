/* SPDX-License-Identifier: MIT */
/*
 * report - everything gcorn-topo knows, and the forms it can take.
 */
#ifndef GCORN_TOPO_REPORT_H
#define GCORN_TOPO_REPORT_H

#include <stdio.h>
#include <time.h>

#include "tools/topo/options.h"
#include "topology/cgroup.h"
#include "topology/checks.h"
#include "topology/claim.h"
#include "topology/devices.h"
#include "topology/dimms.h"
#include "topology/host.h"
#include "topology/machine.h"
#include "topology/plan.h"
#include "topology/processor.h"

struct report {
    const struct topo_options *options;
    const char *root; /* where files are read; NULL: there are none */
    time_t when;
    struct machine *machine;
    struct devices *devices;
    struct plan *plan;
    struct plan_demand demand; /* with the system's limits */
    struct host host;
    struct cgroup_limits limits;
    struct claim_view claims; /* of running masters */
    struct processor processor;
    struct dimms dimms;
    struct checks checks;
    struct checks_summary summary;
    uint64_t iops; /* measured, 0: not */
};

/* What a core is used for. */
enum core_use {
    CORE_NOT_OURS,
    CORE_CLAIMED, /* by a running gcorn */
    CORE_IDLE,
    CORE_RESERVED,
    CORE_WORKER,
    CORE_REMOTE, /* a worker whose memory is on another node */
};

/* Returns 0 or -errno; then nothing is left to free. */
int report_make(const struct topo_options *options, struct report *ret_report);
void report_done(struct report *report);

/* Also the worker's number, -1 where there is none. */
enum core_use report_core_use(const struct report *report, uint32_t core,
                              int32_t *ret_worker);
/* "62.9 GiB", "512 MiB" */
const char *report_size(uint64_t bytes, char *text, size_t size);
bool report_is_guest(const struct report *report);
/* The result in words: "tier MET: 13 pass" */
void report_result(const struct report *report, char *text, size_t size);

void report_text(const struct report *report, FILE *out, bool color, int width);
void report_fixes(const struct report *report, FILE *out);
void report_json(const struct report *report, FILE *out);
void report_svg(const struct report *report, FILE *out);
void report_html(const struct report *report, FILE *out);

/*
 * Random 4 KiB reads of a file made in @dir and removed again, straight from
 * the disk. Returns 0 or -errno.
 */
int bench_io(const char *dir, uint64_t *ret_iops);

#endif
