/* SPDX-License-Identifier: MIT */
/* The schema "gcorn-topo/1" is described in gcorn-topo(1). */
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

#include "tools/topo/json_out.h"
#include "tools/topo/report.h"
#include "topology/sysfile.h"

static const char *text_or_null(const char *text)
{
    return text[0] ? text : NULL;
}

static void put_source(struct json *j, const struct report *r)
{
    static const char *const kinds[] = {[MACHINE_LIVE] = "live",
                                        [MACHINE_XML] = "xml",
                                        [MACHINE_SYNTHETIC] = "synthetic",
                                        [MACHINE_SYSROOT] = "sysroot"};
    const struct machine_source *s = &r->options->source;

    json_open(j, "source", '{');
    json_text(j, "kind", kinds[r->machine->origin]);
    json_text(j, "path",
              s->xml         ? s->xml
              : s->synthetic ? s->synthetic
                             : s->sysroot);
    json_text(j, "hwloc", r->machine->hwloc);
    json_close(j, '}');
    json_open(j, "host", '{');
    json_text(j, "name", text_or_null(r->host.name));
    json_text(j, "kernel", text_or_null(r->host.kernel));
    json_text(j, "virt", r->host.virt[0] ? r->host.virt : "unknown");
    json_bool(j, "container", r->host.container);
    json_close(j, '}');
}

static void put_cores_of(struct json *j, const char *key,
                         const struct machine *m, int32_t node, int32_t llc)
{
    json_open(j, key, '[');
    for (uint32_t i = 0; i < m->n_cores; i++)
        if ((node < 0 || m->cores[i].node == node) &&
            (llc < 0 || m->cores[i].llc == llc))
            json_number(j, NULL, i);
    json_close(j, ']');
}

static void put_words(struct json *j, const char *key, const char *words)
{
    char word[32];

    json_open(j, key, '[');
    while (*words) {
        size_t n = strcspn(words, " ");

        snprintf(word, sizeof(word), "%.*s", (int)n, words);
        json_text(j, NULL, word);
        words += n + (words[n] == ' ');
    }
    json_close(j, ']');
}

/* By the numbers of the domains below. */
static void put_l3(struct json *j, const struct machine *m)
{
    json_open(j, "l3", '[');
    for (uint32_t i = 0; i < m->n_llcs; i++) {
        if (m->llcs[i].kind != MACHINE_LLC_L3)
            continue;
        json_open(j, NULL, '{');
        json_number(j, "index", i);
        json_number(j, "bytes", m->llcs[i].bytes);
        put_cores_of(j, "cores", m, -1, (int32_t)i);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void put_caches(struct json *j, const struct machine *m)
{
    static const char *const kinds[] = {[MACHINE_LLC_L3] = "l3",
                                        [MACHINE_LLC_L2] = "l2",
                                        [MACHINE_LLC_NODE] = "node",
                                        [MACHINE_LLC_WHOLE] = "machine"};

    json_open(j, "llc", '[');
    for (uint32_t i = 0; i < m->n_llcs; i++) {
        json_open(j, NULL, '{');
        json_number(j, "index", i);
        json_text(j, "kind", kinds[m->llcs[i].kind]);
        json_number(j, "bytes", m->llcs[i].bytes);
        put_cores_of(j, "cores", m, -1, (int32_t)i);
        json_close(j, '}');
    }
    json_close(j, ']');
}

/* Slowest first; a machine with one kind has one entry, of unknown rank. */
static void put_kinds(struct json *j, const struct machine *m)
{
    json_open(j, "kinds", '[');
    for (int32_t kind = -1; kind < (int32_t)m->n_kinds; kind++) {
        bool open = false;

        for (uint32_t i = 0; i < m->n_cores; i++) {
            if (m->cores[i].efficiency != kind)
                continue;
            if (!open) {
                json_open(j, NULL, '{');
                json_signed(j, "efficiency", kind, kind < 0);
                json_open(j, "cores", '[');
                open = true;
            }
            json_number(j, NULL, i);
        }
        if (open) {
            json_close(j, ']');
            json_close(j, '}');
        }
    }
    json_close(j, ']');
}

static void put_cpu(struct json *j, const struct report *r)
{
    const struct processor *p = &r->processor;
    const struct machine *m = r->machine;
    uint32_t cores = 0, pus = 0;

    for (uint32_t i = 0; i < m->n_cores; i++) {
        cores += machine_core_is_usable(&m->cores[i]);
        pus += cpus_count(&m->cores[i].usable);
    }
    json_open(j, "cpu", '{');
    json_text(j, "vendor", text_or_null(p->vendor));
    json_text(j, "model", text_or_null(p->model));
    json_signed(j, "family", p->family, p->family < 0);
    json_signed(j, "model_number", p->model_number, p->model_number < 0);
    json_text(j, "generation", p->generation);
    json_number(j, "packages", m->packages);
    json_number(j, "cores", m->n_cores);
    json_number(j, "cores_usable", cores);
    json_number(j, "pus", cpus_count(&m->online));
    json_number(j, "pus_usable", pus);
    json_open(j, "base_mhz", '{');
    json_signed(j, "value", p->base_mhz, p->base_mhz == 0);
    json_text(j, "source", p->base_source);
    json_text(j, "confidence",
              p->base_mhz == 0     ? "unknown"
              : report_is_guest(r) ? "inferred"
                                   : "reported");
    json_close(j, '}');
    put_words(j, "avx512", p->avx512);
    put_kinds(j, m);
    json_number(j, "l3_count", m->n_l3);
    json_number(j, "l3_bytes", m->l3_bytes);
    put_l3(j, m);
    put_caches(j, m);
    json_close(j, '}');
}

/* 0: not known. */
static uint64_t free_bytes(const struct report *r, uint32_t os_index)
{
    char path[96], text[4096];
    unsigned long long kib = 0;
    const char *line;

    snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/meminfo",
             os_index);
    if (!r->root || !sysfile_text(r->root, path, text, sizeof(text)))
        return 0;
    line = strstr(text, "MemFree:");
    if (!line || sscanf(line, "MemFree: %llu kB", &kib) != 1)
        return 0;
    return (uint64_t)kib * 1024;
}

static void put_node(struct json *j, const struct report *r, uint32_t i)
{
    const struct machine *m = r->machine;
    const struct machine_node *node = &m->nodes[i];
    uint64_t free = free_bytes(r, node->os_index);

    json_open(j, NULL, '{');
    json_number(j, "os_index", node->os_index);
    json_signed(j, "bytes", (int64_t)node->bytes, node->bytes == 0);
    json_signed(j, "free_bytes", (int64_t)free, free == 0);
    put_cores_of(j, "cores", m, (int32_t)i, -1);
    json_text(j, "special", text_or_null(node->special));
    json_bool(j, "allowed", node->allowed);
    json_number(j, "nics", node->nics);
    json_close(j, '}');
}

static void put_distances(struct json *j, const struct machine *m)
{
    json_open(j, "distances", '[');
    for (uint32_t i = 0; i < m->n_nodes; i++) {
        json_open(j, NULL, '[');
        for (uint32_t k = 0; k < m->n_nodes; k++) {
            uint32_t d = m->distances[i * m->n_nodes + k];

            json_signed(j, NULL, d, d == 0);
        }
        json_close(j, ']');
    }
    json_close(j, ']');
}

static void put_dimms(struct json *j, const struct dimms *dimms)
{
    json_open(j, "dimms", '[');
    for (uint32_t i = 0; i < dimms->n; i++) {
        const struct dimm *d = &dimms->items[i];

        json_open(j, NULL, '{');
        json_text(j, "type", text_or_null(d->type));
        json_maybe(j, "rdimm", d->is_registered);
        json_maybe(j, "ecc", d->has_ecc);
        json_signed(j, "mts", d->mts, d->mts == 0);
        json_number(j, "bytes", d->bytes);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void put_memory(struct json *j, const struct report *r)
{
    const struct machine *m = r->machine;
    uint64_t total = 0;

    for (uint32_t i = 0; i < m->n_nodes; i++)
        if (machine_node_is_counted(&m->nodes[i]))
            total += m->nodes[i].bytes;
    json_open(j, "memory", '{');
    json_signed(j, "total_bytes", (int64_t)total, total == 0);
    json_signed(j, "meminfo_bytes", (int64_t)m->meminfo_bytes,
                m->meminfo_bytes == 0);
    json_open(j, "nodes", '[');
    for (uint32_t i = 0; i < m->n_nodes; i++)
        put_node(j, r, i);
    json_close(j, ']');
    put_distances(j, m);
    put_dimms(j, &r->dimms);
    json_close(j, '}');
}

/* Of the shell that started us: a service has its own. */
static void put_rlimit(struct json *j, const char *key, bool known, int which)
{
    struct rlimit limit;

    if (!known || getrlimit((__rlimit_resource_t)which, &limit) < 0 ||
        limit.rlim_cur == RLIM_INFINITY)
        json_text(j, key, NULL);
    else
        json_number(j, key, limit.rlim_cur);
}

static void put_claims(struct json *j, const struct claim_view *claims)
{
    char list[CPUS_TEXT];

    json_open(j, "claims", '[');
    for (uint32_t i = 0; i < claims->n; i++) {
        json_open(j, NULL, '{');
        json_signed(j, "pid", claims->holders[i].pid,
                    claims->holders[i].pid <= 0);
        cpus_format(&claims->holders[i].cpus, list, sizeof(list));
        json_text(j, "cpus", list);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void put_mems(struct json *j, const struct machine *m)
{
    struct cpus nodes = {0};
    char list[CPUS_TEXT];

    for (uint32_t i = 0; i < m->n_nodes; i++)
        if (m->nodes[i].allowed)
            cpus_add(&nodes, m->nodes[i].os_index);
    cpus_format(&nodes, list, sizeof(list));
    json_text(j, "mems_allowed", list);
}

/* Whose limit decided how many workers there are. */
static const char *limiting_cgroup(const struct report *r)
{
    const struct cgroup_limits *l = &r->limits;

    switch (r->plan->bound) {
    case PLAN_BOUND_QUOTA:
        return text_or_null(l->quota.path);
    case PLAN_BOUND_MEMORY:
        return text_or_null(l->memory_max.value ? l->memory_max.path
                                                : l->memory_high.path);
    case PLAN_BOUND_CPU:
    case PLAN_BOUND_USER:
        break;
    }
    return NULL;
}

static void put_limits(struct json *j, const struct report *r)
{
    const struct cgroup_limits *l = &r->limits;
    bool live = r->machine->origin == MACHINE_LIVE;
    char list[CPUS_TEXT];

    json_open(j, "limits", '{');
    cpus_format(&r->machine->allowed, list, sizeof(list));
    json_text(j, "cpus_allowed", list);
    cpus_format(&r->machine->affinity, list, sizeof(list));
    json_text(j, "affinity", list);
    put_mems(j, r->machine);
    json_milli(j, "cpu_quota", r->demand.quota_milli);
    json_text(j, "cpu_quota_cgroup", text_or_null(l->quota.path));
    json_signed(j, "memory_max_bytes", (int64_t)l->memory_max.value,
                l->memory_max.value == 0);
    json_text(j, "memory_max_cgroup", text_or_null(l->memory_max.path));
    json_signed(j, "memory_high_bytes", (int64_t)l->memory_high.value,
                l->memory_high.value == 0);
    json_signed(j, "pids_max", (int64_t)l->pids_max.value,
                l->pids_max.value == 0);
    json_text(j, "limiting_cgroup", limiting_cgroup(r));
    json_bool(j, "cpuset_exclusive", l->cpuset_exclusive);
    json_bool(j, "partial", l->partial);
    put_rlimit(j, "nofile", live, RLIMIT_NOFILE);
    put_rlimit(j, "memlock_bytes", live, RLIMIT_MEMLOCK);
    put_claims(j, &r->claims);
    json_close(j, '}');
}

static void put_irqs(struct json *j, const struct nic *nic)
{
    char list[CPUS_TEXT];

    json_open(j, "irqs", '[');
    for (uint32_t i = 0; i < nic->n_irqs; i++) {
        json_open(j, NULL, '{');
        json_number(j, "irq", nic->irqs[i].irq);
        cpus_format(&nic->irqs[i].cpus, list, sizeof(list));
        json_text(j, "cpus", list);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void put_nics(struct json *j, const struct devices *d)
{
    json_open(j, "net", '[');
    for (uint32_t i = 0; i < d->n_nics; i++) {
        const struct nic *nic = &d->nics[i];

        json_open(j, NULL, '{');
        json_text(j, "name", nic->name);
        json_text(j, "driver", text_or_null(nic->driver));
        json_signed(j, "speed_mbps", nic->speed_mbps, nic->speed_mbps <= 0);
        json_signed(j, "node", nic->node, nic->node < 0);
        json_signed(j, "queues", nic->queues, nic->queues < 0);
        json_signed(j, "queues_max", nic->queues_max, nic->queues_max < 0);
        json_signed(j, "rx_ring", nic->rx_ring, nic->rx_ring < 0);
        json_signed(j, "rx_ring_max", nic->rx_ring_max, nic->rx_ring_max < 0);
        json_maybe(j, "tso", nic->tso);
        json_maybe(j, "gro", nic->gro);
        put_irqs(j, nic);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void put_disks(struct json *j, const struct devices *d)
{
    json_open(j, "disks", '[');
    for (uint32_t i = 0; i < d->n_disks; i++) {
        const struct disk *disk = &d->disks[i];

        json_open(j, NULL, '{');
        json_text(j, "name", disk->name);
        json_signed(j, "bytes", (int64_t)disk->bytes, disk->bytes == 0);
        json_signed(j, "node", disk->node, disk->node < 0);
        json_bool(j, "nvme", disk->is_nvme);
        json_milli(j, "pcie_gts",
                   disk->pcie_mts > 0 ? (uint64_t)disk->pcie_mts : 0);
        json_signed(j, "pcie_width", disk->pcie_width, disk->pcie_width <= 0);
        json_bool(j, "boot", disk->is_boot);
        json_text(j, "raid", text_or_null(disk->raid));
        json_close(j, '}');
    }
    json_close(j, ']');
}

/* Where it would be bound; "pin" tells whether it is. */
static void put_place(struct json *j, const struct report *r, uint32_t i)
{
    const struct plan_place *p = &r->plan->places[i];
    static const struct cpus none;
    const struct cpus *pus = p->core < 0 ? &none
                                         : &r->machine->cores[p->core].usable;

    json_open(j, NULL, '{');
    json_number(j, "worker", i);
    json_open(j, "pus", '[');
    for (int c = cpus_next(pus, 0); c >= 0; c = cpus_next(pus, (uint32_t)c + 1))
        json_number(j, NULL, (uint64_t)c);
    json_close(j, ']');
    json_signed(j, "core", p->core, p->core < 0);
    json_signed(j, "llc", p->llc, p->llc < 0);
    json_signed(j, "node", p->node, p->node < 0);
    json_signed(j, "memory_node", p->memory_node, p->memory_node < 0);
    json_bool(j, "remote", p->remote);
    json_close(j, '}');
}

static void put_plan(struct json *j, const struct report *r)
{
    const struct plan *p = r->plan;

    json_open(j, "plan", '{');
    json_number(j, "workers", p->n_workers);
    json_text(j, "bound", plan_bound_name(p->bound));
    json_number(j, "n_cpu", p->n_cpu);
    json_signed(j, "n_mem", (int64_t)p->n_mem, p->n_mem == UINT64_MAX);
    json_open(j, "reserved_cores", '[');
    for (uint32_t i = 0; i < p->n_reserved; i++)
        json_number(j, NULL, p->reserved[i]);
    json_close(j, ']');
    json_number(j, "ram_bytes", p->ram_bytes);
    json_number(j, "os_reserve_bytes", p->os_reserve_bytes);
    json_number(j, "usable_bytes", p->usable_bytes);
    json_number(j, "worker_bytes", p->worker_bytes);
    json_number(j, "safe_limit_bytes", p->safe_limit_bytes);
    json_number(j, "alarm_bytes", p->alarm_bytes);
    json_text(j, "one_more", p->one_more);
    json_text(j, "pin", plan_pin_name(p->pin));
    json_text(j, "pin_reason", p->pin_reason);
    json_open(j, "placement", '[');
    for (uint32_t i = 0; i < p->n_workers; i++)
        put_place(j, r, i);
    json_close(j, ']');
    json_open(j, "warnings", '[');
    for (uint32_t i = 0; i < p->n_warnings; i++)
        json_text(j, NULL, p->warnings[i]);
    json_close(j, ']');
    json_close(j, '}');
}

static void put_checks(struct json *j, const struct report *r)
{
    const struct checks_summary *s = &r->summary;

    json_open(j, "checks", '[');
    for (uint32_t i = 0; i < r->checks.n; i++) {
        const struct check *c = &r->checks.items[i];

        json_open(j, NULL, '{');
        json_text(j, "id", c->id);
        json_text(j, "group", c->group);
        json_text(j, "status", check_status_name(c->status));
        json_text(j, "need", c->need);
        json_text(j, "found", c->found);
        json_text(j, "source", text_or_null(c->source));
        json_text(j, "confidence", check_confidence(c));
        json_text(j, "remedy", text_or_null(c->remedy));
        json_close(j, '}');
    }
    json_close(j, ']');
    json_open(j, "summary", '{');
    json_bool(j, "tier_met", s->is_met);
    json_number(j, "pass", s->count[CHECK_PASS]);
    json_number(j, "warn", s->count[CHECK_WARN] + s->kernel_warnings);
    json_number(j, "fail", s->count[CHECK_FAIL]);
    json_number(j, "unknown", s->count[CHECK_UNKNOWN]);
    json_close(j, '}');
}

void report_json(const struct report *report, FILE *out)
{
    struct json j = {.out = out};
    struct tm tm;
    char when[32];

    gmtime_r(&report->when, &tm);
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_open(&j, NULL, '{');
    json_text(&j, "schema", "gcorn-topo/1");
    json_text(&j, "generated", when);
    put_source(&j, report);
    put_cpu(&j, report);
    put_memory(&j, report);
    put_limits(&j, report);
    put_nics(&j, report->devices);
    put_disks(&j, report->devices);
    put_plan(&j, report);
    put_checks(&j, report);
    json_close(&j, '}');
    fputc('\n', out);
}
