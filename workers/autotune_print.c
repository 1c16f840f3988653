/* SPDX-License-Identifier: MIT */
#include "autotune_print.h"

#include "autotune.h"

#include <string.h>

static unsigned long long mib(uint64_t bytes)
{
    return (bytes + (UINT64_C(1) << 19)) >> 20;
}

/* "0.4 KiB" without floating point. */
static void print_kib(FILE *out, uint64_t bytes)
{
    uint64_t tenths = (bytes * 10 + 512) / 1024;

    fprintf(out, "%llu.%llu KiB", (unsigned long long)(tenths / 10),
            (unsigned long long)(tenths % 10));
}

static const char *name_of(const struct config *config)
{
    return config->wsgi_app;
}

static void print_measured(const struct autotune_report *r, FILE *out)
{
    const struct probe_memory *m = &r->measured->used;

    fprintf(out,
            "measured   interpreter %llu MiB (%llu written), I/O worker %llu "
            "MiB, their shared memory %llu MiB\n",
            mib(m->interp), mib(m->dirty), mib(m->worker), mib(m->arena));
    fprintf(out, "           all processes together %llu MiB\n", mib(m->total));
    if (r->config->preload_app)
        fprintf(out,
                "           preloaded pages are counted once; %llu MiB of "
                "them were copied since, being written to\n",
                mib(m->interp > r->measured->loaded.interp
                        ? m->interp - r->measured->loaded.interp
                        : 0));
    if (r->config->autotune_url.count == 0) {
        fprintf(out, "           after loading, without a request: name pages "
                     "with --autotune-url\n");
        return;
    }
    fprintf(out, "           after %u requests to each of",
            PROBE_WARM_UP + PROBE_MORE);
    for (size_t i = 0; i < r->config->autotune_url.count; i++)
        fprintf(out, " %s", r->config->autotune_url.items[i]);
    fprintf(out, "; %llu MiB after loading; grows by ",
            mib(r->measured->loaded.interp));
    print_kib(out, r->measured->growth_bytes);
    fprintf(out, " a request\n");
    if (r->measured->failed > 0)
        fprintf(out,
                "           WARNING: %u requests failed (status %d; 0 is no "
                "answer): what was measured may be too little\n",
                r->measured->failed, r->measured->last_status);
}

static void print_memory(const struct autotune_report *r, FILE *out)
{
    const struct plan *plan = r->placement->plan;
    const struct cgroup_limits *limits = &r->placement->sight.limits;
    const struct placement_need *need = &r->placement->need;

    fprintf(out,
            "a worker   %llu MiB planned (measured and %d %%); once for all "
            "%llu MiB\n",
            mib(need->worker_bytes), AUTOTUNE_HEADROOM_PERCENT,
            mib(need->shared_bytes));
    if (plan->ram_bytes == 0)
        return;
    fprintf(out, "memory     %llu MiB", mib(plan->ram_bytes));
    if (limits->memory_max.value != 0 || limits->memory_high.value != 0)
        fprintf(out, " (limit of cgroup %s)",
                limits->memory_max.value != 0 ? limits->memory_max.path
                                              : limits->memory_high.path);
    fprintf(out,
            " - %llu reserve - %llu once for all = %llu MiB; workers plan "
            "with %d %% of it\n",
            mib(plan->os_reserve_bytes), mib(need->shared_bytes),
            mib(plan->usable_bytes), PLAN_SAFETY_PERCENT);
}

static void print_bounds(const struct autotune_report *r, FILE *out)
{
    const struct plan *plan = r->placement->plan;
    const struct machine *machine = r->placement->machine;
    uint64_t quota = r->placement->sight.limits.quota.value;

    fprintf(out, "bounds     cores: %u", machine->n_cores - plan->n_reserved);
    if (plan->n_reserved > 0)
        fprintf(out, " (%u more for the system)", plan->n_reserved);
    if (quota > 0)
        fprintf(out, "; CPU quota of cgroup %s: %llu (%llu.%03llu CPUs)",
                r->placement->sight.limits.quota.path,
                (unsigned long long)(quota >= 1000 ? quota / 1000 : 1),
                (unsigned long long)(quota / 1000),
                (unsigned long long)(quota % 1000));
    if (plan->n_mem == UINT64_MAX)
        fprintf(out, "; memory: unknown\n");
    else
        fprintf(out, "; memory: %llu\n", (unsigned long long)plan->n_mem);
}

static void print_plan(const struct autotune_report *r, FILE *out)
{
    const struct plan *plan = r->placement->plan;

    fprintf(out, "plan       %u worker%s, bound by %s\n", r->placement->workers,
            r->placement->workers == 1 ? "" : "s",
            plan_bound_name(plan->bound));
    fprintf(out, "           one more would need: %s\n", plan->one_more);
    fprintf(out, "           each may grow to %llu MiB, alarm at %llu MiB\n",
            mib(plan->safe_limit_bytes), mib(plan->alarm_bytes));
    if (r->lifetime > 0)
        fprintf(
            out,
            "           at this growth the alarm comes after %llu requests: "
            "--max-requests below that\n",
            (unsigned long long)r->lifetime);
    fprintf(out, "           pin: %s (%s)\n", plan_pin_name(plan->pin),
            plan->pin_reason);
    for (uint32_t i = 0; i < plan->n_warnings; i++)
        fprintf(out, "           WARNING: %s\n", plan->warnings[i]);
}

void autotune_print_text(const struct autotune_report *report, FILE *out)
{
    fprintf(out, "autotune   %s\n", name_of(report->config));
    print_measured(report, out);
    print_memory(report, out);
    print_bounds(report, out);
    print_plan(report, out);
}

/* ASCII stays; all else of a path or a name is escaped byte by byte. */
static void json_text(FILE *out, const char *key, const char *text)
{
    fprintf(out, "%s\"%s\": \"", key[0] != '\0' ? ", " : "", key);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
            fprintf(out, "\\u%04x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

static void json_number(FILE *out, const char *key, uint64_t number)
{
    fprintf(out, ", \"%s\": %llu", key, (unsigned long long)number);
}

static void json_measured(const struct probe_result *m, FILE *out)
{
    fprintf(out, ", \"measured\": {\"requests\": %u", m->requests);
    json_number(out, "failed_requests", m->failed);
    json_number(out, "total_bytes", m->used.total);
    json_number(out, "interpreter_bytes", m->used.interp);
    json_number(out, "interpreter_dirty_bytes", m->used.dirty);
    json_number(out, "interpreter_loaded_bytes", m->loaded.interp);
    json_number(out, "io_worker_bytes", m->used.worker);
    json_number(out, "arena_bytes", m->used.arena);
    json_number(out, "growth_bytes_per_request", m->growth_bytes);
    fputc('}', out);
}

static void json_plan(const struct autotune_report *r, FILE *out)
{
    const struct plan *plan = r->placement->plan;

    fprintf(out, ", \"plan\": {\"workers\": %u", r->placement->workers);
    json_text(out, "bound", plan_bound_name(plan->bound));
    json_text(out, "one_more_needs", plan->one_more);
    json_number(out, "n_cpu", plan->n_cpu);
    if (plan->n_mem == UINT64_MAX)
        fprintf(out, ", \"n_mem\": null");
    else
        json_number(out, "n_mem", plan->n_mem);
    json_number(out, "reserved_cores", plan->n_reserved);
    json_number(out, "ram_bytes", plan->ram_bytes);
    json_number(out, "os_reserve_bytes", plan->os_reserve_bytes);
    json_number(out, "usable_bytes", plan->usable_bytes);
    json_number(out, "worker_bytes", r->placement->need.worker_bytes);
    json_number(out, "shared_bytes", r->placement->need.shared_bytes);
    json_number(out, "safe_limit_bytes", plan->safe_limit_bytes);
    json_number(out, "alarm_bytes", plan->alarm_bytes);
    json_number(out, "alarm_after_requests", r->lifetime);
    json_text(out, "pin", plan_pin_name(plan->pin));
    json_text(out, "pin_reason", plan->pin_reason);
    fputs(", \"warnings\": [", out);
    for (uint32_t i = 0; i < plan->n_warnings; i++) {
        fputs(i > 0 ? ", " : "", out);
        fprintf(out, "\"%s\"", plan->warnings[i]);
    }
    fputs("]}", out);
}

static void json_limits(const struct cgroup_limits *limits, FILE *out)
{
    fprintf(out, ", \"limits\": {\"cpu_quota_milli\": %llu",
            (unsigned long long)limits->quota.value);
    json_text(out, "cpu_quota_cgroup", limits->quota.path);
    json_number(out, "memory_max_bytes", limits->memory_max.value);
    json_text(out, "memory_max_cgroup", limits->memory_max.path);
    json_number(out, "memory_high_bytes", limits->memory_high.value);
    fputc('}', out);
}

void autotune_print_json(const struct autotune_report *report, FILE *out)
{
    fputs("{\"schema\": \"gcorn-autotune/1\"", out);
    json_text(out, "application", name_of(report->config));
    json_measured(report->measured, out);
    json_limits(&report->placement->sight.limits, out);
    json_plan(report, out);
    fputs("}\n", out);
}
