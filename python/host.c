/* SPDX-License-Identifier: MIT */
#include "host.h"

#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "runtime.h"
#include "signals.h"
#include "template.h"
#include "wait_thread.h"

/* The number after --board, or -1. */
static int board_argument(int argc, char **argv)
{
    char *end;
    long fd;

    if (argc != 3 || strcmp(argv[1], "--board") != 0)
        return -1;
    fd = strtol(argv[2], &end, 10);
    return *argv[2] && !*end && fd >= 0 && fd < 1 << 20 ? (int)fd : -1;
}

/* Standard streams apart, nothing is for programs that applications start. */
static void keep_descriptors_private(void)
{
    close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
}

static void open_log(const struct host *host)
{
    enum log_level level = LOG_LEVEL_INFO;

    log_level_parse(host_text(host, "loglevel"), &level);
    log_open(host->board->error_log_fd, level);
}

/* The template dies with the master; it may have died before we asked. */
static bool die_with_master(const struct board *board)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return getppid() == board->master_pid;
}

/* What needs no Python. 0, or the exit code. */
static int prepare(struct host *host)
{
    uint32_t threads;
    bool in_main;
    int error;

    if (!wait_thread_count(host, &threads, &in_main)) {
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
    prctl(PR_SET_NAME, "gcorn-template");
    title_set(&host->title, "gcorn: template [%s]", host->name);
}

static int run(struct host *host)
{
    int code = prepare(host);

    if (code == 0 && runtime_start(host->board) < 0)
        code = 1;
    if (code == 0 && loader_init(&host->loader, host->board) < 0)
        code = 1;
    if (code) {
        template_failed(host->board, code);
        return code;
    }
    code = template_run(host);
    return runtime_stop(code);
}

int host_main(int argc, char **argv)
{
    struct host host = {0};
    int fd = board_argument(argc, argv);

    if (fd < 0 || board_map(&host.board, fd) < 0) {
        fprintf(stderr, "%s is started by gcorn %s, not by hand\n", argv[0],
                GCORN_VERSION);
        return 2;
    }
    open_log(&host);
    if (!die_with_master(host.board))
        return 1;
    keep_descriptors_private();
    if (title_init(&host.title, argc, argv) < 0)
        return 1;
    name_template(&host);
    signals_init(host.board);
    return run(&host);
}
