/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "core/board_worker.h"
#include "core/conn_set.h"
#include "core/exchange_progress.h"
#include "core/exchange_wake.h"
#include "core/log.h"
#include "spawn.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define EVENTS 256
/* Descriptors that are not connections. */
#define OTHER_FDS 128
/* Interpreters may put off ringing for a response; see next_wait(). */
#define LOOK_FIRST_NS NS_PER_MS
#define LOOK_LAST_NS NS_PER_S
/* How often the figures on the board are renewed. */
#define REPORT_NS (10 * NS_PER_MS)
#define DOORBELL_TOKEN (CONN_TOKEN_FOREIGN << 56)
#define SIGNAL_TOKEN ((CONN_TOKEN_FOREIGN + 1) << 56)

struct worker {
    const struct worker_spec *spec;
    struct board_worker *self;
    struct ring *ring;
    struct exchange_table table;
    struct access_log *log;
    struct conn_set *conns;
    struct conn_config config;
    uint64_t now_ns;
    uint64_t look_ns;      /* how long to trust that the doorbell rings */
    uint64_t recheck_ns;   /* requests wait: exchange_wake() again */
    uint64_t conns_ns;     /* conn_turn() again */
    uint64_t report_ns;    /* when the board was last told */
    uint64_t death_epoch;  /* swept */
    uint32_t accept_epoch; /* looked for connections */
    uint64_t drain_end_ns; /* graceful timeout; 0: not draining */
    uint32_t obeyed;       /* the last command */
    int signal_fd;
    bool quit;
    uint32_t live_serial;
    uint64_t grace_ns;
    struct config *settings; /* the last that were taken, or NULL */
};

/*
 * Signals are read like any other event, so nothing here runs in a handler.
 * SIGINT comes from the terminal to all; the master decides what it means.
 */
static int open_signals(struct worker *worker)
{
    static const int ignored[] = {SIGINT, SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t read_here;

    for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
        sigaction(ignored[i], &ignore, NULL);
    sigemptyset(&read_here);
    sigaddset(&read_here, SIGTERM);
    sigaddset(&read_here, SIGQUIT);
    if (sigprocmask(SIG_SETMASK, &read_here, NULL) != 0)
        return -errno;
    worker->signal_fd = signalfd(-1, &read_here, SFD_CLOEXEC | SFD_NONBLOCK);
    return worker->signal_fd < 0 ? -errno : 0;
}

/* Never more connections than descriptors. */
static uint32_t connections_max(uint32_t wanted)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
        limit.rlim_cur == RLIM_INFINITY)
        return wanted;
    if (limit.rlim_cur <= 2 * OTHER_FDS)
        return (uint32_t)min_u64(wanted, limit.rlim_cur / 2);
    return (uint32_t)min_u64(wanted, limit.rlim_cur - OTHER_FDS);
}

static int listen_all(struct worker *worker)
{
    for (uint32_t i = 0; i < worker->spec->board->listeners; i++) {
        int fd = worker->spec->listen_fd[i];
        int error = fd < 0 ? 0 : conn_listen(worker->conns, fd, i);

        if (error)
            return error;
    }
    return 0;
}

static int open_ring(struct worker *worker)
{
    const struct ring_config *config = &worker->spec->ring;
    int error = ring_open(&worker->ring, config);
    char why[RING_WHY_BYTES];

    if (error) {
        ring_explain(error, why);
        log_error("Worker cannot do I/O: %s", why);
        return error;
    }
    if (config->backend == RING_AUTO && *ring_why(worker->ring) &&
        atomic_exchange(&worker->spec->board->epoll_said, 1) == 0)
        log_info("Using epoll: %s", ring_why(worker->ring));
    ring_poll(worker->ring, worker->self->doorbell_fd, DOORBELL_TOKEN);
    ring_poll(worker->ring, worker->signal_fd, SIGNAL_TOKEN);
    return 0;
}

static int start(struct worker *worker)
{
    const struct worker_spec *spec = worker->spec;
    int error = exchange_table_init(&worker->table, spec->board, spec->slot);

    if (error)
        return error;
    if (spec->access.fd >= 0 || spec->access.syslog || spec->access.statsd)
        error = access_log_new(&worker->log, &spec->access);
    if (!error)
        error = open_ring(worker);
    if (error)
        return error;
    worker->config = spec->conn;
    worker->config.access_log = worker->log != NULL;
    worker->config.connections_max =
        connections_max(spec->conn.connections_max);
    error = conn_set_new(&worker->conns, &worker->config, worker->ring,
                         &worker->table, worker->log);
    return error ? error : listen_all(worker);
}

static void drain(struct worker *worker)
{
    if (worker->drain_end_ns)
        return;
    worker->drain_end_ns = worker->now_ns + worker->grace_ns;
    atomic_store(&worker->self->state, BOARD_WORKER_DRAINING);
    conn_drain(worker->conns);
    worker->conns_ns = 0; /* there are new deadlines */
}

/* Decided when the set was made: sizes, files that are open, the log. */
static void conns_follow(struct worker *worker, const struct config *settings)
{
    struct conn_config fresh;
    const struct conn_config *old = &worker->config;

    spawn_conn_config(&fresh, settings);
    fresh.limits.fields = old->limits.fields;
    fresh.connections_max = old->connections_max;
    fresh.address_max = old->address_max;
    fresh.crowd = old->crowd;
    fresh.static_maps = old->static_maps;
    fresh.static_count = old->static_count;
    fresh.local |= old->local & CONN_LOCAL_STATIC;
    fresh.access_log = old->access_log;
    worker->config = fresh;
}

static void settings_free(struct config *settings)
{
    if (settings != NULL)
        config_done(settings);
    free(settings);
}

/* A reload has changed some; connections in progress go by them at once. */
static void settings_follow(struct worker *worker)
{
    struct config *fresh = malloc(sizeof(*fresh));
    enum log_level level = LOG_LEVEL_INFO;

    if (fresh == NULL ||
        !live_take(worker->spec->live, &worker->live_serial, fresh)) {
        free(fresh);
        return;
    }
    conns_follow(worker, fresh);
    worker->grace_ns = fresh->graceful_timeout * NS_PER_S;
    logs_follow(worker->spec->logs, fresh);
    log_level_parse(fresh->loglevel, &level);
    log_open(worker->spec->logs->error_fd, level);
    settings_free(worker->settings);
    worker->settings = fresh;
}

/* Back to NONE first: the order may be given again at any time. */
static void reopen(struct worker *worker)
{
    uint32_t seen = BOARD_COMMAND_REOPEN;

    atomic_compare_exchange_strong(&worker->self->command, &seen,
                                   BOARD_COMMAND_NONE);
    worker->obeyed = BOARD_COMMAND_NONE;
    if (worker->log)
        access_log_flush(worker->log);
    if (worker->spec->live)
        settings_follow(worker);
    if (worker->spec->logs)
        logs_reopen(worker->spec->logs);
}

static void obey(struct worker *worker, uint32_t command)
{
    if (likely(command == worker->obeyed))
        return;
    worker->obeyed = command;
    switch ((enum board_command)command) {
    case BOARD_COMMAND_NONE:
        break;
    case BOARD_COMMAND_REOPEN:
        reopen(worker);
        break;
    case BOARD_COMMAND_DRAIN:
        drain(worker);
        break;
    case BOARD_COMMAND_QUIT:
        worker->quit = true;
        break;
    }
}

static uint32_t command_of(const struct worker *worker)
{
    return atomic_load(&worker->self->command);
}

static void on_signal(struct worker *worker, const struct ring_event *event)
{
    struct signalfd_siginfo info;

    while (read(worker->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGQUIT)
            worker->quit = true;
        else
            drain(worker);
    }
    if (!(event->flags & RING_MORE))
        ring_poll(worker->ring, worker->signal_fd, SIGNAL_TOKEN);
}

/* It is never read: each ring wakes the poll again. */
static void on_doorbell(struct worker *worker, const struct ring_event *event)
{
    if (!(event->flags & RING_MORE))
        ring_poll(worker->ring, worker->self->doorbell_fd, DOORBELL_TOKEN);
}

static void handle_events(struct worker *worker,
                          const struct ring_event *events, int count)
{
    if (count > 0)
        worker->look_ns = LOOK_FIRST_NS;
    for (int i = 0; i < count; i++) {
        if (unlikely(events[i].token == DOORBELL_TOKEN))
            on_doorbell(worker, &events[i]);
        else if (unlikely(events[i].token == SIGNAL_TOKEN))
            on_signal(worker, &events[i]);
        else
            conn_on_event(worker->conns, &events[i]);
    }
}

static void handle_progress(struct worker *worker)
{
    uint32_t slot;

    while (exchange_progress(&worker->table, &slot)) {
        conn_on_progress(worker->conns, slot);
        worker->look_ns = LOOK_FIRST_NS;
    }
}

static bool has_lost(const struct worker *worker)
{
    return atomic_load(&worker->spec->board->death_epoch) !=
           worker->death_epoch;
}

static void sweep(struct worker *worker)
{
    if (likely(!has_lost(worker)))
        return;
    worker->death_epoch = atomic_load(&worker->spec->board->death_epoch);
    exchange_sweep(&worker->table, conn_on_lost, worker->conns);
}

static bool is_called(const struct worker *worker)
{
    return atomic_load_explicit(&worker->spec->board->accept_epoch,
                                memory_order_relaxed) != worker->accept_epoch;
}

static void look_for_connections(struct worker *worker)
{
    if (likely(!is_called(worker)))
        return;
    worker->accept_epoch = atomic_load(&worker->spec->board->accept_epoch);
    conn_accept_again(worker->conns);
}

static bool is_asked(const struct worker *worker)
{
    const struct worker_spec *spec = worker->spec;

    return spec->roll != NULL && roll_is_asked(spec->roll, spec->slot);
}

static void tell_connections(const struct worker *worker)
{
    const struct worker_spec *spec = worker->spec;

    if (unlikely(is_asked(worker)))
        roll_answer(spec->roll, spec->slot, worker->conns, spec->board);
}

static void report(struct worker *worker)
{
    struct board_worker *self = worker->self;
    const struct arena *arena = &worker->table.arena;
    uint32_t requests = conn_requests(worker->conns);
    uint32_t ready = 0;

    if (worker->now_ns < worker->report_ns + REPORT_NS)
        return;
    worker->report_ns = worker->now_ns;
    for (uint32_t i = 0; i < arena_words(arena); i++)
        ready += (uint32_t)__builtin_popcountll(atomic_load_explicit(
            &arena->header->ready[i], memory_order_relaxed));
    atomic_store_explicit(&self->heartbeat_ns, worker->now_ns,
                          memory_order_relaxed);
    atomic_store_explicit(&self->connections, conn_count(worker->conns),
                          memory_order_relaxed);
    atomic_store_explicit(&self->ready, ready, memory_order_relaxed);
    atomic_store_explicit(&self->running,
                          requests > ready ? requests - ready : 0,
                          memory_order_relaxed);
}

/*
 * An interpreter that is busy with the next request may put off ringing for
 * the last one, so with requests out the worker looks for itself: after 1 ms,
 * and ever more seldom while nothing comes.
 */
static uint64_t next_wait(struct worker *worker)
{
    uint64_t wait = min_u64(worker->conns_ns, NS_PER_S);

    if (conn_requests(worker->conns) > 0) {
        wait = min_u64(wait, worker->look_ns);
        worker->look_ns = min_u64(worker->look_ns * 2, LOOK_LAST_NS);
    }
    wait = min_u64(wait, worker->recheck_ns);
    if (worker->log)
        wait = min_u64(wait, access_log_due(worker->log, worker->now_ns));
    if (worker->drain_end_ns > worker->now_ns)
        wait = min_u64(wait, worker->drain_end_ns - worker->now_ns);
    return wait;
}

/*
 * Requests are queued and quick: instead of being interrupted by each that
 * arrives, and interrupting the interpreter on a CPU that both share, the
 * worker lets it work and looks again when it is through, or after a moment.
 */
static void doze(struct worker *worker, uint64_t rest_ns)
{
    struct board_worker *self = worker->self;

    ring_submit(worker->ring);
    atomic_store(&self->sleeping, BOARD_DOZING);
    if (!exchange_home_idles(&worker->table) &&
        command_of(worker) == worker->obeyed && !has_lost(worker))
        board_doze(self, rest_ns);
    atomic_store_explicit(&self->sleeping, BOARD_AWAKE, memory_order_relaxed);
}

/*
 * Whoever rings looks at `sleeping` after it has left something to see; we
 * look for something after setting it. So one of the two notices.
 */
static int wait_events(struct worker *worker, struct ring_event *events)
{
    struct board_worker *self = worker->self;
    bool idle = worker->look_ns != LOOK_FIRST_NS; /* in the last turn */
    uint64_t wait = next_wait(worker);
    uint64_t rest = idle ? 0 : exchange_rest_ns(&worker->table);
    int count;

    if (rest > 0) {
        doze(worker, rest);
        return ring_wait(worker->ring, events, EVENTS, 0);
    }
    if (ring_has_events(worker->ring))
        return ring_wait(worker->ring, events, EVENTS, 0);
    atomic_store(&self->sleeping, BOARD_ASLEEP);
    if (exchange_has_progress(&worker->table) ||
        command_of(worker) != worker->obeyed || has_lost(worker) ||
        is_called(worker) || is_asked(worker))
        wait = 0;
    count = ring_wait(worker->ring, events, EVENTS, wait);
    atomic_store_explicit(&self->sleeping, BOARD_AWAKE, memory_order_relaxed);
    return count;
}

static int turn(struct worker *worker, struct ring_event *events)
{
    int count = wait_events(worker, events);

    if (unlikely(count < 0))
        return count;
    worker->now_ns = now_ns();
    conn_set_clock(worker->conns, worker->now_ns);
    handle_events(worker, events, count);
    handle_progress(worker);
    sweep(worker);
    look_for_connections(worker);
    worker->conns_ns = conn_turn(worker->conns);
    if (!exchange_wake(&worker->table, worker->now_ns, &worker->recheck_ns))
        worker->recheck_ns = UINT64_MAX;
    if (worker->log)
        access_log_turn(worker->log, worker->now_ns);
    report(worker);
    tell_connections(worker);
    obey(worker, command_of(worker));
    return 0;
}

static bool is_over(const struct worker *worker)
{
    if (worker->quit)
        return true;
    if (!worker->drain_end_ns)
        return false;
    return worker->now_ns >= worker->drain_end_ns ||
           conn_is_drained(worker->conns);
}

static int serve(struct worker *worker)
{
    struct ring_event events[EVENTS];
    int error;

    atomic_store(&worker->self->state, BOARD_WORKER_SERVING);
    board_wake_master(worker->spec->board);
    while (!is_over(worker)) {
        error = turn(worker, events);
        if (error) {
            log_critical("Worker's ring failed: %s", strerror(-error));
            return 1;
        }
    }
    /* What was closed last is only queued. */
    ring_wait(worker->ring, events, EVENTS, 0);
    return 0;
}

int worker_run(const struct worker_spec *spec)
{
    struct worker worker = {
        .spec = spec,
        .self = board_worker(spec->board, spec->slot),
        .look_ns = LOOK_FIRST_NS,
        .recheck_ns = UINT64_MAX,
        .now_ns = now_ns(),
        .accept_epoch = atomic_load(&spec->board->accept_epoch),
        .signal_fd = -1,
        .live_serial = spec->live_serial,
        .grace_ns = spec->graceful_timeout_ms * NS_PER_MS,
    };
    int code = 1;
    int error;

    error = open_signals(&worker);
    if (!error)
        error = start(&worker);
    if (error)
        log_error("Worker %u cannot start: %s", spec->slot, strerror(-error));
    else
        code = serve(&worker);
    if (worker.conns)
        conn_set_free(worker.conns);
    access_log_free(worker.log);
    if (worker.ring)
        ring_free(worker.ring);
    exchange_table_done(&worker.table);
    settings_free(worker.settings);
    if (worker.signal_fd >= 0)
        close(worker.signal_fd);
    return code;
}
