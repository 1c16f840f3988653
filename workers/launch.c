/* SPDX-License-Identifier: MIT */
#include "launch.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FDS_MAX 65536

/* The number at the start of the text, or -1; ret_end is behind it. */
static long number_at(const char *text, const char **ret_end)
{
    char *end;
    long number;

    *ret_end = text;
    if (text[0] < '0' || text[0] > '9')
        return -1;
    errno = 0;
    number = strtol(text, &end, 10);
    if (errno != 0 || number > INT_MAX)
        return -1;
    *ret_end = end;
    return number;
}

/* Of a variable; -1 when it is not set or is no number. */
static long variable(const char *name)
{
    const char *text = getenv(name);
    const char *end;
    long number = text != NULL ? number_at(text, &end) : -1;

    return number >= 0 && *end == '\0' ? number : -1;
}

static bool keep_private(int fd)
{
    return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

/* Descriptors that are not open were not meant for us. */
static int fds_read(struct launch *launch, const char *text)
{
    launch->fds = calloc(strlen(text) / 2 + 1, sizeof(*launch->fds));
    if (launch->fds == NULL)
        return -ENOMEM;
    while (*text != '\0' && launch->fd_count < FDS_MAX) {
        const char *end;
        long fd = number_at(text, &end);

        if (fd < 0)
            break;
        if (keep_private((int)fd))
            launch->fds[launch->fd_count++] = (int)fd;
        text = *end == ',' ? end + 1 : end;
    }
    return 0;
}

static void activation_read(struct launch *launch)
{
    long count = variable("LISTEN_FDS");

    if (count <= 0 || count > FDS_MAX || variable("LISTEN_PID") != getpid())
        return;
    launch->activated = (uint32_t)count;
    for (long i = 0; i < count; i++)
        keep_private(LAUNCH_ACTIVATED_FD + (int)i);
}

int launch_read(struct launch *launch)
{
    static const char *const ours[] = {"GUNICORN_PID", "GUNICORN_FD",
                                       "LISTEN_PID", "LISTEN_FDS",
                                       "LISTEN_FDNAMES"};
    const char *fds = getenv("GUNICORN_FD");
    int err = 0;

    memset(launch, 0, sizeof(*launch));
    activation_read(launch);
    /* A variable left in the environment of a stranger is no predecessor. */
    if (fds != NULL && variable("GUNICORN_PID") == getppid())
        launch->predecessor = getppid();
    if (fds != NULL && launch->predecessor != 0)
        err = fds_read(launch, fds);
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        unsetenv(ours[i]);
    return err;
}

void launch_done(struct launch *launch)
{
    free(launch->fds);
    memset(launch, 0, sizeof(*launch));
}

void launch_close_rest(struct launch *launch)
{
    for (uint32_t i = 0; i < launch->fd_count; i++) {
        if (launch->fds[i] >= 0)
            close(launch->fds[i]);
    }
    launch->fd_count = 0;
}

static int number_put(const char *name, long number)
{
    char text[24];

    snprintf(text, sizeof(text), "%ld", number);
    return setenv(name, text, 1) < 0 ? -errno : 0;
}

static int environment_fill(const struct launch *launch, pid_t predecessor,
                            const char *sockets)
{
    int err = number_put("GUNICORN_PID", predecessor);

    if (err == 0 && setenv("GUNICORN_FD", sockets, 1) < 0)
        err = -errno;
    if (err == 0 && launch->activated > 0)
        err = number_put("LISTEN_FDS", launch->activated);
    if (err == 0 && launch->activated > 0)
        err = number_put("LISTEN_PID", getpid());
    if (err == 0 && getenv("WATCHDOG_PID") != NULL)
        err = number_put("WATCHDOG_PID", getpid());
    return err;
}

static void pass_on(const struct launch *launch, const char *sockets)
{
    for (uint32_t i = 0; i < launch->activated; i++)
        fcntl(LAUNCH_ACTIVATED_FD + (int)i, F_SETFD, 0);
    while (*sockets != '\0') {
        const char *end;
        long fd = number_at(sockets, &end);

        if (fd < 0)
            return;
        fcntl((int)fd, F_SETFD, 0);
        sockets = *end == ',' ? end + 1 : end;
    }
}

int launch_again(const struct launch *launch, const struct config_input *input,
                 const char *sockets)
{
    int err = environment_fill(launch, getppid(), sockets);

    if (err < 0)
        return err;
    if (chdir(input->cwd) < 0)
        return -errno;
    pass_on(launch, sockets);
    /* Ignored signals stay so across exec, but handlers do not. */
    signal(SIGPIPE, SIG_DFL);
    execvp(input->argv[0], input->argv);
    return -errno;
}
