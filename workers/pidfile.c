/* SPDX-License-Identifier: MIT */
#include "pidfile.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The number in the file, or 0. */
static pid_t pidfile_read(const char *path)
{
    char text[32];
    ssize_t n;
    long pid;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return 0;
    n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    pid = strtol(text, NULL, 10);
    return pid > 0 && pid <= INT_MAX ? (pid_t)pid : 0;
}

static bool is_alive(pid_t pid)
{
    return kill(pid, 0) == 0 || errno == EPERM;
}

static int write_and_rename(int fd, const char *temporary, const char *path)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

    if (write(fd, text, (size_t)n) != n || fchmod(fd, 0644) < 0 ||
        rename(temporary, path) < 0)
        return -errno;
    return 0;
}

int pidfile_make(const char *path, struct config_error *error)
{
    pid_t other = pidfile_read(path);
    char temporary[PATH_MAX];
    int fd, err;

    if (other != 0 && other != getpid() && is_alive(other))
        return config_fail(error, 1,
                           "Already running on PID %d (or pid file '%s' is "
                           "stale)",
                           (int)other, path);
    if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >=
        (int)sizeof(temporary))
        return config_fail(error, 1, "name of the pid file is too long");
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return config_fail(error, 1, "Can't create pidfile %s: %s", path,
                           strerror(errno));
    err = write_and_rename(fd, temporary, path);
    close(fd);
    if (err == 0)
        return 0;
    unlink(temporary);
    return config_fail(error, 1, "Can't create pidfile %s: %s", path,
                       strerror(-err));
}

void pidfile_remove(const char *path)
{
    if (path[0] != '\0' && pidfile_read(path) == getpid())
        unlink(path);
}
