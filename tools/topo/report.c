/* SPDX-License-Identifier: MIT */
#include "tools/topo/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "topology/settings.h"
#include "topology/settings_cpu.h"
#include "topology/tier.h"

/* A file or description of a machine has no /proc to look into. */
static const char *root_of(const struct machine_source *source)
{
    if (source->xml || source->synthetic)
        return NULL;
    return source->sysroot ? source->sysroot : "";
}

/* What the command line says goes before what the system has. */
static void merge_limits(struct report *r)
{
    const struct plan_demand *asked = &r->options->demand;

    r->demand = *asked;
    plan_demand_limit(&r->demand, &r->limits);
    r->demand.container = r->host.container;
    if (r->demand.pin != PLAN_PIN_OFF)
        r->demand.taken = r->claims.taken;
    if (asked->quota_milli)
        r->demand.quota_milli = asked->quota_milli;
    if (asked->memory_limit)
        r->demand.memory_limit = asked->memory_limit;
}

static int read_devices(struct report *r)
{
    return r->root ? devices_read(r->root, &r->devices)
                   : devices_from_machine(r->machine, &r->devices);
}

static void read_host(struct report *r)
{
    if (!r->root)
        return;
    host_read(r->root, &r->host);
    dimms_read(r->root, &r->dimms);
    /* No /proc: no limits. */
    if (cgroup_read(r->root, &r->limits) < 0)
        r->limits = (struct cgroup_limits){0};
    if (r->machine->is_this_system && !r->options->no_claims)
        claim_look(NULL, &r->claims);
}

static void grade(struct report *r)
{
    struct tier_facts facts = {.machine = r->machine,
                               .plan = r->plan,
                               .host = &r->host,
                               .processor = &r->processor,
                               .dimms = &r->dimms,
                               .devices = r->devices,
                               .random_read_iops = r->iops};

    tier_check(&facts, &r->checks);
    if (r->root) {
        settings_check(r->root, r->machine, r->plan, &r->checks);
        settings_cpu_check(r->root, &r->checks);
        settings_irq_check(r->machine, r->plan, r->devices, &r->checks);
    }
    checks_summarize(&r->checks, &r->summary);
}

static int gather(struct report *r)
{
    int rc = machine_read(&r->options->source, &r->machine);

    if (rc < 0)
        return rc;
    read_host(r);
    processor_read(r->root, r->machine, &r->processor);
    rc = read_devices(r);
    if (rc < 0)
        return rc;
    merge_limits(r);
    return plan_make(r->machine, &r->demand, &r->plan);
}

int report_make(const struct topo_options *options, struct report *ret_report)
{
    int rc;

    *ret_report = (struct report){.options = options,
                                  .root = root_of(&options->source),
                                  .when = time(NULL)};
    rc = gather(ret_report);
    if (rc == 0 && options->bench_dir)
        rc = bench_io(options->bench_dir, &ret_report->iops);
    if (rc < 0) {
        report_done(ret_report);
        return rc;
    }
    grade(ret_report);
    return 0;
}

void report_done(struct report *report)
{
    plan_free(report->plan);
    devices_free(report->devices);
    machine_free(report->machine);
}

enum core_use report_core_use(const struct report *report, uint32_t core,
                              int32_t *ret_worker)
{
    const struct plan *plan = report->plan;

    *ret_worker = -1;
    for (uint32_t i = 0; i < plan->n_workers; i++)
        if (plan->places[i].core == (int32_t)core) {
            *ret_worker = (int32_t)i;
            return plan->places[i].remote ? CORE_REMOTE : CORE_WORKER;
        }
    for (uint32_t i = 0; i < plan->n_reserved; i++)
        if (plan->reserved[i] == core)
            return CORE_RESERVED;
    if (cpus_intersect(&report->machine->cores[core].pus,
                       &report->claims.taken))
        return CORE_CLAIMED;
    return machine_core_is_usable(&report->machine->cores[core])
               ? CORE_IDLE
               : CORE_NOT_OURS;
}

const char *report_size(uint64_t bytes, char *text, size_t size)
{
    const double mib = 1 << 20, gib = 1 << 30;

    if (bytes >= UINT64_C(1) << 50)
        snprintf(text, size, "%.1f PiB", (double)bytes / gib / 1024 / 1024);
    else if (bytes >= UINT64_C(10) << 40)
        snprintf(text, size, "%.1f TiB", (double)bytes / gib / 1024);
    else if (bytes >= UINT64_C(1) << 30)
        snprintf(text, size, "%.1f GiB", (double)bytes / gib);
    else if (bytes < UINT64_C(100) << 20 && bytes % (UINT64_C(1) << 20))
        snprintf(text, size, "%.1f MiB", (double)bytes / mib);
    else
        snprintf(text, size, "%.0f MiB", (double)bytes / mib);
    return text;
}

bool report_is_guest(const struct report *report)
{
    const char *virt = report->host.virt;

    return virt[0] && strcmp(virt, "none") != 0 && strcmp(virt, "unknown") != 0;
}

void report_result(const struct report *report, char *text, size_t size)
{
    const struct checks_summary *s = &report->summary;
    const char *verdict = "tier MET";

    if (s->count[CHECK_FAIL] > 0)
        verdict = "tier NOT MET";
    else if (s->count[CHECK_UNKNOWN] > 0)
        verdict = "not gradable";
    snprintf(text, size, "%s: %u pass, %u fail, %u unknown, %u + %u warnings",
             verdict, s->count[CHECK_PASS], s->count[CHECK_FAIL],
             s->count[CHECK_UNKNOWN], s->count[CHECK_WARN], s->kernel_warnings);
}
