/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/base.h"
#include "tools/topo/report.h"

#define BLOCK 4096U
#define DEPTH 256U
#define CHUNK (1U << 20)
#define SECONDS 5
/* Larger than the cache of most disks; smaller files where space is short. */
#define FILE_BYTES (UINT64_C(2) << 30)

struct bench {
    int fd;
    uint64_t blocks;
    uint64_t random;
    uint64_t done;
    uint8_t *memory; /* DEPTH blocks */
    struct io_uring ring;
};

/* xorshift: good enough to defeat read-ahead, and no system call. */
static uint64_t next_random(struct bench *b)
{
    b->random ^= b->random << 13;
    b->random ^= b->random >> 7;
    b->random ^= b->random << 17;
    return b->random;
}

static void start_read(struct bench *b, unsigned slot)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&b->ring);

    must(sqe != NULL);
    io_uring_prep_read(sqe, b->fd, b->memory + (size_t)slot * BLOCK, BLOCK,
                       next_random(b) % b->blocks * BLOCK);
    sqe->user_data = slot;
}

/* Takes what is finished; with @again each read is followed by another. */
static int reap(struct bench *b, bool again, unsigned *inflight)
{
    struct io_uring_cqe *cqe;
    unsigned head, count = 0;
    int rc = 0;

    io_uring_for_each_cqe(&b->ring, head, cqe)
    {
        count++;
        if (cqe->res < 0)
            rc = cqe->res;
        b->done += cqe->res == (int)BLOCK;
        if (again)
            start_read(b, (unsigned)cqe->user_data);
    }
    io_uring_cq_advance(&b->ring, count);
    if (!again)
        *inflight -= count;
    return rc;
}

static int run(struct bench *b, uint64_t *ret_iops)
{
    uint64_t start = now_ns(), end = start + SECONDS * NS_PER_S;
    unsigned inflight = DEPTH;
    int rc = 0;

    for (unsigned slot = 0; slot < DEPTH; slot++)
        start_read(b, slot);
    while (rc >= 0 && now_ns() < end) {
        rc = io_uring_submit_and_wait(&b->ring, 1);
        if (rc >= 0)
            rc = reap(b, true, &inflight);
    }
    *ret_iops = b->done * NS_PER_S / (now_ns() - start);
    /* The memory is lent to the kernel until the last one is back. */
    while (inflight > 0 && io_uring_submit_and_wait(&b->ring, 1) >= 0)
        reap(b, false, &inflight);
    return rc < 0 ? rc : 0;
}

/* Holes would be answered without the disk: the file is really written. */
static int fill(struct bench *b, uint64_t bytes)
{
    for (uint64_t at = 0; at < bytes; at += CHUNK) {
        memset(b->memory, (int)(next_random(b) & 0xff), CHUNK);
        if (pwrite(b->fd, b->memory, CHUNK, (off_t)at) != (ssize_t)CHUNK)
            return errno ? -errno : -ENOSPC;
    }
    b->blocks = bytes / BLOCK;
    return fsync(b->fd) < 0 ? -errno : 0;
}

/* At most a quarter of what is free, in whole chunks. */
static uint64_t room_for(int fd)
{
    struct statvfs fs;
    uint64_t room;

    if (fstatvfs(fd, &fs) < 0)
        return 0;
    room = (uint64_t)fs.f_bavail * fs.f_frsize / 4;
    return min_u64(room, FILE_BYTES) / CHUNK * CHUNK;
}

/* Writing is part of it: what is not on the disk cannot be read from it. */
static int measure(struct bench *b, uint64_t *ret_iops)
{
    uint64_t bytes = room_for(b->fd);
    int rc;

    if (bytes < 64 * CHUNK)
        return -ENOSPC;
    rc = fill(b, bytes);
    if (rc == 0)
        rc = io_uring_queue_init(DEPTH, &b->ring, 0);
    if (rc < 0)
        return rc;
    rc = run(b, ret_iops);
    io_uring_queue_exit(&b->ring);
    return rc;
}

int bench_io(const char *dir, uint64_t *ret_iops)
{
    struct bench b = {.random = now_ns() | 1};
    void *memory;
    int rc;

    /* Never seen under a name, so never left behind. */
    b.fd = open(dir, O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
    if (b.fd < 0)
        return -errno;
    rc = -posix_memalign(&memory, BLOCK, (size_t)DEPTH * BLOCK);
    if (rc == 0) {
        b.memory = memory;
        rc = measure(&b, ret_iops);
        free(memory);
    }
    close(b.fd);
    return rc;
}
