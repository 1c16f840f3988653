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

/* Dead, but nobody has waited for it: the init of many a container. */
static bool is_zombie(pid_t pid)
{
    char path[32], text[512];
    const char *end;
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    end = strrchr(text, ')'); /* of its name, which may have any in it */
    return end != NULL && strncmp(end, ") Z", 3) == 0;
}

static bool is_alive(pid_t pid)
{
    return (kill(pid, 0) == 0 || errno == EPERM) && !is_zombie(pid);
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
    if (fd < 0 && errno == ENOENT && strrchr(path, '/') != NULL)
        return config_fail(error, 1,
                           "%.*s doesn't exist. Can't create pidfile.",
                           (int)(strrchr(path, '/') - path), path);
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

int pidfile_succeed(const char *own, const char *path, pid_t predecessor)
{
    pid_t other = pidfile_read(path);

    /* Nobody may have waited for the predecessor yet: it looks alive. */
    if (other != 0 && other != predecessor && is_alive(other))
        return -EEXIST;
    return rename(own, path) < 0 ? -errno : 0;
}

void pidfile_remove(const char *path)
{
    if (path[0] != '\0' && pidfile_read(path) == getpid())
        unlink(path);
}
