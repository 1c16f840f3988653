/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>

#include "tools/topo/pen.h"

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
    pen_draw(pen, INK_BOLD, "gcorn-topo %s", GCORN_VERSION);
    pen_draw(pen, INK_PLAIN, "   %s", when);
    if (kinds[r->machine->origin][0])
        pen_draw(pen, INK_PLAIN, "   from %s %s",
                 r->machine->origin == MACHINE_XML ? "an" : "a",
                 kinds[r->machine->origin]);
    if (r->host.name[0])
        pen_draw(pen, INK_PLAIN, "   host %s", r->host.name);
    if (r->host.kernel[0])
        pen_draw(pen, INK_PLAIN, "   Linux %s", r->host.kernel);
    pen_line(pen);
    if (report_is_guest(r))
        pen_section(pen, "Guest",
                    "%s: caches, clock and memory modules are as the "
                    "hypervisor presents them",
                    r->host.virt);
    if (r->host.container)
        pen_section(pen, report_is_guest(r) ? "" : "Guest", "container (%s)",
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
    pen_section(pen, "CPU", "%s%s%u package%s, %u core%s / %u thread%s%s",
                r->processor.model, r->processor.model[0] ? ", " : "",
                m->packages, m->packages == 1 ? "" : "s", m->n_cores,
                m->n_cores == 1 ? "" : "s", threads, threads == 1 ? "" : "s",
                base);
    if (usable < m->n_cores)
        pen_section(pen, "", "of these cores %u for us", usable);
    if (m->n_kinds > 1)
        pen_section(pen, "", "%u kinds of cores; the fastest get workers first",
                    m->n_kinds);
}

/* "16 x 16 MiB L3 (3 cores each)", as far as they are alike. */
static void describe_l3(const struct machine *m, char *text, size_t size)
{
    const uint64_t bytes = m->l3_bytes / m->n_l3;
    uint32_t each = m->n_cores / m->n_l3;
    char one[32];

    for (uint32_t i = 0; i < m->n_llcs; i++) {
        uint32_t cores = 0;

        for (uint32_t k = 0; k < m->n_cores; k++)
            cores += m->cores[k].llc == (int32_t)i;
        if (m->llcs[i].bytes != bytes)
            each = 0;
        if (m->llcs[i].bytes != bytes || m->n_llcs != m->n_l3) {
            snprintf(text, size, "%u x L3", m->n_l3);
            return;
        }
        if (cores != each)
            each = 0;
    }
    report_size(bytes, one, sizeof(one));
    if (each > 0)
        snprintf(text, size, "%u x %s L3 (%u core%s each)", m->n_l3, one, each,
                 each == 1 ? "" : "s");
    else
        snprintf(text, size, "%u x %s L3", m->n_l3, one);
}

static void draw_cache(struct pen *pen)
{
    const struct machine *m = pen->report->machine;
    char total[32], parts[96];

    if (m->n_l3 == 0)
        pen_section(pen, "Cache", "no L3; %u domains by %s", m->n_llcs,
                    m->llcs[0].kind == MACHINE_LLC_L2 ? "L2" : "memory");
    if (m->n_l3 == 0)
        return;
    describe_l3(m, parts, sizeof(parts));
    report_size(m->l3_bytes, total, sizeof(total));
    pen_section(pen, "Cache", "%s%s%s%s", m->n_l3 == 1 ? "" : parts,
                m->n_l3 == 1 ? "L3 " : " = ", total,
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
        pen_section(pen, "Memory", "unknown");
    else
        pen_section(pen, "Memory", "%s usable in %u node%s",
                    report_size(bytes, size, sizeof(size)), counted,
                    counted == 1 ? "" : "s");
    if (r->dimms.n && d->type[0])
        pen_section(pen, "", "%u modules %s-%u%s%s (%s)", r->dimms.n, d->type,
                    d->mts, d->is_registered == 1 ? " RDIMM" : "",
                    d->has_ecc == 1 ? " ECC" : "", r->dimms.source);
    if (m->n_nodes > counted)
        pen_section(pen, "", "%u node%s not counted: special, or not ours",
                    m->n_nodes - counted, m->n_nodes - counted == 1 ? "" : "s");
}

/* One of several that share lines. */
printf_like(2, 3) static void draw_item(struct pen *pen, const char *format,
                                        ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (pen->column + (int)strlen(text) > pen->width &&
        pen->column > PEN_INDENT) {
        pen_line(pen);
        pen_pad(pen, PEN_INDENT);
    }
    pen_words(pen, INK_PLAIN, text);
    pen_draw(pen, INK_PLAIN, "   ");
}

static void draw_limit(struct pen *pen, const char *name,
                       const struct cgroup_limit *limit, const char *value)
{
    if (limit->value)
        draw_item(pen, "%s %s (%.60s)", name, value, limit->path);
    else
        draw_item(pen, "%s none", name);
}

/* Of the shell that started us: a service has its own. */
static void draw_files(struct pen *pen)
{
    struct rlimit limit;

    if (pen->report->machine->is_this_system &&
        getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
        limit.rlim_cur != RLIM_INFINITY)
        draw_item(pen, "nofile %" PRIu64, (uint64_t)limit.rlim_cur);
}

static void draw_limits(struct pen *pen)
{
    const struct report *r = pen->report;
    char text[CPUS_TEXT], value[32];

    if (!r->root)
        return;
    pen_draw(pen, INK_BOLD, "Limits");
    pen_pad(pen, PEN_INDENT);
    cpus_format(&r->machine->allowed, text, 48);
    draw_item(pen, "cpuset %s",
              cpus_equal(&r->machine->allowed, &r->machine->online) ? "all"
                                                                    : text);
    cpus_format(&r->machine->affinity, text, 48);
    draw_item(pen, "affinity %s",
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
    draw_files(pen);
    pen_line(pen);
    if (r->limits.partial)
        pen_section(pen, "", "cgroups above the container cannot be seen");
}

/* Cores that running masters have: not for the one that is planned here. */
static void draw_claims(struct pen *pen)
{
    const struct claim_view *claims = &pen->report->claims;
    char cpus[CPUS_TEXT];

    for (uint32_t i = 0; i < claims->n; i++) {
        cpus_format(&claims->holders[i].cpus, cpus, 64);
        if (claims->holders[i].pid > 0)
            pen_section(pen, i ? "" : "Claims", "CPU %s: gcorn (pid %d)", cpus,
                        (int)claims->holders[i].pid);
        else
            pen_section(pen, i ? "" : "Claims",
                        "CPU %s: a gcorn that cannot be seen", cpus);
    }
}

/* Adds " (eth0, eth1 are on node 0)" where that is why. */
static void add_cards(const struct report *r, char *text, size_t size)
{
    int32_t node = r->machine->cores[r->plan->reserved[0]].node;
    uint32_t cards = 0;
    size_t used = strlen(text);

    for (uint32_t i = 0; node >= 0 && i < r->devices->n_nics; i++) {
        const struct nic *nic = &r->devices->nics[i];

        if (nic->node != (int32_t)r->machine->nodes[node].os_index ||
            used + sizeof(nic->name) > size)
            continue;
        used += (size_t)snprintf(text + used, size - used, "%s%s",
                                 cards++ ? ", " : " (", nic->name);
    }
    if (cards > 0 && used + 32 < size)
        snprintf(text + used, size - used, " %s on node %u)",
                 cards == 1 ? "is" : "are", r->machine->nodes[node].os_index);
}

static void draw_reserved(struct pen *pen)
{
    const struct plan *plan = pen->report->plan;
    char text[400] = "";
    size_t used = 0;

    if (plan->n_reserved == 0)
        return;
    for (uint32_t i = 0; i < plan->n_reserved && used < 200; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u",
                                 i ? ", " : "", plan->reserved[i]);
    add_cards(pen->report, text, sizeof(text));
    pen_section(pen, "", "%u core%s reserved for the kernel: %s",
                plan->n_reserved, plan->n_reserved == 1 ? "" : "s", text);
}

/* What one more worker would need: both bounds are shown. */
static void draw_bound(struct pen *pen)
{
    const struct plan *plan = pen->report->plan;
    char allows[64];

    if (plan->n_mem == UINT64_MAX)
        snprintf(allows, sizeof(allows), "memory unknown");
    else
        snprintf(allows, sizeof(allows), "memory would allow %" PRIu64,
                 plan->n_mem);
    pen_section(pen, "Plan", "%u worker%s (bound by %s: CPU allows %u, %s)",
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
        pen_section(
            pen, "", "per worker: planned %s, safe limit %s, alarm at %s",
            planned, report_size(plan->safe_limit_bytes, safe, sizeof(safe)),
            report_size(plan->alarm_bytes, alarm, sizeof(alarm)));
    pen_section(pen, "", "one more would need: %s", plan->one_more);
    pen_section(pen, "", "pin: %s (%s)", plan_pin_name(plan->pin),
                plan->pin_reason);
    for (uint32_t i = 0; i < plan->n_warnings; i++) {
        pen_pad(pen, PEN_INDENT);
        pen_words(pen, INK_YELLOW, "warning: ");
        pen_words(pen, INK_YELLOW, plan->warnings[i]);
        pen_line(pen);
    }
}

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

    pen_draw(pen, looks[status].ink, "%s", looks[status].word);
}

/* The state first: eyes run down the left edge. */
static void draw_check(struct pen *pen, const struct check *check)
{
    draw_status(pen, check->status);
    pen_draw(pen, INK_PLAIN, "%-26.26s", check->title);
    pen_pad(pen, 33);
    pen_draw(pen, INK_PLAIN, "%-21s ", check->need);
    pen_draw(pen, INK_PLAIN, "%.*s", pen->width - pen->column, check->found);
    pen_line(pen);
}

static void draw_remedy(struct pen *pen, const struct check *check)
{
    if (check->status == CHECK_PASS || !check->remedy[0])
        return;
    pen_pad(pen, PEN_INDENT);
    pen_draw(pen, INK_DIM, "%.*s", (int)strcspn(check->remedy, "\n"),
             check->remedy);
    pen_line(pen);
}

static void draw_tier(struct pen *pen)
{
    const struct checks *checks = &pen->report->checks;

    pen_line(pen);
    pen_draw(pen, INK_BOLD, "High-Density Production Tier");
    pen_pad(pen, 33);
    pen_draw(pen, INK_DIM, "%-22s%s", "need", "found");
    pen_line(pen);
    for (uint32_t i = 0; i < checks->n; i++)
        if (strcmp(checks->items[i].group, "tier") == 0) {
            draw_check(pen, &checks->items[i]);
            draw_remedy(pen, &checks->items[i]);
        }
}

static void draw_kernel(struct pen *pen)
{
    const struct checks *checks = &pen->report->checks;
    uint32_t well = 0;

    if (!pen->report->root)
        return;
    pen_draw(pen, INK_BOLD, "Kernel");
    pen_line(pen);
    for (uint32_t i = 0; i < checks->n; i++) {
        const struct check *check = &checks->items[i];

        if (strcmp(check->group, "kernel") != 0)
            continue;
        if (check->status == CHECK_PASS && !pen->report->options->all) {
            well++;
            continue;
        }
        draw_check(pen, check);
        draw_remedy(pen, check);
    }
    if (well) {
        pen_draw(pen, INK_GREEN, "  ok  ");
        pen_draw(pen, INK_PLAIN, "%u other settings (--all shows them)", well);
        pen_line(pen);
    }
}

static void draw_result(struct pen *pen)
{
    const struct checks_summary *sum = &pen->report->summary;
    char text[128];

    report_result(pen->report, text, sizeof(text));
    pen_line(pen);
    pen_draw(pen, INK_BOLD, "Result");
    pen_pad(pen, PEN_INDENT);
    pen_draw(pen,
             sum->is_met              ? INK_GREEN
             : sum->count[CHECK_FAIL] ? INK_RED
                                      : INK_YELLOW,
             "%s", text);
    pen_line(pen);
    pen_section(pen, "",
                "gcorn-topo --fixes prints the commands that would help");
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
    draw_claims(&pen);
    report_map(&pen);
    draw_plan(&pen);
    if (report->options->plan_only)
        return;
    draw_tier(&pen);
    draw_kernel(&pen);
    draw_result(&pen);
}
