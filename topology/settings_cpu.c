/* SPDX-License-Identifier: MIT */
/*
 * CPU 0 stands for all: systems set their processors alike. A file that is not
 * there is a kernel, or a guest, without that switch: no line.
 */
#include "topology/settings_cpu.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "topology/sysfile.h"

#define CPU0 "/sys/devices/system/cpu/cpu0/"
#define WAKE_US_MAX 100

/* A driver that chooses by itself is told how in the second file. */
static void check_governor(const char *root, struct checks *checks)
{
    static const char path[] = CPU0 "cpufreq/scaling_governor";
    char governor[64], wish[64] = "";
    struct check *c;

    if (!sysfile_text(root, path, governor, sizeof(governor)))
        return;
    sysfile_text(root, CPU0 "cpufreq/energy_performance_preference", wish,
                 sizeof(wish));
    c = checks_add_kernel(checks, "cpu.governor", "CPU frequency governor",
                          path);
    check_need(c, "performance");
    check_found(c, "%s%s%s", governor, wish[0] ? ", prefers " : "", wish);
    check_that(c,
               strcmp(governor, "performance") == 0 ||
                   strcmp(wish, "performance") == 0 ||
                   strcmp(wish, "balance_performance") == 0,
               CHECK_WARN);
    if (c->status != CHECK_PASS)
        check_remedy(c, "cpupower frequency-set -g performance");
}

/* Intel's driver asks the question the other way round. */
static void check_boost(const char *root, struct checks *checks)
{
    static const char boost[] = "/sys/devices/system/cpu/cpufreq/boost";
    static const char no_turbo[] =
        "/sys/devices/system/cpu/intel_pstate/no_turbo";
    const char *path = boost;
    struct check *c;
    int64_t value;

    if (!sysfile_number(root, boost, &value)) {
        path = no_turbo;
        if (!sysfile_number(root, no_turbo, &value))
            return;
        value = !value;
    }
    c = checks_add_kernel(checks, "cpu.boost", "boost clock", path);
    check_need(c, "on");
    check_found(c, value ? "on" : "off");
    check_that(c, value != 0, CHECK_WARN);
    if (c->status != CHECK_PASS)
        check_remedy(c, "echo %d > %s", path == boost, path);
}

struct deepest {
    const char *root;
    int64_t us; /* to wake up */
    char name[32];
};

static void look_at_state(const char *entry, void *data)
{
    struct deepest *deepest = data;
    int64_t off = 0, us = 0;
    char path[128];

    snprintf(path, sizeof(path), CPU0 "cpuidle/%.32s/disable", entry);
    if (sysfile_number(deepest->root, path, &off) && off)
        return;
    snprintf(path, sizeof(path), CPU0 "cpuidle/%.32s/latency", entry);
    if (!sysfile_number(deepest->root, path, &us) || us <= deepest->us)
        return;
    deepest->us = us;
    snprintf(path, sizeof(path), CPU0 "cpuidle/%.32s/name", entry);
    sysfile_text(deepest->root, path, deepest->name, sizeof(deepest->name));
}

/* The first request after a pause waits for its core to wake up. */
static void check_sleep(const char *root, struct checks *checks)
{
    struct deepest deepest = {.root = root, .us = -1};
    struct check *c;

    if (!sysfile_each(root, CPU0 "cpuidle", look_at_state, &deepest) ||
        deepest.us < 0)
        return;
    c = checks_add_kernel(checks, "cpu.idle", "deepest sleep", CPU0 "cpuidle");
    check_need(c, "<= %d us", WAKE_US_MAX);
    check_found(c, "%" PRId64 " us (%s)", deepest.us, deepest.name);
    check_that(c, deepest.us <= WAKE_US_MAX, CHECK_WARN);
    if (c->status != CHECK_PASS)
        check_remedy(c, "cpupower idle-set -D %d", WAKE_US_MAX);
}

/* Only for the report: neither is better for all. */
static void tell(const char *root, const char *id, const char *title,
                 const char *path, struct checks *checks)
{
    char text[CHECK_TEXT];
    struct check *c;

    if (!sysfile_text(root, path, text, sizeof(text)) || !text[0])
        return;
    c = checks_add_kernel(checks, id, title, path);
    check_need(c, "any");
    check_found(c, "%s", text);
    c->status = CHECK_PASS;
}

void settings_cpu_check(const char *root, struct checks *checks)
{
    check_governor(root, checks);
    check_boost(root, checks);
    check_sleep(root, checks);
    tell(root, "cpu.smt", "SMT", "/sys/devices/system/cpu/smt/control", checks);
    tell(root, "cpu.isolated", "isolated CPUs, left alone",
         "/sys/devices/system/cpu/isolated", checks);
    tell(root, "cpu.nohz_full", "CPUs without ticks",
         "/sys/devices/system/cpu/nohz_full", checks);
}

static uint32_t count_strays(const struct nic *nic, const struct cpus *reserved)
{
    uint32_t strays = 0;

    for (uint32_t i = 0; i < nic->n_irqs; i++)
        strays += !cpus_contain(reserved, &nic->irqs[i].cpus);
    return strays;
}

void settings_irq_check(const struct machine *machine, const struct plan *plan,
                        const struct devices *devices, struct checks *checks)
{
    struct cpus reserved = {0};
    struct check *c;

    for (uint32_t i = 0; i < plan->n_reserved; i++)
        cpus_or(&reserved, &machine->cores[plan->reserved[i]].pus);
    for (uint32_t i = 0; i < devices->n_nics && plan->n_reserved > 0; i++) {
        const struct nic *nic = &devices->nics[i];
        uint32_t strays = count_strays(nic, &reserved);

        if (strays == 0)
            continue;
        c = checks_add_kernel(checks, "irq.affinity", "interrupts of a card",
                              "/proc/irq/*/smp_affinity_list");
        check_need(c, "on reserved cores");
        check_found(c, "%s: %u of %u may go elsewhere", nic->name, strays,
                    nic->n_irqs);
        check_remedy(c, "# gcorn-topo --fixes has the loop that sets them");
        c->status = CHECK_WARN;
        return;
    }
}
