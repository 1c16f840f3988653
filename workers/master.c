/* SPDX-License-Identifier: MIT */
#include "master.h"

#include "advice.h"
#include "audit.h"
#include "binds.h"
#include "boot.h"
#include "core/board_worker.h"
#include "core/log.h"
#include "gauges.h"
#include "generation.h"
#include "hooks.h"
#include "interp.h"
#include "observer.h"
#include "pidfile.h"
#include "replan.h"
#include "rollout.h"
#include "shared.h"
#include "static_maps.h"
#include "stop.h"
#include "verify.h"
#include "worker_slot.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define BACKOFF_FIRST_NS (100 * NS_PER_MS)
#define BACKOFF_MOST_NS (5 * NS_PER_S)
/* Whoever pressed Ctrl-C waits: requests get this long at most. */
#define INTERRUPT_S 5
/* What no event announces (a lost pid, say) is seen this late. */
#define IDLE_NS NS_PER_S

static const int handled[] = {SIGTERM, SIGINT,  SIGQUIT, SIGHUP,   SIGUSR1,
                              SIGUSR2, SIGTTIN, SIGTTOU, SIGWINCH, SIGCHLD};

uint64_t master_backoff_ns(uint32_t failures)
{
    if (failures == 0)
        return 0;
    if (failures > 6)
        return BACKOFF_MOST_NS;
    return min_u64(BACKOFF_FIRST_NS << (failures - 1), BACKOFF_MOST_NS);
}

uint64_t master_deadline(const struct master *master, uint64_t seconds)
{
    return master->now + min_u64(seconds, UINT32_MAX) * NS_PER_S;
}

static void reap(struct master *master)
{
    pid_t pid;
    int status;

    /* As a subreaper it also meets what applications left behind. */
    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0) {
        if (WIFSTOPPED(status) || WIFCONTINUED(status))
            interp_on_stop(master, pid, WIFSTOPPED(status));
        else if (!interp_on_exit(master, pid, status) &&
                 !worker_slot_on_exit(master, pid, status) &&
                 !upgrade_on_exit(master, pid, status))
            generation_on_exit(master, pid, status);
    }
}

static void reopen_logs(struct master *master)
{
    logs_reopen(&master->logs);
    worker_slot_command_all(master, BOARD_COMMAND_REOPEN);
    interp_signal_all(master, SIGUSR1);
    generation_signal(master, SIGUSR1);
}

static const char *signal_name(int number, char out[16])
{
    const char *name = sigabbrev_np(number);
    size_t i = 0;

    for (; name != NULL && name[i] != '\0' && i < 15; i++)
        out[i] = (char)(name[i] | 0x20);
    out[i] = '\0';
    return out;
}

/* Asked twice, it does not wait any more. */
static void stop(struct master *master, uint64_t seconds)
{
    seconds = min_u64(seconds, master->config->graceful_timeout);
    stop_start(master,
               master->phase == MASTER_SERVING ? seconds * NS_PER_S : 0);
}

static void on_signal(struct master *master, int number)
{
    char name[16];

    if (number != SIGCHLD)
        log_info("Handling signal: %s", signal_name(number, name));
    switch (number) {
    case SIGTERM:
        stop(master, UINT32_MAX);
        break;
    case SIGINT:
        interp_signal_all(master, SIGQUIT); /* they have the hook worker_int */
        stop(master, INTERRUPT_S);
        break;
    case SIGQUIT:
        interp_signal_all(master, SIGQUIT);
        stop_start(master, 0);
        break;
    case SIGHUP:
        log_info("Hang up: Master");
        worker_slot_pause(master, false);
        reopen_logs(master);
        replan_now(master);
        generation_reload(master);
        break;
    case SIGUSR1:
        reopen_logs(master);
        break;
    case SIGTTIN:
        worker_slot_scale(master, 1);
        break;
    case SIGTTOU:
        worker_slot_scale(master, -1);
        break;
    case SIGUSR2:
        upgrade_start(master);
        break;
    case SIGWINCH:
        /* A terminal sends it when its size changes. */
        if (master->config->daemon || master->upgrade.child != 0)
            worker_slot_pause(master, true);
        else
            log_debug("SIGWINCH ignored. Not daemonized");
        break;
    default: /* CHLD is looked at each turn */
        break;
    }
}

static void read_signals(struct master *master)
{
    struct signalfd_siginfo info;

    while (read(master->signal_fd, &info, sizeof(info)) == sizeof(info))
        on_signal(master, (int)info.ssi_signo);
}

static void doorbell_empty(const struct master *master)
{
    uint64_t count;

    while (read(master->board->master_doorbell_fd, &count, sizeof(count)) > 0)
        continue;
}

static int timeout_ms(const struct master *master)
{
    uint64_t now = now_ns();

    if (master->due <= now)
        return 0;
    return (int)((master->due - now + NS_PER_MS - 1) / NS_PER_MS);
}

static void wait_and_read(struct master *master)
{
    struct epoll_event events[8];

    epoll_wait(master->epoll_fd, events, ARRAY_SIZE(events),
               timeout_ms(master));
    master->now = now_ns();
    /* Few sources: reading all costs less than telling them apart. */
    doorbell_empty(master);
    read_signals(master);
    generation_on_message(master);
    reap(master);
    observer_turn(master);
}

static void settle(struct master *master)
{
    master->now = now_ns();
    master->due = master->now + IDLE_NS;
    upgrade_settle(master);
    stop_settle(master);
    generation_settle(master);
    worker_slot_settle(master);
    hooks_settle(master);
    rollout_settle(master);
    interp_settle(master);
    queues_settle(master);
    audit_settle(master);
    observer_settle(master);
    gauges_settle(master);
    replan_settle(master);
    notify_settle(master);
    if (master->ever_served)
        daemon_report(master->daemon, 0, "");
    verify_settle(master);
    advice_settle(master);
}

static int watch(struct master *master, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(master->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno
                                                                      : 0;
}

/* First of all: what comes while we start is handled when we have. */
static int signals_open(struct master *master)
{
    sigset_t set;

    sigemptyset(&set);
    for (uint32_t i = 0; i < ARRAY_SIZE(handled); i++)
        sigaddset(&set, handled[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    master->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return master->signal_fd < 0 ? -errno : 0;
}

static int events_open(struct master *master)
{
    master->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (master->epoll_fd < 0)
        return -errno;
    return watch(master, master->signal_fd);
}

static void log_start(const struct master *master)
{
    char urls[1024] = "";
    char url[300];

    for (uint32_t i = 0; i < master->listener_count; i++) {
        size_t n = strlen(urls);

        listener_url(&master->listeners[i], url, sizeof(url));
        snprintf(urls + n, sizeof(urls) - n, "%s%s", i > 0 ? "," : "", url);
    }
    log_info("Listening at: %s (%d)", urls, (int)getpid());
    log_info("Using worker: %s", master->config->worker_class);
    config_log_ignored(master->config);
    placement_log(&master->placement, master->config->autotune[0] != 0);
}

static int tables_make(struct master *master)
{
    master->slots = calloc(master->board->worker_slots, sizeof(*master->slots));
    master->interps = calloc(master->board->interp_slots,
                             sizeof(*master->interps));
    return master->slots == NULL || master->interps == NULL ? -ENOMEM : 0;
}

/*
 * Only now is it known whether to. The template has another parent then, and
 * an epoll instance tells of the signals of the process that made it: both are
 * made anew.
 */
static int go_away(struct master *master, struct config_error *error)
{
    int err;

    generation_abandon(master);
    err = daemon_start(master->daemon,
                       master->config->enable_stdio_inheritance);
    if (err == 0) {
        close(master->signal_fd);
        close(master->epoll_fd);
        err = signals_open(master);
    }
    if (err == 0)
        err = events_open(master);
    if (err == 0)
        err = generation_start(master);
    if (err < 0)
        return config_fail(error, 1, "Can't go into the background: %s",
                           strerror(-err));
    return 0;
}

static void ask_for_one(struct master *master)
{
    struct config *config = master->config;

    master->asked = (struct master_asked){
        .workers = config->workers,
        .max_requests = config->max_requests,
        .preload_app = config->preload_app,
    };
    snprintf(master->asked.application, sizeof(master->asked.application), "%s",
             config->wsgi_app);
    config->workers = 1;
}

/* Settings, whom to be, where, and logs: from here on errors are logged. */
static int prepare_settings(struct master *master, struct config_error *error)
{
    struct config *config = master->config;
    int err;

    /* Before chdir: a relative --python is meant from here. */
    err = pyhost_find(&master->host, config->python, error);
    if (err == 0)
        err = boot_settings(master, error);
    if (err == 0 && master->task->ready_fd >= 0)
        ask_for_one(master);
    if (err == 0 && config->daemon && master->launch->predecessor == 0 &&
        !master->checks_only)
        err = go_away(master, error);
    if (err < 0)
        return err;
    err = owner_find(&master->owner, config->user, config->group);
    must(err == 0); /* the rules of both have looked already */
    master->owner.all_groups = config->initgroups;
    master->name = config->proc_name[0] != '\0' ? config->proc_name
                                                : config->wsgi_app;
    if (config->chdir[0] != '\0' && chdir(config->chdir) < 0)
        err = config_fail(error, 1, "can't chdir to '%s'", config->chdir);
    if (err == 0)
        err = static_maps_check_all(config, error);
    if (err == 0)
        err = logs_open(&master->logs, config, &master->owner, error);
    return err;
}

/* The plan, and what all processes share. */
static int prepare_memory(struct master *master, struct config_error *error)
{
    int err = placement_make(&master->placement, master->config,
                             &master->task->need, !master->checks_only, error);

    if (err == 0)
        err = shared_make(master, error);
    if (err < 0)
        return err;
    master->board->error_log_fd = master->logs.error_fd;
    master->board->cpu_every = master->logs.access_wants_cpu &&
                               (master->logs.access_fd >= 0 ||
                                master->logs.access_to_syslog);
    err = tables_make(master);
    if (err == 0)
        err = live_new(&master->live);
    if (err == 0)
        err = roll_init(&master->roll, master->board->worker_slots);
    if (err == 0)
        err = watch(master, master->board->master_doorbell_fd);
    if (err == 0)
        err = upgrade_watch(master);
    if (err < 0)
        return config_fail(error, 1, "Can't start: %s", strerror(-err));
    return 0;
}

/* What can fail, in the order in which the operator should hear of it. */
static int prepare(struct master *master, struct config_error *error)
{
    int err;

    if (signals_open(master) < 0 || events_open(master) < 0)
        return config_fail(error, 1, "Can't start: %s", strerror(errno));
    err = prepare_settings(master, error);
    if (err < 0)
        return err;
    if (!master->checks_only)
        log_info("Starting gcorn %s", GCORN_VERSION);
    upgrade_init(master);
    master->placement.predecessor = master->launch->predecessor;
    if (!master->checks_only && master->upgrade.pidfile[0] != '\0')
        err = pidfile_make(master->upgrade.pidfile, error);
    if (err == 0)
        err = prepare_memory(master, error);
    if (err < 0)
        return err;
    if (!master->checks_only)
        err = hooks_start(master, error);
    if (err == 0 && !master->checks_only)
        err = binds_open(master, error);
    if (err == 0)
        hooks_when_ready(master);
    if (err == 0)
        err = observer_open(master, error);
    launch_close_rest(master->launch);
    return err;
}

static void release(struct master *master)
{
    observer_close(master);
    for (uint32_t i = 0; i < master->listener_count; i++)
        listener_close(&master->listeners[i]);
    if (!master->checks_only)
        upgrade_done(master);
    notify_done(&master->notify);
    placement_done(&master->placement);
    rollout_done(master);
    free(master->slots);
    free(master->interps);
    live_free(master->live);
    roll_done(&master->roll);
    if (master->board != NULL)
        munmap(master->board, master->board->bytes);
}

static void serve(struct master *master)
{
    master->wanted = master->placement.workers;
    master->workers_told = master->wanted;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    title_set(master->title, "master", master->name);
    settle(master);
    while (master->phase != MASTER_GONE) {
        wait_and_read(master);
        settle(master);
    }
    if (master->checks_only)
        return;
    log_info("Shutting down: Master");
    if (master->reason != NULL)
        log_error("Reason: %s", master->reason);
}

int master_run(struct config *config, const struct config_input *input,
               const struct title *title, const struct master_task *task)
{
    struct config_error error = {.exit_code = 1, .text = ""};
    struct launch nobody = {0};
    struct daemon stays = {.report_fd = -1};
    struct master master = {
        .config = config,
        .input = input,
        .title = title,
        .task = task,
        .launch = task->launch != NULL ? task->launch : &nobody,
        .daemon = task->daemon != NULL ? task->daemon : &stays,
        .logs = {.error_fd = STDERR_FILENO, .access_fd = -1},
        .placement = {.claim = {.fd = -1}},
        .checks_only = task->checks_only,
        .generations = 1,
        .current = {.fd = -1, .generation = 1},
        .trial = {.fd = -1},
        .retired = {.fd = -1},
    };

    shared_raise_files();
    notify_init(&master.notify);
    if (prepare(&master, &error) < 0) {
        /* Also on the terminal when the log goes to a file. */
        config_error_print(&error);
        if (error.text[0] != '\0' && master.logs.error_fd != STDERR_FILENO)
            log_error("%s", error.text);
        daemon_report(master.daemon, error.exit_code, error.text);
        release(&master);
        return error.exit_code;
    }
    if (!master.checks_only && task->ready_fd < 0)
        log_start(&master);
    serve(&master);
    release(&master);
    return master.exit_code;
}
