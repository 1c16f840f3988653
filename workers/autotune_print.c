/* SPDX-License-Identifier: MIT */
#include "autotune_print.h"

#include "autotune.h"

#include <jansson.h>

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

static void number(json_t *to, const char *key, uint64_t value)
{
    json_object_set_new(to, key, json_integer((int64_t)value));
}

/* What is no UTF-8, a path perhaps, is null. */
static void string(json_t *to, const char *key, const char *text)
{
    json_t *value = json_string(text);

    json_object_set_new(to, key, value != NULL ? value : json_null());
}

static json_t *measured_json(const struct probe_result *m)
{
    json_t *json = json_object();

    number(json, "requests", m->requests);
    number(json, "failed_requests", m->failed);
    number(json, "total_bytes", m->used.total);
    number(json, "interpreter_bytes", m->used.interp);
    number(json, "interpreter_dirty_bytes", m->used.dirty);
    number(json, "interpreter_loaded_bytes", m->loaded.interp);
    number(json, "io_worker_bytes", m->used.worker);
    number(json, "arena_bytes", m->used.arena);
    number(json, "growth_bytes_per_request", m->growth_bytes);
    return json;
}

/* As in the JSON of gcorn-topo. */
static void limit(json_t *to, const char *key, uint64_t value)
{
    json_object_set_new(
        to, key, value == 0 ? json_null() : json_integer((int64_t)value));
}

static json_t *limits_json(const struct cgroup_limits *limits)
{
    json_t *json = json_object();

    json_object_set_new(json, "cpu_quota",
                        limits->quota.value == 0
                            ? json_null()
                            : json_real((double)limits->quota.value / 1000));
    string(json, "cpu_quota_cgroup", limits->quota.path);
    limit(json, "memory_max_bytes", limits->memory_max.value);
    string(json, "memory_max_cgroup", limits->memory_max.path);
    limit(json, "memory_high_bytes", limits->memory_high.value);
    return json;
}

static json_t *warnings_json(const struct plan *plan)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < plan->n_warnings; i++)
        json_array_append_new(list, json_string(plan->warnings[i]));
    return list;
}

static json_t *plan_json(const struct autotune_report *r)
{
    const struct plan *plan = r->placement->plan;
    json_t *json = json_object();

    number(json, "workers", r->placement->workers);
    string(json, "bound", plan_bound_name(plan->bound));
    string(json, "one_more_needs", plan->one_more);
    number(json, "n_cpu", plan->n_cpu);
    json_object_set_new(json, "n_mem", json_null());
    if (plan->n_mem != UINT64_MAX)
        number(json, "n_mem", plan->n_mem);
    number(json, "reserved_cores", plan->n_reserved);
    number(json, "ram_bytes", plan->ram_bytes);
    number(json, "os_reserve_bytes", plan->os_reserve_bytes);
    number(json, "usable_bytes", plan->usable_bytes);
    number(json, "worker_bytes", r->placement->need.worker_bytes);
    number(json, "shared_bytes", r->placement->need.shared_bytes);
    number(json, "safe_limit_bytes", plan->safe_limit_bytes);
    number(json, "alarm_bytes", plan->alarm_bytes);
    number(json, "alarm_after_requests", r->lifetime);
    string(json, "pin", plan_pin_name(plan->pin));
    string(json, "pin_reason", plan->pin_reason);
    json_object_set_new(json, "warnings", warnings_json(plan));
    return json;
}

void autotune_print_json(const struct autotune_report *report, FILE *out)
{
    json_t *json = json_object();

    string(json, "schema", "gcorn-autotune/1");
    string(json, "application", name_of(report->config));
    json_object_set_new(json, "measured", measured_json(report->measured));
    json_object_set_new(json, "limits",
                        limits_json(&report->placement->sight.limits));
    json_object_set_new(json, "plan", plan_json(report));
    json_dumpf(json, out, JSON_ENSURE_ASCII);
    fputc('\n', out);
    json_decref(json);
}
