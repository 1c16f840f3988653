/* SPDX-License-Identifier: MIT */
#include "report.h"

#include "advice.h"

#include "core/board.h"
#include "core/board_interp.h"
#include "core/board_worker.h"
#include "core/conn_list.h"
#include "core/health.h"

#include <math.h>
#include <string.h>

static double seconds(uint64_t ns)
{
    return round((double)ns / 1e7) / 100;
}

static double age_of(const struct observer *observer, uint64_t since_ns)
{
    uint64_t now = observer->master->now;

    return now > since_ns ? seconds(now - since_ns) : 0;
}

static const char *state_name(uint32_t state)
{
    switch ((enum board_interp_state)state) {
    case BOARD_INTERP_EMPTY:
        return "empty";
    case BOARD_INTERP_STARTING:
        return "starting";
    case BOARD_INTERP_SERVING:
        return "serving";
    case BOARD_INTERP_RETIRING:
        return "retiring";
    case BOARD_INTERP_DRAINING:
        return "draining";
    case BOARD_INTERP_DEAD:
        return "dead";
    }
    return "?";
}

static void place_set(const struct observer *observer, uint32_t slot,
                      json_t *to)
{
    const struct plan_place *place = placement_of(&observer->master->placement,
                                                  slot);
    char cpus[128] = "";

    if (!cpus_is_empty(&place->worker_cpus))
        cpus_format(&place->worker_cpus, cpus, sizeof(cpus));
    json_object_set_new(to, "cpus", json_string(cpus));
    json_object_set_new(
        to, "node", place->node >= 0 ? json_integer(place->node) : json_null());
}

static json_t *interp_json(const struct observer *observer, uint32_t slot)
{
    const struct master *master = observer->master;
    const struct board_interp *interp = board_interp(master->board, slot);
    const struct interp *known = &master->interps[slot];
    const struct board_worker *home = board_worker(master->board,
                                                   board_home(slot));
    uint32_t state = atomic_load(&interp->state);
    uint64_t busy_ns = atomic_load(&interp->busy_since_ns);
    pid_t pid = atomic_load(&interp->pid);
    json_t *json = json_object();

    json_object_set_new(json, "pid", json_integer(pid));
    json_object_set_new(json, "age", json_integer(known->age));
    json_object_set_new(json, "booted", json_boolean(known->serving_ns != 0));
    json_object_set_new(json, "aborted", json_boolean(known->stuck_ns != 0));
    json_object_set_new(
        json, "last_heartbeat",
        json_real(age_of(observer, atomic_load(&home->heartbeat_ns))));
    json_object_set_new(json, "state", json_string(state_name(state)));
    json_object_set_new(json, "worker", json_integer(board_home(slot)));
    json_object_set_new(json, "worker_pid",
                        json_integer(atomic_load(&home->pid)));
    json_object_set_new(json, "generation", json_integer(known->generation));
    json_object_set_new(json, "uptime",
                        json_real(age_of(observer, known->started_ns)));
    json_object_set_new(json, "requests",
                        json_integer((int64_t)atomic_load(&interp->requests)));
    json_object_set_new(json, "running",
                        json_integer(atomic_load(&interp->running)));
    json_object_set_new(
        json, "busy_for",
        json_real(busy_ns != 0 ? age_of(observer, busy_ns) : 0));
    if (atomic_load(&interp->by_doorbell))
        json_object_set_new(
            json, "loop_lag",
            json_real(seconds(board_loop_lag_ns(interp, now_ns()))));
    json_object_set_new(json, "cpu_seconds",
                        json_real(seconds(atomic_load(&interp->cpu_ns))));
    json_object_set_new(json, "resident_bytes",
                        json_integer((int64_t)observer_resident_bytes(pid)));
    json_object_set_new(
        json, "pss_bytes",
        json_integer((int64_t)observer_interp_pss(observer, slot)));
    place_set(observer, board_home(slot), json);
    return json;
}

static bool is_alive(const struct board_interp *interp)
{
    uint32_t state = atomic_load(&interp->state);

    return state != BOARD_INTERP_EMPTY && state != BOARD_INTERP_DEAD;
}

/* The oldest first, as Gunicorn lists them. */
static json_t *interps_json(const struct observer *observer)
{
    const struct master *master = observer->master;
    json_t *list = json_array();
    uint32_t last = 0;

    for (;;) {
        uint32_t next = UINT32_MAX;
        uint32_t slot = 0;

        for (uint32_t i = 0; i < master->board->interp_slots; i++) {
            uint32_t age = master->interps[i].age;

            if (is_alive(board_interp(master->board, i)) && age > last &&
                age < next) {
                next = age;
                slot = i;
            }
        }
        if (next == UINT32_MAX)
            return list;
        json_array_append_new(list, interp_json(observer, slot));
        last = next;
    }
}

static json_t *counted(const char *name, json_t *list)
{
    json_t *json = json_object();

    json_object_set_new(json, "count",
                        json_integer((int64_t)json_array_size(list)));
    json_object_set_new(json, name, list);
    return json;
}

json_t *report_workers(const struct observer *observer)
{
    return counted("workers", interps_json(observer));
}

json_t *report_all(const struct observer *observer)
{
    json_t *json = json_object();
    json_t *arbiter = json_object();
    json_t *workers = interps_json(observer);

    json_object_set_new(arbiter, "pid",
                        json_integer(observer->master->board->master_pid));
    json_object_set_new(arbiter, "type", json_string("arbiter"));
    json_object_set_new(arbiter, "role", json_string("master"));
    json_object_set_new(json, "arbiter", arbiter);
    json_object_set_new(json, "web_worker_count",
                        json_integer((int64_t)json_array_size(workers)));
    json_object_set_new(json, "web_workers", workers);
    json_object_set_new(json, "dirty_arbiter", json_null());
    json_object_set_new(json, "dirty_workers", json_array());
    json_object_set_new(json, "dirty_worker_count", json_integer(0));
    return json;
}

static bool in_service(const struct master *master, uint32_t slot)
{
    return master->slots[slot].state != WORKER_SLOT_EMPTY;
}

static uint64_t load(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

/* One writer, us: not the workers' memory. */
static void histogram_add(struct stats_histogram *sum,
                          const struct stats_histogram *more)
{
    stats_add(&sum->count, load(&more->count));
    stats_add(&sum->sum_us, load(&more->sum_us));
    for (uint32_t i = 0; i < STATS_BUCKETS; i++)
        stats_add(&sum->bucket[i], load(&more->bucket[i]));
}

void report_sum(const struct observer *observer, struct stats *sum)
{
    memset(sum, 0, sizeof(*sum));
    for (uint32_t i = 0; i < observer->master->board->worker_slots; i++) {
        const struct stats *stats = observer_stats(observer, i);

#define X(name, help) stats_add(&sum->name, load(&stats->name));
        STATS_COUNTERS(X)
#undef X
#define X(name, help) histogram_add(&sum->name, &stats->name);
        STATS_HISTOGRAMS(X)
#undef X
    }
}

/* Milliseconds; each is right to within a factor of two. */
static json_t *histogram_json(const struct stats_histogram *h)
{
    static const struct {
        const char *name;
        uint32_t per_mille;
    } shares[] = {{"p50", 500}, {"p90", 900}, {"p99", 990}, {"p999", 999}};
    uint64_t count = load(&h->count);
    json_t *json = json_object();

    json_object_set_new(json, "count", json_integer((int64_t)count));
    json_object_set_new(
        json, "mean_ms",
        json_real((double)load(&h->sum_us) / (double)(count + !count) / 1000));
    for (size_t i = 0; i < ARRAY_SIZE(shares); i++) {
        char name[16];
        uint64_t us = stats_quantile_us(h, shares[i].per_mille);

        snprintf(name, sizeof(name), "%s_ms", shares[i].name);
        json_object_set_new(json, name, json_real((double)us / 1000));
    }
    return json;
}

static void sums_set(const struct observer *observer, json_t *to)
{
    json_t *counters = json_object();
    json_t *times = json_object();
    struct stats sum;

    report_sum(observer, &sum);
#define X(name, help)                                                          \
    json_object_set_new(counters, #name,                                       \
                        json_integer((int64_t)load(&sum.name)));
    STATS_COUNTERS(X)
#undef X
#define X(name, help)                                                          \
    json_object_set_new(times, #name, histogram_json(&sum.name));
    STATS_HISTOGRAMS(X)
#undef X
    json_object_set_new(to, "counters", counters);
    json_object_set_new(to, "times", times);
}

static uint32_t interps_alive(const struct master *master)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < master->board->interp_slots; i++)
        count += is_alive(board_interp(master->board, i));
    return count;
}

json_t *report_stats(const struct observer *observer)
{
    const struct master *master = observer->master;
    json_t *json = json_object();

    json_object_set_new(json, "uptime",
                        json_real(age_of(observer, observer->started_ns)));
    json_object_set_new(json, "pid", json_integer(master->board->master_pid));
    json_object_set_new(json, "workers_current",
                        json_integer(interps_alive(master)));
    json_object_set_new(json, "workers_target", json_integer(master->wanted));
    json_object_set_new(json, "workers_spawned",
                        json_integer(master->interps_started));
    json_object_set_new(
        json, "workers_killed",
        json_integer((int64_t)atomic_load(&master->board->death_epoch)));
    json_object_set_new(json, "reloads", json_integer(master->generations - 1));
    json_object_set_new(json, "dirty_arbiter_pid", json_null());
    json_object_set_new(json, "generation",
                        json_integer(master->current.generation));
    sums_set(observer, json);
    return json;
}

static json_t *list_json(const struct config_list *list)
{
    json_t *json = json_array();

    for (size_t i = 0; i < list->count; i++)
        json_array_append_new(json, json_string(list->items[i]));
    return json;
}

static json_t *text_json(const char *text, bool is_none)
{
    return is_none && text[0] == '\0' ? json_null() : json_string(text);
}

static json_t *value_json(const struct config *config,
                          enum config_setting setting)
{
    const void *value = config_value(config, setting);

    switch (config_row(setting)->kind) {
    case CONFIG_INT:
    case CONFIG_OCTAL:
        return json_integer((int64_t) * (const uint64_t *)value);
    case CONFIG_BOOL:
    case CONFIG_OFF:
    case CONFIG_ACTION:
        return json_boolean(*(const bool *)value);
    case CONFIG_LIST:
        return list_json(value);
    case CONFIG_TEXT:
    case CONFIG_DICT:
        return text_json(*(char *const *)value, false);
    case CONFIG_STRING:
    case CONFIG_COMMAS:
    case CONFIG_MODE:
    case CONFIG_OBJECT:
        return text_json(*(char *const *)value, true);
    }
    return json_null();
}

json_t *report_config(const struct observer *observer)
{
    const struct config *config = observer->master->config;
    json_t *json = json_object();

    for (uint32_t i = 0; i < CONFIG_SETTINGS; i++)
        if (config_row(i)->kind != CONFIG_ACTION)
            json_object_set_new(json, config_row(i)->name,
                                value_json(config, i));
    return json;
}

static const char *family_name(const struct listener *listener)
{
    if (listener->bound.ss_family == AF_UNIX)
        return "unix";
    return listener->bound.ss_family == AF_INET6 ? "tcp6" : "tcp";
}

static json_t *queue_json(const struct master *master,
                          const struct listener *listener)
{
    int64_t sum = -1;

    for (uint32_t i = 0; i < master->board->worker_slots; i++) {
        int64_t waiting = observer_listen_queue(listener, i);

        if (waiting >= 0)
            sum = sum < 0 ? waiting : sum + waiting;
    }
    return sum < 0 ? json_null() : json_integer(sum);
}

static json_t *listeners_json(const struct observer *observer)
{
    const struct master *master = observer->master;
    json_t *list = json_array();

    for (uint32_t i = 0; i < master->listener_count; i++) {
        const struct listener *listener = &master->listeners[i];
        json_t *json = json_object();
        char url[300];

        if (!listener_counts(listener)) {
            json_decref(json);
            continue;
        }
        listener_url(listener, url, sizeof(url));
        json_object_set_new(json, "address", json_string(url));
        json_object_set_new(json, "type", json_string(family_name(listener)));
        json_object_set_new(json, "fd", json_integer(listener_fd(listener, 0)));
        json_object_set_new(json, "queue", queue_json(master, listener));
        json_array_append_new(list, json);
    }
    return list;
}

json_t *report_listeners(const struct observer *observer)
{
    return counted("listeners", listeners_json(observer));
}

static json_t *connections_json(const struct observer *observer)
{
    const struct master *master = observer->master;
    json_t *list = json_array();

    for (uint32_t i = 0; i < master->board->worker_slots; i++) {
        const struct board_worker *worker = board_worker(master->board, i);
        const struct stats *stats = observer_stats(observer, i);
        json_t *json = json_object();

        if (!in_service(master, i)) {
            json_decref(json);
            continue;
        }
#define FIGURE(name, value)                                                    \
    json_object_set_new(json, name, json_integer((int64_t)(value)))
        FIGURE("worker", i);
        FIGURE("worker_pid", atomic_load(&worker->pid));
        FIGURE("open", atomic_load(&worker->connections));
        FIGURE("accepted", load(&stats->connections));
        FIGURE("waiting", atomic_load(&worker->ready));
        FIGURE("running", atomic_load(&worker->running));
        FIGURE("idle_timeouts", load(&stats->idle_timeouts));
        FIGURE("idle_left", load(&stats->idle_left));
        FIGURE("exchanges_free", observer_exchanges_free(observer, i));
        FIGURE("chunks_free", observer_chunks_free(observer, i));
#undef FIGURE
        place_set(observer, i, json);
        json_array_append_new(list, json);
    }
    return list;
}

static void peer_format(const struct exchange_peer *peer, char out[64])
{
    int len = (int)min_u64(peer->addr_len, sizeof(peer->addr));
    bool v6 = peer->family == AF_INET6;

    if (len == 0)
        snprintf(out, 64, "unix");
    else if (peer->portless || peer->port == 0)
        snprintf(out, 64, "%.*s", len, peer->addr);
    else
        snprintf(out, 64, "%s%.*s%s:%u", v6 ? "[" : "", len, peer->addr,
                 v6 ? "]" : "", peer->port);
}

static json_t *line_json(const struct conn_line *line, uint32_t slot)
{
    char peer[64];
    size_t target = min_u64(line->target_len, sizeof(line->target));
    json_t *json;

    peer_format(&line->peer, peer);
    json = json_pack("{s:s, s:s, s:f, s:f, s:i, s:i}", "peer", peer, "state",
                     conn_line_state_name(line->state), "age",
                     seconds(line->age_ms * NS_PER_MS), "since",
                     seconds(line->since_ms * NS_PER_MS), "requests",
                     line->requests, "worker", slot);
    /* Bytes that are no UTF-8 make no JSON. */
    json_object_set_new(json, "target", json_null());
    if (target > 0)
        json_object_set_new(json, "target", json_stringn(line->target, target));
    return json;
}

/* As the workers told it last. */
static json_t *lines_json(const struct observer *observer)
{
    const struct master *master = observer->master;
    json_t *list = json_array();

    for (uint32_t i = 0; i < master->board->worker_slots; i++) {
        uint32_t count = 0;
        const struct conn_line *lines = roll_lines(&master->roll, i, &count);

        for (uint32_t n = 0; lines != NULL && n < count; n++)
            json_array_append_new(list, line_json(&lines[n], i));
    }
    return list;
}

json_t *report_connections(const struct observer *observer)
{
    json_t *json = counted("connections", lines_json(observer));

    json_object_set_new(json, "workers", connections_json(observer));
    return json;
}

static json_t *choices_json(const struct keepalive_choice *choices)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < KEEPALIVE_CHOICES; i++)
        json_array_append_new(
            list,
            json_pack("{s:i, s:f, s:I, s:I}", "keep_alive",
                      (int)choices[i].seconds, "kept_percent",
                      round(choices[i].kept * 1000) / 10, "idle_connections",
                      (json_int_t)ceil(choices[i].idle), "memory_bytes",
                      (json_int_t)choices[i].bytes));
    return list;
}

/* What a connection would have done later that was closed is not known. */
static const char *keepalive_note(const struct keepalive *keepalive,
                                  uint64_t closed)
{
    if (keepalive->returns < 100)
        return "few requests so far: ask again later";
    if ((double)closed > (keepalive->returns + (double)closed) / 20)
        return "many connections were closed because keep-alive was over, and "
               "whether they had come back is not known: try a longer one";
    return "a proxy in front should close first: its own idle timeout should "
           "be shorter than keep-alive";
}

json_t *report_keepalive(const struct observer *observer)
{
    const struct config *config = observer->master->config;
    struct keepalive_choice choices[KEEPALIVE_CHOICES];
    struct keepalive keepalive = {
        .seconds = age_of(observer, observer->started_ns)};
    struct stats sum;
    json_t *json;
    int best;

    report_sum(observer, &sum);
    keepalive_add_histogram(&keepalive, &sum.gap);
    keepalive.ends = (double)(load(&sum.idle_timeouts) + load(&sum.idle_left));
    best = keepalive_choose(&keepalive, choices);
    json = json_pack("{s:I, s:I, s:I, s:I}", "keep_alive",
                     (json_int_t)config->keepalive, "came_back",
                     (json_int_t)load(&sum.gap.count), "closed_by_us",
                     (json_int_t)load(&sum.idle_timeouts), "closed_by_peer",
                     (json_int_t)load(&sum.idle_left));
    json_object_set_new(json, "recommended",
                        best < 0 ? json_null()
                                 : json_integer(choices[best].seconds));
    json_object_set_new(
        json, "note",
        json_string(keepalive_note(&keepalive, load(&sum.idle_timeouts))));
    if (best >= 0)
        json_object_set_new(json, "choices", choices_json(choices));
    return json;
}

json_t *report_status(const struct observer *observer)
{
    const struct master *master = observer->master;
    uint64_t window_s = min_u64(master->config->ready_window, 1000000);
    enum health health = health_of(master->board, master->now,
                                   window_s * NS_PER_S);
    const char *text = health_text(health);
    json_t *json = json_object();

    json_object_set_new(json, "version", json_string(GCORN_VERSION));
    json_object_set_new(json, "name", json_string(master->name));
    json_object_set_new(json, "ready", json_boolean(health == HEALTH_READY));
    json_object_set_new(json, "health", json_stringn(text, strlen(text) - 1));
    json_object_set_new(json, "stats", report_stats(observer));
    json_object_set_new(json, "workers", interps_json(observer));
    json_object_set_new(json, "connections", connections_json(observer));
    json_object_set_new(json, "listeners", listeners_json(observer));
    advice_json(observer, json);
    return json;
}
