/* SPDX-License-Identifier: MIT */
#include "spawn.h"

#include "core/board.h"
#include "core/log.h"
#include "core/template.h"
#include "huge_pages.h"
#include "observer.h"
#include "shared.h"
#include "static_maps.h"
#include "topology/bind.h"
#include "worker.h"
#include "worker_slot.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Drain before a close: what a client still sends may not become a reset. */
#define LINGER_MS 2000
#define SEND_TIMEOUT_MS 60000
/* Descriptors that a worker needs beside its connections. */
#define FILES_RESERVED 256
#define CONNECTIONS_MAX 65536
#define FIELDS_MAX 32768
#define FIELD_SIZE_DEFAULT 8190

_Static_assert(TEMPLATE_CPUS_MAX == CPUS_MAX, "one size of CPU sets");

static uint32_t milliseconds(uint64_t seconds)
{
    return (uint32_t)min_u64(seconds * 1000, UINT32_MAX / 2);
}

static void signals_reset(void)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * To be called last: becoming another user clears the signal. The master may
 * have died before it was asked for.
 */
static void die_with(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
}

static void become_owner(const struct master *master)
{
    int err = owner_become(&master->owner);

    if (err == 0)
        return;
    log_critical("Can't become user %d, group %d: %s", (int)master->owner.uid,
                 (int)master->owner.gid, strerror(-err));
    _exit(1);
}

/* A refusal is not fatal: a container may forbid to bind. */
static void place_worker(const struct master *master, uint32_t slot)
{
    const struct plan_place *place = placement_of(&master->placement, slot);
    int err = bind_cpus(&place->worker_cpus);

    if (err < 0)
        log_warning("Worker %u is not bound to its CPUs: %s", slot,
                    strerror(-err));
    if (place->memory_node < 0)
        return;
    err = bind_memory(place->memory_node,
                      strcmp(master->config->numa, "strict") == 0);
    if (err < 0)
        log_warning("The memory of worker %u is not put on node %d: %s", slot,
                    place->memory_node, strerror(-err));
}

/* Unset, worker_connections does not limit: idle connections are cheap here. */
static uint32_t connections_max(const struct config *config)
{
    uint64_t files = shared_raise_files();
    uint64_t room = files > 2 * FILES_RESERVED ? files - FILES_RESERVED
                                               : files / 2;

    if (config->source[CONFIG_AT_worker_connections] != CONFIG_FROM_DEFAULT &&
        config->worker_connections > 0)
        room = min_u64(room, config->worker_connections);
    return (uint32_t)min_u64(room, CONNECTIONS_MAX);
}

static uint32_t leniency_of(const struct config *config)
{
    uint32_t flags = 0;

    if (config->permit_obsolete_folding)
        flags |= HTTP_PERMIT_OBS_FOLD;
    if (config->strip_header_spaces)
        flags |= HTTP_STRIP_NAME_SPACES;
    if (config->permit_unconventional_http_method)
        flags |= HTTP_PERMIT_ANY_METHOD;
    if (config->permit_unconventional_http_version)
        flags |= HTTP_PERMIT_ANY_VERSION;
    if (config->casefold_http_method)
        flags |= HTTP_CASEFOLD_METHOD;
    return flags;
}

/* Whom to believe. The rules have looked at it, and it fitted then. */
static void trust_set(struct trust *trust, const char *text)
{
    struct bytes bad;

    must(trust_parse(trust, bytes_of(text), &bad) == 0);
}

static void proxies_set(struct conn_config *conn, const struct config *config)
{
    struct forwarded_config *forwarded = &conn->forwarded;

    /* A setting that was taken back is off. */
    proxy_mode_parse(config->proxy_protocol, &conn->proxy);
    forwarded_map_parse(config->header_map, &forwarded->map);
    forwarded_client_parse(config->proxy_headers, &forwarded->client);
    forwarded->headers = bytes_of(config->forwarder_headers);
    must(forwarded_schemes_parse(forwarded, config->secure_scheme_headers) ==
         0);
    trust_set(&forwarded->allow, config->forwarded_allow_ips);
    trust_set(&conn->proxy_allow, config->proxy_allow_ips);
    trust_set(&conn->uwsgi_allow, config->uwsgi_allow_ips);
}

/* What Gunicorn makes of values that are 0; a whole head is 64 KiB at most. */
static struct http_limits limits_of(const struct config *config)
{
    uint64_t fields = config->limit_request_fields;
    uint64_t field_size = config->limit_request_field_size;

    if (fields == 0 || fields > FIELDS_MAX)
        fields = FIELDS_MAX;
    if (field_size == 0)
        field_size = FIELD_SIZE_DEFAULT;
    return (struct http_limits){
        .line_bytes = (uint32_t)min_u64(config->limit_request_line, INT32_MAX),
        .fields = (uint32_t)fields,
        .field_bytes = (uint32_t)min_u64(field_size, UINT32_MAX),
        .flags = leniency_of(config),
    };
}

static void health_set(struct conn_config *conn, const struct config *config)
{
    conn->health_path = bytes_of(config->health_path);
    conn->ready_path = bytes_of(config->ready_path);
    conn->ready_window_ms = milliseconds(config->ready_window);
    conn->health_log = config->health_log;
    if (conn->health_path.n > 0 || conn->ready_path.n > 0)
        conn->local |= CONN_LOCAL_HEALTH;
}

/* A logger of the application's then writes the access log: hooks.py. */
static bool logs_in_python(const struct config *config)
{
    return config_is_given(config, CONFIG_AT_logconfig) ||
           config_is_given(config, CONFIG_AT_logconfig_dict) ||
           config_is_given(config, CONFIG_AT_logconfig_json) ||
           (config_is_given(config, CONFIG_AT_logger_class) &&
            strcmp(config->logger_class, "simple") != 0 &&
            strcmp(config->logger_class, "gunicorn.instrument.statsd.Statsd") !=
                0);
}

void spawn_conn_config(struct conn_config *conn, const struct config *config)
{
    *conn = (struct conn_config){
        .limits = limits_of(config),
        .body_limit_bytes = config->limit_request_body,
        .keepalive_ms = milliseconds(config->keepalive),
        .header_timeout_ms = milliseconds(config->header_timeout),
        .body_timeout_ms = milliseconds(config->body_timeout),
        .send_timeout_ms = SEND_TIMEOUT_MS,
        .linger_ms = LINGER_MS,
        .socket_max = config->websocket_max_message_size,
        .socket_queue = (uint32_t)min_u64(config->ws_max_queue, UINT32_MAX),
        .socket_deflate = strcasecmp(config->ws_per_message_deflate, "true") ==
                          0,
        .socket_ping_ms = milliseconds(config->ws_ping_interval),
        .socket_ping_timeout_ms = milliseconds(config->ws_ping_timeout),
        .request_timeout_ms = milliseconds(config->timeout),
        .request_soft_ms = milliseconds(config->timeout_soft),
        .connections_max = connections_max(config),
        .address_max = (uint32_t)min_u64(config->limit_address_connections,
                                         UINT32_MAX),
        .access_log = config->accesslog[0] != '\0' && !logs_in_python(config),
    };
    proxies_set(conn, config);
    health_set(conn, config);
}

/* Of a process that cannot even have these, nothing good can come. */
static void statics_set(struct conn_config *conn, const struct config *config)
{
    struct static_map *maps = NULL;
    int count = static_maps_make(config, &maps);

    must(count >= 0);
    conn->static_maps = maps;
    conn->static_count = (uint32_t)count;
    if (count > 0)
        conn->local |= CONN_LOCAL_STATIC;
}

static enum ring_backend backend_of(const struct config *config)
{
    if (strcmp(config->io, "uring") == 0)
        return RING_URING;
    return strcmp(config->io, "epoll") == 0 ? RING_EPOLL : RING_AUTO;
}

static void listeners_take(struct master *master, uint32_t slot,
                           struct worker_spec *spec)
{
    for (uint32_t i = 0; i < BOARD_LISTENERS_MAX; i++)
        spec->listen_fd[i] = -1;
    for (uint32_t i = 0; i < master->listener_count; i++) {
        /* Held open here, another worker's socket would outlive it. */
        listener_close_others(&master->listeners[i], slot);
        spec->listen_fd[i] = listener_fd(&master->listeners[i], slot);
    }
}

/* What belongs to the master alone. */
static void close_masters_own(const struct master *master)
{
    observer_forget(master);
    close(master->signal_fd);
    if (master->daemon->report_fd >= 0)
        close(master->daemon->report_fd);
    close(master->epoll_fd);
    if (master->current.fd >= 0)
        close(master->current.fd);
    if (master->trial.fd >= 0)
        close(master->trial.fd);
}

static void access_fill(struct access_config *access, struct master *master,
                        uint32_t slot)
{
    const struct plan_place *place = placement_of(&master->placement, slot);

    access->fd = master->logs.access_fd;
    access->format = master->config->access_log_format;
    if (master->logs.access_to_syslog)
        access->syslog = &master->logs.remote.syslog;
    if (master->logs.remote.has_statsd)
        access->statsd = &master->logs.remote.statsd;
    access->place.worker = slot;
    access->place.node = place->node;
    access->place.started_ns = now_ns();
    if (!cpus_is_empty(&place->worker_cpus))
        cpus_format(&place->worker_cpus, access->place.cpus,
                    sizeof(access->place.cpus));
}

static _Noreturn void worker_child(struct master *master, uint32_t slot,
                                   pid_t parent)
{
    struct worker_spec spec = {
        .board = master->board,
        .slot = slot,
        .ring = {.backend = backend_of(master->config)},
        .logs = &master->logs,
        .live = master->live,
        .roll = &master->roll,
        .live_serial = atomic_load(&master->live->serial),
        .graceful_timeout_ms = milliseconds(master->config->graceful_timeout),
    };
    uint32_t sockets = worker_slot_sockets(master, slot);
    char role[32];

    signals_reset();
    close_masters_own(master);
    listeners_take(master, sockets, &spec);
    place_worker(master, sockets);
    spawn_conn_config(&spec.conn, master->config);
    statics_set(&spec.conn, master->config);
    spec.conn.crowd = master->crowd;
    access_fill(&spec.access, master, slot);
    become_owner(master);
    die_with(parent);
    snprintf(role, sizeof(role), "worker %u", slot);
    title_set(master->title, role, master->name);
    _exit(worker_run(&spec));
}

/* Memory that all workers share, so before the first of them. */
static int crowd_make(struct master *master)
{
    if (master->config->limit_address_connections == 0 || master->crowd)
        return 0;
    return crowd_hall_new(&master->crowd, master->board->worker_slots,
                          connections_max(master->config));
}

pid_t spawn_worker(struct master *master, uint32_t slot)
{
    pid_t parent = getpid();
    pid_t pid = crowd_make(master);

    if (pid < 0)
        return pid;
    fflush(NULL);
    pid = fork();
    if (pid == 0)
        worker_child(master, slot, parent);
    return pid < 0 ? -errno : pid;
}

static _Noreturn void template_child(struct master *master, int socket,
                                     pid_t parent)
{
    int err;

    signals_reset();
    notify_forget();
    fcntl(socket, F_SETFD, 0);
    huge_pages_avoid();
    die_with(parent);
    err = pyhost_exec(&master->host, socket);
    log_critical("Can't run %s: %s", master->host.program, strerror(-err));
    _exit(1);
}

pid_t spawn_template(struct master *master, int *ret_fd)
{
    pid_t parent = getpid();
    int fds[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    fflush(NULL);
    pid = fork();
    if (pid == 0)
        template_child(master, fds[1], parent);
    if (pid < 0) {
        int err = -errno;

        close(fds[0]);
        close(fds[1]);
        return err;
    }
    close(fds[1]);
    *ret_fd = fds[0];
    return pid;
}

int spawn_interp(const struct master *master, const struct template *from,
                 uint32_t interp_slot)
{
    const struct plan_place *place = placement_of(&master->placement,
                                                  board_home(interp_slot));
    struct template_message order = {
        .op = TEMPLATE_FORK,
        .code = !master->ever_served,
        .slot = interp_slot,
        .node = place->memory_node,
        .pinned = !cpus_is_empty(&place->interp_cpus),
        .age = master->interps_started,
    };

    memcpy(order.cpus, place->interp_cpus.word, sizeof(order.cpus));
    if (send(from->fd, &order, sizeof(order), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return -errno;
    return 0;
}
