/* SPDX-License-Identifier: MIT */
#include "topology/claim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Services of different users share the file, so all of them may lock it. The
 * worst that a hostile one can do is to leave the others unbound.
 */
static int open_in(struct claim *claim, const char *dir)
{
    if (mkdir(dir, 0755) < 0 && errno != EEXIST)
        return -errno;
    snprintf(claim->path, sizeof(claim->path), "%s/cpus.lock", dir);
    claim->fd = open(claim->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (claim->fd < 0)
        return -errno;
    /* Only its owner may; for the others it is done already. */
    if (fchmod(claim->fd, 0666) < 0 && errno != EPERM)
        return -errno;
    return 0;
}

int claim_open(struct claim *claim, const char *dir)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    char path[200];
    int rc;

    claim->fd = -1;
    if (!dir)
        dir = getenv("GCORN_RUNTIME_DIR");
    rc = open_in(claim, dir ? dir : "/run/gcorn");
    if (rc == 0 || dir || !runtime)
        return rc;
    snprintf(path, sizeof(path), "%s/gcorn", runtime);
    return open_in(claim, path);
}

void claim_close(struct claim *claim)
{
    if (claim->fd >= 0)
        close(claim->fd);
    claim->fd = -1;
}

static struct flock range(short type, uint32_t first, uint32_t count)
{
    return (struct flock){
        .l_type = type, .l_whence = SEEK_SET, .l_start = first, .l_len = count};
}

struct held {
    uint32_t first, end;
    pid_t pid;
};

/*
 * One lock in [from, to). The kernel tells any, not the lowest: it keeps them
 * by owner. 1, 0 when there is none, or -errno.
 */
static int any_held(int fd, uint32_t from, uint32_t to, struct held *ret_held)
{
    struct flock lock = range(F_WRLCK, from, to - from);

    if (fcntl(fd, F_GETLK, &lock) < 0)
        return -errno;
    if (lock.l_type == F_UNLCK)
        return 0;
    *ret_held = (struct held){
        .first = lock.l_start > from ? (uint32_t)lock.l_start : from,
        .end = lock.l_len ? (uint32_t)(lock.l_start + lock.l_len) : CPUS_MAX,
        .pid = lock.l_pid,
    };
    return 1;
}

/* The lowest one that holds a CPU from @at on: nothing lies before it. */
static int next_held(int fd, uint32_t at, struct held *ret_held)
{
    uint32_t to = CPUS_MAX;
    int found = 0, rc = 1;

    while (at < to && (rc = any_held(fd, at, to, ret_held)) > 0) {
        to = ret_held->first;
        found = 1;
    }
    return rc < 0 ? rc : found;
}

static void add_range(struct cpus *cpus, const struct held *held)
{
    for (uint32_t cpu = held->first; cpu < held->end; cpu++)
        cpus_add(cpus, cpu);
}

int claim_taken(const struct claim *claim, pid_t except, struct cpus *ret_taken)
{
    struct held held = {0};
    struct cpus taken = {0};
    int rc;

    while ((rc = next_held(claim->fd, held.end, &held)) > 0)
        if (!except || held.pid != except)
            add_range(&taken, &held);
    if (rc == 0)
        *ret_taken = taken;
    return rc;
}

static struct claim_holder *holder_of(struct claim_view *view, pid_t pid)
{
    uint32_t i = 0;

    while (i < view->n && view->holders[i].pid != pid)
        i++;
    if (i == CLAIM_HOLDERS_MAX)
        return NULL;
    if (i == view->n)
        view->holders[view->n++] = (struct claim_holder){.pid = pid};
    return &view->holders[i];
}

static void look_in(const char *dir, struct claim_view *view)
{
    struct held held = {0};
    char path[256];
    int fd;

    snprintf(path, sizeof(path), "%s/cpus.lock", dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    while (next_held(fd, held.end, &held) > 0) {
        struct claim_holder *holder = holder_of(view, held.pid);

        add_range(&view->taken, &held);
        if (holder)
            add_range(&holder->cpus, &held);
    }
    close(fd);
}

void claim_look(const char *dir, struct claim_view *ret_view)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    char path[200];

    *ret_view = (struct claim_view){0};
    if (!dir)
        dir = getenv("GCORN_RUNTIME_DIR");
    look_in(dir ? dir : "/run/gcorn", ret_view);
    if (dir || !runtime)
        return;
    snprintf(path, sizeof(path), "%s/gcorn", runtime);
    look_in(path, ret_view);
}

int claim_drop(struct claim *claim, const struct cpus *cpus)
{
    int cpu = cpus_next(cpus, 0);

    for (; cpu >= 0; cpu = cpus_next(cpus, (uint32_t)cpu + 1)) {
        struct flock lock = range(F_UNLCK, (uint32_t)cpu, 1);

        if (fcntl(claim->fd, F_SETLK, &lock) < 0)
            return -errno;
    }
    return 0;
}

int claim_take(struct claim *claim, const struct cpus *cpus)
{
    int cpu = cpus_next(cpus, 0);
    struct cpus got = {0};

    for (; cpu >= 0; cpu = cpus_next(cpus, (uint32_t)cpu + 1)) {
        struct flock lock = range(F_WRLCK, (uint32_t)cpu, 1);

        if (fcntl(claim->fd, F_SETLK, &lock) < 0) {
            int rc = errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;

            claim_drop(claim, &got);
            return rc;
        }
        cpus_add(&got, (uint32_t)cpu);
    }
    return 0;
}
