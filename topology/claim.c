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

/* The kernel tells one range of one owner at a time. */
int claim_taken(const struct claim *claim, pid_t except, struct cpus *ret_taken)
{
    struct cpus taken = {0};
    uint32_t at = 0;

    while (at < CPUS_MAX) {
        struct flock lock = range(F_WRLCK, at, CPUS_MAX - at);
        uint32_t first, end;

        if (fcntl(claim->fd, F_GETLK, &lock) < 0)
            return -errno;
        if (lock.l_type == F_UNLCK)
            break;
        first = lock.l_start > at ? (uint32_t)lock.l_start : at;
        end = lock.l_len ? (uint32_t)(lock.l_start + lock.l_len) : CPUS_MAX;
        for (at = first; at < end; at++)
            if (!except || lock.l_pid != except)
                cpus_add(&taken, at);
    }
    *ret_taken = taken;
    return 0;
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
