/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "tools/topo/report.h"

/* Where the text of a section begins. */
#define INDENT 9

enum ink { INK_PLAIN, INK_BOLD, INK_DIM, INK_GREEN, INK_YELLOW, INK_RED };

struct pen {
    const struct report *report;
    FILE *out;
    bool color;
    int width;
    int column;
    int blanks; /* not yet written: a line must not end in them */
};

printf_like(3, 4) static void draw(struct pen *pen, enum ink ink,
                                   const char *format, ...)
{
    static const char *const codes[] = {
        [INK_PLAIN] = "",          [INK_BOLD] = "\033[1m",
        [INK_DIM] = "\033[2m",     [INK_GREEN] = "\033[32m",
        [INK_YELLOW] = "\033[33m", [INK_RED] = "\033[31m",
    };
    char text[512];
    int length, n;
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    length = (int)strlen(text);
    for (n = length; n > 0 && text[n - 1] == ' '; n--)
        text[n - 1] = '\0';
    pen->column += length;
    if (n == 0) {
        pen->blanks += length;
        return;
    }
    fprintf(pen->out, "%*s%s%s%s", pen->blanks, "",
            pen->color ? codes[ink] : "", text,
            pen->color && ink != INK_PLAIN ? "\033[0m" : "");
    pen->blanks = length - n;
}

static void new_line(struct pen *pen)
{
    fputc('\n', pen->out);
    pen->column = pen->blanks = 0;
}

static void pad_to(struct pen *pen, int column)
{
    for (; pen->column < column; pen->column++)
        pen->blanks++;
}

/* A line that begins a section, or goes on with it under an empty name. */
printf_like(3, 4) static void section(struct pen *pen, const char *name,
                                      const char *format, ...)
{
    char text[512];
    va_list args;

    draw(pen, INK_BOLD, "%s", name);
    pad_to(pen, INDENT);
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    draw(pen, INK_PLAIN, "%s", text);
    new_line(pen);
}

/* -- head -- */

static void draw_title(struct pen *pen)
{
    static const char *const kinds[] = {[MACHINE_LIVE] = "",
                                        [MACHINE_XML] = "XML file",
                                        [MACHINE_SYNTHETIC] = "description",
                                        [MACHINE_SYSROOT] = "directory tree"};
    const struct report *r = pen->report;
    struct tm tm;
    char when[32];

    gmtime_r(&r->when, &tm);
    strftime(when, sizeof(when), "%Y-%m-%d %H:%M UTC", &tm);
    draw(pen, INK_BOLD, "gcorn-topo %s", GCORN_VERSION);
    draw(pen, INK_PLAIN, "   %s", when);
    if (kinds[r->machine->origin][0])
        draw(pen, INK_PLAIN, "   from %s %s",
             r->machine->origin == MACHINE_XML ? "an" : "a",
             kinds[r->machine->origin]);
    if (r->host.name[0])
        draw(pen, INK_PLAIN, "   host %s", r->host.name);
    if (r->host.kernel[0])
        draw(pen, INK_PLAIN, "   Linux %s", r->host.kernel);
    new_line(pen);
    if (report_is_guest(r))
        section(pen, "Guest",
                "%s: caches, clock and memory modules are as the "
                "hypervisor presents them",
                r->host.virt);
    if (r->host.container)
        section(pen, report_is_guest(r) ? "" : "Guest", "container (%s)",
                r->host.container_reason);
}

static void draw_cpu(struct pen *pen)
{
    const struct report *r = pen->report;
    const struct machine *m = r->machine;
    uint32_t usable = 0, threads = cpus_count(&m->online);
    char base[64] = "";

    for (uint32_t i = 0; i < m->n_cores; i++)
        usable += machine_core_is_usable(&m->cores[i]);
    if (r->processor.base_mhz)
        snprintf(base, sizeof(base), ", base %u.%02u GHz (%s)",
                 r->processor.base_mhz / 1000,
                 r->processor.base_mhz % 1000 / 10, r->processor.base_source);
    section(pen, "CPU", "%s%s%u package%s, %u core%s / %u thread%s%s",
            r->processor.model, r->processor.model[0] ? ", " : "", m->packages,
            m->packages == 1 ? "" : "s", m->n_cores, m->n_cores == 1 ? "" : "s",
            threads, threads == 1 ? "" : "s", base);
    if (usable < m->n_cores)
        section(pen, "", "%u of the cores are ours", usable);
    if (m->n_kinds > 1)
        section(pen, "", "%u kinds of cores; the fastest get workers first",
                m->n_kinds);
}

static void draw_cache(struct pen *pen)
{
    const struct machine *m = pen->report->machine;
    char total[32];

    if (m->n_l3 == 0)
        section(pen, "Cache", "no L3; %u domains by %s", m->n_llcs,
                m->llcs[0].kind == MACHINE_LLC_L2 ? "L2" : "memory");
    else
        section(pen, "Cache", "%u x L3 = %s%s", m->n_l3,
                report_size(m->l3_bytes, total, sizeof(total)),
                report_is_guest(pen->report) ? " as presented" : "");
}

static void draw_memory(struct pen *pen)
{
    const struct report *r = pen->report;
    const struct machine *m = r->machine;
    const struct dimm *d = &r->dimms.items[0];
    uint32_t counted = 0;
    uint64_t bytes = 0;
    char size[32];

    for (uint32_t i = 0; i < m->n_nodes; i++)
        if (machine_node_is_counted(&m->nodes[i])) {
            counted++;
            bytes += m->nodes[i].bytes;
        }
    if (bytes == 0)
        section(pen, "Memory", "unknown");
    else
        section(pen, "Memory", "%s usable in %u node%s",
                report_size(bytes, size, sizeof(size)), counted,
                counted == 1 ? "" : "s");
    if (r->dimms.n && d->type[0])
        section(pen, "", "%u modules %s-%u%s%s (%s)", r->dimms.n, d->type,
                d->mts, d->is_registered == 1 ? " RDIMM" : "",
                d->has_ecc == 1 ? " ECC" : "", r->dimms.source);
    if (m->n_nodes > counted)
        section(pen, "", "%u node%s not counted: special, or not ours",
                m->n_nodes - counted, m->n_nodes - counted == 1 ? "" : "s");
}

static void draw_limit(struct pen *pen, const char *name,
                       const struct cgroup_limit *limit, const char *value)
{
    draw(pen, INK_PLAIN, "%s %s", name, limit->value ? value : "none");
    if (limit->value && limit->path[0])
        draw(pen, INK_DIM, " (%.60s)", limit->path);
    draw(pen, INK_PLAIN, "   ");
}

static void draw_limits(struct pen *pen)
{
    const struct report *r = pen->report;
    char text[CPUS_TEXT], value[32];

    if (!r->root)
        return;
    draw(pen, INK_BOLD, "Limits");
    pad_to(pen, INDENT);
    cpus_format(&r->machine->allowed, text, 48);
    draw(pen, INK_PLAIN, "cpuset %s   ",
         cpus_equal(&r->machine->allowed, &r->machine->online) ? "all" : text);
    cpus_format(&r->machine->affinity, text, 48);
    draw(pen, INK_PLAIN, "affinity %s   ",
         cpus_contain(&r->machine->affinity, &r->machine->allowed) ? "all"
                                                                   : text);
    snprintf(value, sizeof(value), "%" PRIu64 ".%03" PRIu64 " CPUs",
             r->limits.quota.value / 1000, r->limits.quota.value % 1000);
    draw_limit(pen, "quota", &r->limits.quota, value);
    report_size(r->limits.memory_max.value, value, sizeof(value));
    draw_limit(pen, "memory.max", &r->limits.memory_max, value);
    if (r->limits.memory_high.value) {
        report_size(r->limits.memory_high.value, value, sizeof(value));
        draw_limit(pen, "memory.high", &r->limits.memory_high, value);
    }
    new_line(pen);
    if (r->limits.partial)
        section(pen, "", "cgroups above the container cannot be seen");
}

/* -- topology -- */

static void core_label(const struct report *report, uint32_t core, char *text,
                       size_t size, enum ink *ret_ink)
{
    int32_t worker;

    switch (report_core_use(report, core, &worker)) {
    case CORE_NOT_OURS:
        *ret_ink = INK_DIM;
        snprintf(text, size, "--");
        return;
    case CORE_IDLE:
        *ret_ink = INK_DIM;
        snprintf(text, size, "..");
        return;
    case CORE_RESERVED:
        *ret_ink = INK_YELLOW;
        snprintf(text, size, "##");
        return;
    case CORE_WORKER:
        *ret_ink = INK_GREEN;
        snprintf(text, size, "w%d", worker);
        return;
    case CORE_REMOTE:
        *ret_ink = INK_RED;
        snprintf(text, size, "w%d!", worker);
        return;
    }
}

static int label_width(const struct report *report)
{
    int width = 2;

    for (uint32_t i = 0; i < report->machine->n_cores; i++) {
        enum ink ink;
        char text[16];

        core_label(report, i, text, sizeof(text), &ink);
        if ((int)strlen(text) > width)
            width = (int)strlen(text);
    }
    return width;
}

struct box {
    int32_t node; /* place in machine->nodes, -1: none */
    int32_t llc;
    uint32_t cores;
};

static uint32_t cores_in(const struct machine *m, int32_t node, int32_t llc)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < m->n_cores; i++)
        n += m->cores[i].node == node && (llc < 0 || m->cores[i].llc == llc);
    return n;
}

/* A box wider than the line is broken between cores. */
static void draw_box(struct pen *pen, struct box box, int start, int label)
{
    const struct machine *m = pen->report->machine;
    int need = (int)box.cores * (label + 1) + 1;
    bool first = true;

    if (pen->column > start && pen->column + need > pen->width) {
        new_line(pen);
        pad_to(pen, start);
    }
    draw(pen, INK_PLAIN, "[");
    for (uint32_t i = 0; i < m->n_cores; i++) {
        enum ink ink;
        char text[16];

        if (m->cores[i].node != box.node || m->cores[i].llc != box.llc)
            continue;
        if (pen->column + label + 2 > pen->width) {
            new_line(pen);
            pad_to(pen, start + 1);
        } else if (!first) {
            draw(pen, INK_PLAIN, " ");
        }
        first = false;
        core_label(pen->report, i, text, sizeof(text), &ink);
        draw(pen, ink, "%-*s", label, text);
    }
    draw(pen, INK_PLAIN, "]  ");
}

static void draw_node_devices(struct pen *pen, uint32_t os_index)
{
    const struct devices *d = pen->report->devices;

    for (uint32_t i = 0; i < d->n_nics; i++)
        if (d->nics[i].node == (int32_t)os_index)
            draw(pen, INK_BOLD, "%s ", d->nics[i].name);
    for (uint32_t i = 0; i < d->n_disks; i++)
        if (d->disks[i].node == (int32_t)os_index && d->disks[i].is_nvme)
            draw(pen, INK_BOLD, "%s ", d->disks[i].name);
}

static void draw_boxes(struct pen *pen, int32_t node, int label)
{
    const struct machine *m = pen->report->machine;
    int start = pen->column;

    for (uint32_t l = 0; l < m->n_llcs; l++) {
        struct box box = {node, (int32_t)l, cores_in(m, node, (int32_t)l)};

        if (box.cores > 0)
            draw_box(pen, box, start, label);
    }
}

static void draw_node(struct pen *pen, uint32_t i, int label)
{
    const struct machine_node *node = &pen->report->machine->nodes[i];
    char size[32] = "?";

    if (node->bytes)
        report_size(node->bytes, size, sizeof(size));
    draw(pen, INK_BOLD, "node %-4u", node->os_index);
    draw(pen, INK_PLAIN, "%10s  ", size);
    draw_boxes(pen, (int32_t)i, label);
    if (node->special[0])
        draw(pen, INK_DIM, "%s, not counted ", node->special);
    else if (!node->allowed)
        draw(pen, INK_DIM, "not allowed ");
    draw_node_devices(pen, node->os_index);
    new_line(pen);
}

static void draw_topology(struct pen *pen)
{
    const struct machine *m = pen->report->machine;
    int label = label_width(pen->report);

    new_line(pen);
    draw(pen, INK_BOLD, "Topology");
    draw(pen, INK_DIM,
         " one group is one cache:  wN worker  wN! remote memory  "
         "## reserved  .. idle  -- not ours");
    new_line(pen);
    for (uint32_t i = 0; i < m->n_nodes; i++)
        draw_node(pen, i, label);
    if (cores_in(m, -1, -1) > 0) {
        draw(pen, INK_BOLD, "no memory");
        pad_to(pen, 21);
        draw_boxes(pen, -1, label);
        new_line(pen);
    }
    new_line(pen);
}

/* -- plan -- */

static void draw_reserved(struct pen *pen)
{
    const struct plan *plan = pen->report->plan;
    char text[200] = "";
    size_t used = 0;

    for (uint32_t i = 0; i < plan->n_reserved && used < sizeof(text) - 12; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u",
                                 i ? ", " : "", plan->reserved[i]);
    if (plan->n_reserved > 0)
        section(pen, "", "%u core%s reserved for the kernel: %s",
                plan->n_reserved, plan->n_reserved == 1 ? "" : "s", text);
}

static void draw_bound(struct pen *pen)
{
    const struct plan *plan = pen->report->plan;
    char allows[64];

    if (plan->n_mem == UINT64_MAX)
        snprintf(allows, sizeof(allows), "memory unknown");
    else
        snprintf(allows, sizeof(allows), "memory would allow %" PRIu64,
                 plan->n_mem);
    section(pen, "Plan", "%u worker%s (bound by %s: CPU allows %u, %s)",
            plan->n_workers, plan->n_workers == 1 ? "" : "s",
            plan_bound_name(plan->bound), plan->n_cpu, allows);
}

static void draw_plan(struct pen *pen)
{
    const struct plan *plan = pen->report->plan;
    char planned[32], safe[32], alarm[32];

    draw_bound(pen);
    draw_reserved(pen);
    report_size(plan->worker_bytes, planned, sizeof(planned));
    if (plan->safe_limit_bytes > 0)
        section(pen, "", "per worker: planned %s, safe limit %s, alarm at %s",
                planned,
                report_size(plan->safe_limit_bytes, safe, sizeof(safe)),
                report_size(plan->alarm_bytes, alarm, sizeof(alarm)));
    section(pen, "", "pin: %s (%s)", plan_pin_name(plan->pin),
            plan->pin_reason);
    for (uint32_t i = 0; i < plan->n_warnings; i++) {
        pad_to(pen, INDENT);
        draw(pen, INK_YELLOW, "warning: %s", plan->warnings[i]);
        new_line(pen);
    }
}

/* -- checks -- */

static void draw_status(struct pen *pen, enum check_status status)
{
    static const struct {
        const char *word;
        enum ink ink;
    } looks[] = {
        [CHECK_PASS] = {" PASS ", INK_GREEN},
        [CHECK_WARN] = {" WARN ", INK_YELLOW},
        [CHECK_FAIL] = {" FAIL ", INK_RED},
        [CHECK_UNKNOWN] = {"  ?   ", INK_DIM},
    };

    draw(pen, looks[status].ink, "%s", looks[status].word);
}

static void draw_check(struct pen *pen, const struct check *check)
{
    draw_status(pen, check->status);
    draw(pen, INK_PLAIN, "%-26.26s", check->title);
    pad_to(pen, 33);
    draw(pen, INK_PLAIN, "%-21s ", check->need);
    draw(pen, INK_PLAIN, "%.*s", pen->width - pen->column, check->found);
    new_line(pen);
}

static void draw_tier(struct pen *pen)
{
    const struct checks *checks = &pen->report->checks;

    new_line(pen);
    draw(pen, INK_BOLD, "High-Density Production Tier");
    pad_to(pen, 33);
    draw(pen, INK_DIM, "%-22s%s", "need", "found");
    new_line(pen);
    for (uint32_t i = 0; i < checks->n; i++)
        if (strcmp(checks->items[i].group, "tier") == 0)
            draw_check(pen, &checks->items[i]);
}

static void draw_kernel(struct pen *pen)
{
    const struct checks *checks = &pen->report->checks;
    uint32_t well = 0;

    if (!pen->report->root)
        return;
    draw(pen, INK_BOLD, "Kernel");
    new_line(pen);
    for (uint32_t i = 0; i < checks->n; i++) {
        const struct check *check = &checks->items[i];

        if (strcmp(check->group, "kernel") != 0)
            continue;
        if (check->status == CHECK_PASS && !pen->report->options->all)
            well++;
        else
            draw_check(pen, check);
    }
    if (well) {
        draw(pen, INK_GREEN, "  ok  ");
        draw(pen, INK_PLAIN, "%u other settings (--all shows them)", well);
        new_line(pen);
    }
}

static void draw_result(struct pen *pen)
{
    const struct checks_summary *sum = &pen->report->summary;
    char text[128];

    report_result(pen->report, text, sizeof(text));
    new_line(pen);
    draw(pen, INK_BOLD, "Result");
    pad_to(pen, INDENT);
    draw(pen,
         sum->is_met              ? INK_GREEN
         : sum->count[CHECK_FAIL] ? INK_RED
                                  : INK_YELLOW,
         "%s", text);
    new_line(pen);
    section(pen, "", "gcorn-topo --fixes prints the commands that would help");
}

void report_text(const struct report *report, FILE *out, bool color, int width)
{
    struct pen pen = {
        .report = report, .out = out, .color = color, .width = width};

    draw_title(&pen);
    draw_cpu(&pen);
    draw_cache(&pen);
    draw_memory(&pen);
    draw_limits(&pen);
    draw_topology(&pen);
    draw_plan(&pen);
    if (report->options->plan_only)
        return;
    draw_tier(&pen);
    draw_kernel(&pen);
    draw_result(&pen);
}

/* -- commands -- */

/* Interrupts of the card go to the cores that no worker uses. */
static void print_irqs(const struct report *report, FILE *out)
{
    struct cpus reserved = {0};
    char list[CPUS_TEXT];

    for (uint32_t i = 0; i < report->plan->n_reserved; i++)
        cpus_or(&reserved,
                &report->machine->cores[report->plan->reserved[i]].usable);
    if (cpus_is_empty(&reserved))
        return;
    cpus_format(&reserved, list, sizeof(list));
    for (uint32_t i = 0; i < report->devices->n_nics; i++)
        if (report->devices->nics[i].n_irqs > 0)
            fprintf(out,
                    "for i in $(ls /sys/class/net/%s/device/msi_irqs); do\n"
                    "  echo %s > /proc/irq/$i/smp_affinity_list; done\n",
                    report->devices->nics[i].name, list);
}

void report_fixes(const struct report *report, FILE *out)
{
    for (uint32_t i = 0; i < report->checks.n; i++) {
        const struct check *check = &report->checks.items[i];

        if (check->status != CHECK_PASS && check->remedy[0])
            fprintf(out, "# %s: %s, needed %s\n%s\n", check->title,
                    check->found, check->need, check->remedy);
    }
    if (report->root)
        print_irqs(report, out);
}
