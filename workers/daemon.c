/* SPDX-License-Identifier: MIT */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UMASK 022

/* One write of at most PIPE_BUF bytes: it comes whole or not at all. */
struct report {
    int code;
    char text[512];
};

/* Whoever waits can be interrupted; the master reads its signals. */
static void signals_release(void)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void wait_for_report(int fd)
{
    struct report report;
    ssize_t n;

    do {
        n = read(fd, &report, sizeof(report));
    } while (n < 0 && errno == EINTR);
    if (n != sizeof(report))
        _exit(1); /* it was killed */
    if (report.code != 0)
        fprintf(stderr, "\nError: %s\n", report.text);
    _exit(report.code);
}

static void streams_leave(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int fd = 0; null >= 0 && fd <= STDERR_FILENO; fd++)
        dup2(null, fd);
    if (null > STDERR_FILENO)
        close(null);
}

int daemon_start(struct daemon *daemon, bool keep_streams)
{
    int report[2];
    pid_t pid;

    if (pipe2(report, O_CLOEXEC) < 0)
        return -errno;
    fflush(NULL);
    pid = fork();
    if (pid < 0)
        return -errno;
    if (pid > 0) {
        signals_release();
        close(report[1]);
        wait_for_report(report[0]);
    }
    close(report[0]);
    setsid();
    /* The leader of a session may get a terminal again: it goes. */
    pid = fork();
    if (pid != 0)
        _exit(pid < 0 ? 1 : 0);
    umask(UMASK);
    if (!keep_streams)
        streams_leave();
    daemon->report_fd = report[1];
    return 0;
}

void daemon_report(struct daemon *daemon, int code, const char *text)
{
    struct report report = {.code = code};

    if (daemon->report_fd < 0)
        return;
    snprintf(report.text, sizeof(report.text), "%s", text);
    while (write(daemon->report_fd, &report, sizeof(report)) < 0 &&
           errno == EINTR)
        continue;
    close(daemon->report_fd);
    daemon->report_fd = -1;
}
