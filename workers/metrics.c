/* SPDX-License-Identifier: MIT */
#include "metrics.h"

#include "core/board.h"
#include "core/board_interp.h"
#include "core/board_worker.h"
#include "core/health.h"

#include <string.h>

#define LABELS 160

/* A place to write to, and whose samples are being written. */
struct writer {
    const struct observer *observer;
    FILE *to;
};

typedef uint64_t worker_value_fn(const struct observer *observer,
                                 uint32_t slot);

static void family(const struct writer *w, const char *name, const char *type,
                   const char *help)
{
    fprintf(w->to, "# HELP gcorn_%s %c%s.\n# TYPE gcorn_%s %s\n", name,
            help[0] >= 'a' && help[0] <= 'z' ? help[0] - 'a' + 'A' : help[0],
            help + 1, name, type);
}

static void single(const struct writer *w, const char *name, const char *type,
                   const char *help, double value)
{
    family(w, name, type, help);
    fprintf(w->to, "gcorn_%s %.17g\n", name, value);
}

static bool in_service(const struct master *master, uint32_t slot)
{
    return master->slots[slot].state != WORKER_SLOT_EMPTY ||
           atomic_load(&board_worker(master->board, slot)->starts) > 0;
}

static const char *labels(const struct writer *w, uint32_t slot,
                          char out[LABELS])
{
    const struct plan_place *place =
        placement_of(&w->observer->master->placement, slot);
    char cpus[64] = "";
    char node[16] = "";

    if (!cpus_is_empty(&place->worker_cpus))
        cpus_format(&place->worker_cpus, cpus, sizeof(cpus));
    if (place->node >= 0)
        snprintf(node, sizeof(node), "%d", place->node);
    snprintf(out, LABELS, "worker=\"%u\",cpu=\"%s\",node=\"%s\"", slot, cpus,
             node);
    return out;
}

static void each_worker(const struct writer *w, const char *name,
                        worker_value_fn *value)
{
    const struct master *master = w->observer->master;
    char text[LABELS];

    for (uint32_t i = 0; i < master->board->worker_slots; i++)
        if (in_service(master, i))
            fprintf(w->to, "gcorn_%s{%s} %llu\n", name, labels(w, i, text),
                    (unsigned long long)value(w->observer, i));
}

static uint64_t counter_at(const struct observer *observer, uint32_t slot,
                           size_t offset)
{
    const char *stats = (const char *)observer_stats(observer, slot);

    return atomic_load_explicit(
        (const _Atomic uint64_t *)(const void *)(stats + offset),
        memory_order_relaxed);
}

static const struct {
    const char *name;
    const char *help;
    size_t offset;
} counters[] = {
#define X(name, help) {#name, help, offsetof(struct stats, name)},
    STATS_COUNTERS(X)
#undef X
};

static const struct {
    const char *name;
    const char *help;
    size_t offset;
} histograms[] = {
#define X(name, help) {#name "_seconds", help, offsetof(struct stats, name)},
    STATS_HISTOGRAMS(X)
#undef X
};

/* status_2xx is code="2xx" of one family. */
static bool is_status(const char *name)
{
    return strncmp(name, "status_", 7) == 0;
}

static void counter(const struct writer *w, const char *name, const char *more,
                    size_t offset)
{
    const struct master *master = w->observer->master;
    char text[LABELS];

    for (uint32_t i = 0; i < master->board->worker_slots; i++)
        if (in_service(master, i))
            fprintf(w->to, "gcorn_%s_total{%s%s} %llu\n", name,
                    labels(w, i, text), more,
                    (unsigned long long)counter_at(w->observer, i, offset));
}

static void all_counters(const struct writer *w)
{
    char name[64];
    char code[32];

    family(w, "responses_total", "counter", "responses by class of status");
    for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
        if (!is_status(counters[i].name))
            continue;
        snprintf(code, sizeof(code), ",code=\"%s\"", counters[i].name + 7);
        counter(w, "responses", code, counters[i].offset);
    }
    for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
        if (is_status(counters[i].name))
            continue;
        snprintf(name, sizeof(name), "%s_total", counters[i].name);
        family(w, name, "counter", counters[i].help);
        counter(w, counters[i].name, "", counters[i].offset);
    }
}

/* Bucket i holds what is below 2^i microseconds. */
static void histogram(const struct writer *w, const char *name,
                      const struct stats_histogram *h, const char *label)
{
    uint64_t sum_us = atomic_load_explicit(&h->sum_us, memory_order_relaxed);
    uint64_t seen = 0;

    for (uint32_t i = 0; i < STATS_BUCKETS; i++) {
        seen += atomic_load_explicit(&h->bucket[i], memory_order_relaxed);
        if (i + 1 < STATS_BUCKETS)
            fprintf(w->to, "gcorn_%s_bucket{%s,le=\"%.9g\"} %llu\n", name,
                    label, (double)(1ULL << i) / 1e6, (unsigned long long)seen);
    }
    /* The count is that of the buckets: they are not read at one moment. */
    fprintf(w->to,
            "gcorn_%s_bucket{%s,le=\"+Inf\"} %llu\n"
            "gcorn_%s_sum{%s} %.6f\ngcorn_%s_count{%s} %llu\n",
            name, label, (unsigned long long)seen, name, label,
            (double)sum_us / 1e6, name, label, (unsigned long long)seen);
}

static void all_histograms(const struct writer *w)
{
    const struct master *master = w->observer->master;
    char text[LABELS];

    for (size_t i = 0; i < ARRAY_SIZE(histograms); i++) {
        family(w, histograms[i].name, "histogram", histograms[i].help);
        for (uint32_t slot = 0; slot < master->board->worker_slots; slot++) {
            const char *stats = (const char *)observer_stats(w->observer, slot);

            if (in_service(master, slot))
                histogram(w, histograms[i].name,
                          (const void *)(stats + histograms[i].offset),
                          labels(w, slot, text));
        }
    }
}

/* Of a field on the board. */
#define WORKER_FIELD(name)                                                     \
    static uint64_t worker_##name(const struct observer *observer,             \
                                  uint32_t slot)                               \
    {                                                                          \
        return atomic_load(                                                    \
            &board_worker(observer->master->board, slot)->name);               \
    }
WORKER_FIELD(connections)
WORKER_FIELD(ready)
WORKER_FIELD(running)
WORKER_FIELD(starts)

static uint64_t worker_up(const struct observer *observer, uint32_t slot)
{
    return atomic_load(&board_worker(observer->master->board, slot)->state) ==
           BOARD_WORKER_SERVING;
}

static uint64_t worker_exchanges(const struct observer *observer, uint32_t slot)
{
    return observer_exchanges_free(observer, slot);
}

static uint64_t worker_chunks(const struct observer *observer, uint32_t slot)
{
    return observer_chunks_free(observer, slot);
}

static uint64_t worker_memory(const struct observer *observer, uint32_t slot)
{
    return observer_resident_bytes(observer->master->slots[slot].pid);
}

/* Sums over the interpreters at home with the worker. */
struct home {
    uint64_t serving, busy, memory;
};

static struct home home_of(const struct observer *observer, uint32_t slot)
{
    const struct board *board = observer->master->board;
    uint32_t first = slot * BOARD_INTERPS_PER_WORKER;
    struct home home = {0};

    for (uint32_t i = first; i < first + BOARD_INTERPS_PER_WORKER; i++) {
        const struct board_interp *interp = board_interp(board, i);
        uint32_t state = atomic_load(&interp->state);

        if (state == BOARD_INTERP_EMPTY || state == BOARD_INTERP_DEAD)
            continue;
        home.serving += board_interp_serves(state);
        home.busy += atomic_load(&interp->running) > 0;
        home.memory += observer_resident_bytes(atomic_load(&interp->pid));
    }
    return home;
}

static uint64_t home_serving(const struct observer *observer, uint32_t slot)
{
    return home_of(observer, slot).serving;
}

static uint64_t home_busy(const struct observer *observer, uint32_t slot)
{
    return home_of(observer, slot).busy;
}

static uint64_t home_memory(const struct observer *observer, uint32_t slot)
{
    return home_of(observer, slot).memory;
}

static const struct {
    const char *name;
    const char *type;
    const char *help;
    worker_value_fn *value;
} gauges[] = {
    {"worker_up", "gauge", "the worker serves", worker_up},
    {"worker_starts_total", "counter", "processes started for this worker",
     worker_starts},
    {"connections_open", "gauge", "connections open", worker_connections},
    {"requests_waiting", "gauge", "requests that wait for an interpreter",
     worker_ready},
    {"requests_running", "gauge", "requests in interpreters", worker_running},
    {"interpreters_serving", "gauge", "interpreters that take requests",
     home_serving},
    {"interpreters_busy", "gauge", "interpreters that run a request",
     home_busy},
    {"exchanges_free", "gauge", "places for requests that are free",
     worker_exchanges},
    {"chunks_free", "gauge", "chunks of shared memory that are free",
     worker_chunks},
    {"worker_resident_bytes", "gauge", "memory of the worker process in RAM",
     worker_memory},
    {"interpreters_resident_bytes", "gauge",
     "memory of the worker's interpreters in RAM, shared pages counted in each",
     home_memory},
};

static void all_queues(const struct writer *w)
{
    const struct master *master = w->observer->master;
    char text[LABELS];
    char url[300];

    family(w, "listen_queue", "gauge", "connections that wait to be accepted");
    for (uint32_t i = 0; i < master->listener_count; i++) {
        const struct listener *listener = &master->listeners[i];

        listener_url(listener, url, sizeof(url));
        if (strpbrk(url, "\"\\\n") != NULL)
            continue;
        for (uint32_t slot = 0; slot < master->board->worker_slots; slot++) {
            int64_t waiting = observer_listen_queue(listener, slot);

            if (waiting >= 0)
                fprintf(w->to, "gcorn_listen_queue{%s,listener=\"%s\"} %lld\n",
                        labels(w, slot, text), url, (long long)waiting);
        }
    }
}

static void all_loops(const struct writer *w)
{
    const struct master *master = w->observer->master;
    char text[LABELS];

    family(w, "loop_lag_seconds", "gauge",
           "how late the interpreter's event loop comes round");
    for (uint32_t i = 0; i < master->board->interp_slots; i++) {
        const struct board_interp *interp = board_interp(master->board, i);

        if (board_interp_serves(atomic_load(&interp->state)) &&
            atomic_load(&interp->by_doorbell))
            fprintf(w->to,
                    "gcorn_loop_lag_seconds{%s,interpreter=\"%u\"} %.9f\n",
                    labels(w, board_home(i), text), i,
                    (double)board_loop_lag_ns(interp, now_ns()) / NS_PER_S);
    }
}

static void memory_of(const struct writer *w, const char *labels_text,
                      uint64_t bytes)
{
    if (bytes != 0)
        fprintf(w->to, "gcorn_pss_bytes{%s} %llu\n", labels_text,
                (unsigned long long)bytes);
}

static void interp_memory(const struct writer *w, uint32_t slot)
{
    const struct board_interp *interp = board_interp(w->observer->master->board,
                                                     slot);
    uint32_t state = atomic_load(&interp->state);
    char text[LABELS], all[2 * LABELS];

    if (state == BOARD_INTERP_EMPTY || state == BOARD_INTERP_DEAD)
        return;
    snprintf(all, sizeof(all), "process=\"interpreter\",interpreter=\"%u\",%s",
             slot, labels(w, board_home(slot), text));
    memory_of(w, all, observer_interp_pss(w->observer, slot));
}

/* What was not looked at yet has no sample. */
static void all_memory(const struct writer *w)
{
    const struct observer *observer = w->observer;
    const struct master *master = observer->master;
    char text[LABELS], all[2 * LABELS];

    family(w, "pss_bytes", "gauge",
           "memory of each process, shared pages divided among those who have "
           "them");
    memory_of(w, "process=\"master\"",
              census_pss(observer->census, OBSERVER_PLACE_MASTER,
                         master->board->master_pid));
    memory_of(w, "process=\"template\"",
              census_pss(observer->census, OBSERVER_PLACE_TEMPLATE,
                         master->current.pid));
    for (uint32_t i = 0; i < master->board->worker_slots; i++) {
        if (!in_service(master, i))
            continue;
        snprintf(all, sizeof(all), "process=\"worker\",%s", labels(w, i, text));
        memory_of(w, all, observer_worker_pss(observer, i));
    }
    for (uint32_t i = 0; i < master->board->interp_slots; i++)
        interp_memory(w, i);
}

static void all_reloads(const struct writer *w)
{
    const struct reload *reload = &w->observer->master->reload;

    family(w, "reloads_total", "counter", "reloads by what became of them");
    fprintf(w->to,
            "gcorn_reloads_total{outcome=\"succeeded\"} %u\n"
            "gcorn_reloads_total{outcome=\"failed\"} %u\n",
            reload->succeeded, reload->failed);
    single(w, "last_reload_failed", "gauge",
           "the last reload failed, and older code goes on",
           reload->state == RELOAD_FAILED);
    if (reload->ended_ns > reload->began_ns)
        single(w, "last_reload_seconds", "gauge",
               "how long the last reload took",
               (double)(reload->ended_ns - reload->began_ns) / NS_PER_S);
}

static void the_master(const struct writer *w)
{
    const struct observer *observer = w->observer;
    const struct master *master = observer->master;
    uint64_t window_ns = min_u64(master->config->ready_window, 1000000) *
                         NS_PER_S;

    family(w, "info", "gauge", "what this server is");
    fprintf(w->to, "gcorn_info{version=\"%s\",python=\"%s\"} 1\n",
            GCORN_VERSION, master->host.version);
    single(w, "start_time_seconds", "gauge", "when the server was started",
           observer->started);
    single(w, "ready", "gauge", "the application can take requests",
           health_of(master->board, master->now, window_ns) == HEALTH_READY);
    single(w, "workers_wanted", "gauge", "workers that there should be",
           master->wanted);
    single(w, "generation", "gauge", "how often the code was loaded",
           master->current.generation);
    single(w, "interpreter_deaths_total", "counter",
           "interpreters that ended, for whatever reason",
           (double)atomic_load(&master->board->death_epoch));
    single(w, "master_resident_bytes", "gauge", "memory of the master in RAM",
           (double)observer_resident_bytes(master->board->master_pid));
    single(w, "template_resident_bytes", "gauge",
           "memory of the template in RAM",
           (double)observer_resident_bytes(master->current.pid));
}

void metrics_write(const struct observer *observer, FILE *to)
{
    struct writer w = {observer, to};

    the_master(&w);
    for (size_t i = 0; i < ARRAY_SIZE(gauges); i++) {
        family(&w, gauges[i].name, gauges[i].type, gauges[i].help);
        each_worker(&w, gauges[i].name, gauges[i].value);
    }
    all_reloads(&w);
    all_memory(&w);
    all_queues(&w);
    all_loops(&w);
    all_counters(&w);
    all_histograms(&w);
}
