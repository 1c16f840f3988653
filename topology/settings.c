/* SPDX-License-Identifier: MIT */
/*
 * Kernel settings. A file that is not there is a kernel without that switch,
 * and no line in the report.
 */
#include "topology/settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "topology/sysfile.h"

#define NUMBER_FILE(name) "/proc/sys/" name

enum rule { AT_LEAST, AT_MOST, EXACTLY };

/* Settings that are one number, and good on one side of a bound. */
struct number_setting {
    const char *id;
    const char *title;
    const char *name; /* as sysctl writes it */
    const char *path;
    enum rule rule;
    int64_t bound;
};

static const struct number_setting numbers[] = {
    {"net.somaxconn", "listen queue", "net.core.somaxconn",
     NUMBER_FILE("net/core/somaxconn"), AT_LEAST, 4096},
    {"net.syn_backlog", "SYN queue", "net.ipv4.tcp_max_syn_backlog",
     NUMBER_FILE("net/ipv4/tcp_max_syn_backlog"), AT_LEAST, 4096},
    {"net.syncookies", "SYN cookies", "net.ipv4.tcp_syncookies",
     NUMBER_FILE("net/ipv4/tcp_syncookies"), AT_LEAST, 1},
    {"net.rmem_max", "receive buffer limit", "net.core.rmem_max",
     NUMBER_FILE("net/core/rmem_max"), AT_LEAST, 16 << 20},
    {"net.wmem_max", "send buffer limit", "net.core.wmem_max",
     NUMBER_FILE("net/core/wmem_max"), AT_LEAST, 16 << 20},
    {"net.backlog", "packets waiting per CPU", "net.core.netdev_max_backlog",
     NUMBER_FILE("net/core/netdev_max_backlog"), AT_LEAST, 16384},
    {"net.budget", "packets taken at once", "net.core.netdev_budget",
     NUMBER_FILE("net/core/netdev_budget"), AT_LEAST, 600},
    {"net.fin_timeout", "seconds in FIN-WAIT-2", "net.ipv4.tcp_fin_timeout",
     NUMBER_FILE("net/ipv4/tcp_fin_timeout"), AT_MOST, 60},
    {"net.tw_reuse", "ports in TIME-WAIT reused", "net.ipv4.tcp_tw_reuse",
     NUMBER_FILE("net/ipv4/tcp_tw_reuse"), AT_LEAST, 1},
    {"vm.zone_reclaim", "zone reclaim", "vm.zone_reclaim_mode",
     NUMBER_FILE("vm/zone_reclaim_mode"), EXACTLY, 0},
    {"vm.swappiness", "swappiness", "vm.swappiness",
     NUMBER_FILE("vm/swappiness"), AT_MOST, 10},
    {"vm.overcommit", "overcommit", "vm.overcommit_memory",
     NUMBER_FILE("vm/overcommit_memory"), AT_MOST, 1},
    {"fs.nr_open", "open files of a process", "fs.nr_open",
     NUMBER_FILE("fs/nr_open"), AT_LEAST, 1 << 20},
};

static bool is_good(enum rule rule, int64_t value, int64_t bound)
{
    switch (rule) {
    case AT_LEAST:
        return value >= bound;
    case AT_MOST:
        return value <= bound;
    case EXACTLY:
        return value == bound;
    }
    return false;
}

/* Settings of other network namespaces than ours are not seen. */
static void check_number(const char *root, const struct number_setting *s,
                         struct checks *checks)
{
    static const char *const signs[] = {
        [AT_LEAST] = ">=", [AT_MOST] = "<=", [EXACTLY] = "="};
    struct check *c;
    int64_t value;

    if (!sysfile_number(root, s->path, &value))
        return;
    c = checks_add_kernel(checks, s->id, s->title, s->path);
    check_need(c, "%s %" PRId64, signs[s->rule], s->bound);
    check_found(c, "%" PRId64, value);
    check_that(c, is_good(s->rule, value, s->bound), CHECK_WARN);
    if (c->status != CHECK_PASS)
        check_remedy(c, "sysctl -w %s=%" PRId64, s->name, s->bound);
}

/* "always [madvise] never": the one in brackets is chosen. */
static void chosen(const char *text, char *word, size_t size)
{
    const char *open = strchr(text, '[');

    word[0] = '\0';
    if (open)
        snprintf(word, size, "%.*s", (int)strcspn(open + 1, "]"), open + 1);
}

#define HUGE_PAGES "/sys/kernel/mm/transparent_hugepage/"

struct choice {
    const char *path;
    const char *id;
    const char *title;
    const char *need;
    const char *remedy;
};

static const struct choice huge_pages[] = {
    /* A fork of a large interpreter copies 2 MiB for each byte it changes. */
    {HUGE_PAGES "enabled", "vm.huge_pages", "transparent huge pages", "madvise",
     "madvise"},
    /* To defragment when a page is needed is a pause at the worst time. */
    {HUGE_PAGES "defrag", "vm.huge_page_defrag", "huge page defragmentation",
     "madvise or defer", "defer+madvise"},
};

/* Anything but "always". */
static void check_choice(const char *root, const struct choice *choice,
                         struct checks *checks)
{
    char text[128], word[32];
    struct check *c;

    if (!sysfile_text(root, choice->path, text, sizeof(text)))
        return;
    c = checks_add_kernel(checks, choice->id, choice->title, choice->path);
    chosen(text, word, sizeof(word));
    check_need(c, "%s", choice->need);
    check_found(c, "%s", word);
    check_that(c, strcmp(word, "always") != 0, CHECK_WARN);
    if (c->status != CHECK_PASS)
        check_remedy(c, "echo %s > %s", choice->remedy, choice->path);
}

/* Connections to upstream servers take one each, for a minute. */
static void check_ports(const char *root, struct checks *checks)
{
    static const char path[] = NUMBER_FILE("net/ipv4/ip_local_port_range");
    unsigned first, last;
    struct check *c;
    char text[64];

    if (!sysfile_text(root, path, text, sizeof(text)) ||
        sscanf(text, "%u %u", &first, &last) != 2 || last < first)
        return;
    c = checks_add_kernel(checks, "net.ports", "ports to connect from", path);
    check_need(c, ">= 28000");
    check_found(c, "%u (%u-%u)", last - first + 1, first, last);
    check_that(c, last - first + 1 >= 28000, CHECK_WARN);
    if (c->status != CHECK_PASS)
        check_remedy(c, "sysctl -w net.ipv4.ip_local_port_range='%u %u'", 32768,
                     60999);
}

/* Bound processes only pay for what would move their pages to them. */
static void check_balancing(const char *root, const struct plan *plan,
                            struct checks *checks)
{
    static const char path[] = "/proc/sys/kernel/numa_balancing";
    struct check *c;
    int64_t value;
    int want = plan->pin == PLAN_PIN_OFF;

    if (!sysfile_number(root, path, &value))
        return;
    c = checks_add_kernel(checks, "kernel.numa_balancing",
                          "automatic NUMA balancing", path);
    check_need(c, "%d", want);
    check_found(c, "%" PRId64, value);
    check_that(c, (value != 0) == want, CHECK_WARN);
    if (c->status != CHECK_PASS)
        check_remedy(c, "sysctl -w kernel.numa_balancing=%d", want);
}

static void check_io_uring(const char *root, struct checks *checks)
{
    static const char path[] = "/proc/sys/kernel/io_uring_disabled";
    struct check *c;
    int64_t value;

    /* Older kernels have no switch: it is on. */
    if (!sysfile_number(root, path, &value))
        return;
    c = checks_add_kernel(checks, "kernel.io_uring", "io_uring", path);
    check_need(c, "0");
    check_found(c, "%" PRId64, value);
    check_that(c, value == 0, CHECK_WARN);
    if (c->status != CHECK_PASS)
        check_remedy(c, "sysctl -w kernel.io_uring_disabled=0");
}

/* With any other a look at the clock is a system call. */
static void check_clock(const char *root, struct checks *checks)
{
    static const char path[] =
        "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    struct check *c;
    char text[64];

    if (!sysfile_text(root, path, text, sizeof(text)))
        return;
    c = checks_add_kernel(checks, "kernel.clocksource", "clock source", path);
    check_need(c, "tsc or kvm-clock");
    check_found(c, "%s", text);
    check_that(c,
               strcmp(text, "tsc") == 0 || strcmp(text, "kvm-clock") == 0 ||
                   strcmp(text, "arch_sys_counter") == 0,
               CHECK_WARN);
    if (c->status != CHECK_PASS)
        check_remedy(c, "# see dmesg for why the TSC was not trusted");
}

static void look_for_irqbalance(const char *name, void *data)
{
    bool *found = data;

    *found |= strncmp(name, "irqbalance", 10) == 0;
}

/* It moves interrupts back onto the workers' cores within seconds. */
static void check_irqbalance(const char *root, const struct plan *plan,
                             struct checks *checks)
{
    bool found = false;
    struct check *c;

    if (!sysfile_each(root, "/run", look_for_irqbalance, &found))
        return;
    c = checks_add_kernel(checks, "irq.balance", "irqbalance", "/run");
    check_need(c, plan->n_reserved ? "off: cores are reserved" : "any");
    check_found(c, found ? "running" : "not running");
    check_that(c, !found || plan->n_reserved == 0, CHECK_WARN);
    if (c->status != CHECK_PASS)
        check_remedy(c, "systemctl disable --now irqbalance");
}

/* Of this shell, and so of what is started from it. */
static void check_files(const char *root, struct checks *checks)
{
    struct rlimit limit;
    struct check *c;

    if (root[0] || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    c = checks_add_kernel(checks, "limit.nofile", "open files", "getrlimit");
    check_need(c, ">= 65536");
    check_found(c, "%llu, at most %llu", (unsigned long long)limit.rlim_cur,
                (unsigned long long)limit.rlim_max);
    /* The server raises the first to the second by itself. */
    check_that(c, limit.rlim_max >= 65536, CHECK_WARN);
    if (c->status != CHECK_PASS)
        check_remedy(c, "# LimitNOFILE=1048576 in the unit of the service");
}

void settings_check(const char *root, const struct machine *machine,
                    const struct plan *plan, struct checks *checks)
{
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        check_number(root, &numbers[i], checks);
    check_ports(root, checks);
    for (size_t i = 0; i < ARRAY_SIZE(huge_pages); i++)
        check_choice(root, &huge_pages[i], checks);
    if (machine->n_nodes > 1)
        check_balancing(root, plan, checks);
    check_io_uring(root, checks);
    check_clock(root, checks);
    check_irqbalance(root, plan, checks);
    check_files(root, checks);
}
