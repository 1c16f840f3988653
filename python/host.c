/* SPDX-License-Identifier: MIT */
#include "host.h"

#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "channel.h"
#include "hooks.h"
#include "runtime.h"
#include "signals.h"
#include "template.h"
#include "wait_asyncio.h"
#include "wait_green.h"
#include "wait_thread.h"

#include "core/board.h"
#include "core/exchange_take.h"
#include "core/owner.h"

/* The number after --channel, or -1. */
static int channel_argument(int argc, char **argv)
{
    char *end;
    long fd;

    if (argc != 3 || strcmp(argv[1], "--channel") != 0)
        return -1;
    fd = strtol(argv[2], &end, 10);
    return *argv[2] && !*end && fd >= 0 && fd < 1 << 20 ? (int)fd : -1;
}

/* Standard streams apart, nothing is for programs that applications start. */
static void keep_descriptors_private(void)
{
    close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
}

static void open_log(struct host *host)
{
    enum log_level level = LOG_LEVEL_INFO;
    const char *name = host_text(host, "proc_name");
    struct log_remote_config remote = {
        .syslog = host_flag(host, "syslog"),
        .syslog_addr = host_text(host, "syslog_addr"),
        .syslog_facility = host_text(host, "syslog_facility"),
        .syslog_prefix = host_text(host, "syslog_prefix"),
        .name = *name ? name : host_text(host, "wsgi_app"),
        .statsd_host = host_text(host, "statsd_host"),
        .statsd_prefix = host_text(host, "statsd_prefix"),
        .dogstatsd_tags = host_text(host, "dogstatsd_tags"),
    };

    log_level_parse(host_text(host, "loglevel"), &level);
    log_open(host->board->error_log_fd, level);
    log_json(strcmp(host_text(host, "log_format"), "json") == 0);
    log_remote_open(&host->log_remote, &remote);
}

/* The template dies with the master; it may have died before we asked. */
static bool die_with_master(pid_t master)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return getppid() == master;
}

/* Becoming another user takes the death signal back. */
static int become_owner(const struct host *host)
{
    const char *user = host_text(host, "user");
    const char *group = host_text(host, "group");
    struct owner owner;
    int error = owner_find(&owner, user, group);

    if (!error)
        owner.all_groups = host_flag(host, "initgroups");
    if (!error)
        error = owner_become(&owner);
    if (error) {
        log_critical("Can't become user '%s', group '%s': %s", user, group,
                     strerror(-error));
        return 1;
    }
    return die_with_master(host->board->master_pid) ? 0 : 1;
}

/* What the settings and the board have to fit. 0, or the exit code. */
static int check(struct host *host)
{
    uint32_t threads;
    bool in_main;
    int error;

    if (!wait_thread_count(host, &threads, &in_main) &&
        !wait_green_is_named(host) &&
        !wait_asyncio_is_named(host_text(host, "worker_class"))) {
        log_critical("Unknown worker class: %s",
                     host_text(host, "worker_class"));
        return 1;
    }
    error = exchange_site_init(&host->site, host->board);
    if (error) {
        log_critical("The shared memory cannot be mapped: %s",
                     strerror(-error));
        return 1;
    }
    return 0;
}

static void name_template(struct host *host)
{
    host->name = host_text(host, "proc_name");
    if (!*host->name)
        host->name = host_text(host, "wsgi_app");
    title_set(&host->title, "gcorn: template [%s]", host->name);
}

/* Python is up: the configuration file. */
static int configure(struct host *host)
{
    struct settings *set = malloc(sizeof(*set));
    int code = set ? conffile_read(&host->conffile, &host->settings, set,
                                   host->board != NULL)
                   : 1;

    if (code == 0)
        channel_tell_settings(host, set, TEMPLATE_FILE);
    free(set);
    return code;
}

static int paste_globals(const struct host *host)
{
    const char *text;

    for (uint32_t i = 0;
         (text = settings_get(&host->settings, "raw_paste_global_conf", i));
         i++) {
        if (loader_paste_global(&host->loader, text))
            continue;
        loader_log_exception(&host->loader, "The PasteDeploy file's variables");
        return 1;
    }
    return 0;
}

/* The master has made its mind up. */
static int settle(struct host *host)
{
    int error = channel_settings(host, TEMPLATE_GO);
    int code;

    if (error == -EPIPE)
        return 1;
    if (error || !host->board) {
        log_critical("The template does not understand the master: %s",
                     strerror(error ? -error : EPROTO));
        return 1;
    }
    open_log(host);
    name_template(host);
    signals_log(host->board, host_text(host, "errorlog"),
                host_flag(host, "capture_output"));
    if (chdir(host_text(host, "chdir")) < 0)
        log_warning("Can't chdir to '%s': %s", host_text(host, "chdir"),
                    strerror(errno));
    code = become_owner(host);
    if (code == 0)
        code = check(host);
    if (code == 0 && loader_prepare(&host->loader, host_text(host, "chdir"),
                                    host_text(host, "pythonpath"),
                                    host->board->error_log_fd) < 0)
        code = 1;
    if (code == 0)
        code = wait_green_prepare(host);
    if (code == 0 && conffile_environ(&host->conffile, &host->settings) < 0) {
        loader_log_exception(&host->loader, "The environment cannot be set");
        code = 1;
    }
    if (code == 0)
        code = paste_globals(host);
    return code == 0 ? hooks_init(host) : code;
}

static int run(struct host *host)
{
    int code = 0;

    if (runtime_start(host_text(host, "python")) < 0 ||
        loader_init(&host->loader) < 0)
        code = 1;
    if (code == 0)
        code = configure(host);
    if (code == 0)
        code = settle(host);
    if (code) {
        channel_tell(host, TEMPLATE_FAILED, code);
        return code;
    }
    code = template_run(host);
    return runtime_stop(code);
}

int host_main(int argc, char **argv)
{
    static struct host host;

    host.channel_fd = channel_argument(argc, argv);
    log_open(STDERR_FILENO, LOG_LEVEL_INFO);
    if (host.channel_fd < 0 || channel_settings(&host, TEMPLATE_ASK) < 0) {
        fprintf(stderr, "%s is started by gcorn %s, not by hand\n", argv[0],
                GCORN_VERSION);
        return 2;
    }
    if (!die_with_master((pid_t)host_number(&host, "master", 0)))
        return 1;
    keep_descriptors_private();
    if (title_init(&host.title, argc, argv) < 0)
        return 1;
    prctl(PR_SET_NAME, "gcorn-template");
    signals_init();
    return run(&host);
}
