/* SPDX-License-Identifier: MIT */
#include "shared.h"

#include "core/arena.h"
#include "core/board.h"
#include "core/board_interp.h"
#include "core/board_worker.h"
#include "core/log.h"
#include "topology/bind.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Sparse: what is not used takes no memory. A WebSocket is an exchange as long
 * as it is open, and each has a chunk of its own. */
#define EXCHANGES_PER_WORKER 16384
#define CHUNKS_PER_WORKER (EXCHANGES_PER_WORKER + 3072)
/* What templates get under the same number stays clear of what their
 * configuration files open. */
#define LIFT_TO 256

/* The arena's pages come from the worker's node, whoever touches them. */
static void arena_bind(int fd, int node, bool strict)
{
    struct stat st;
    void *base;

    if (node < 0 || fstat(fd, &st) < 0)
        return;
    base = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED,
                fd, 0);
    if (base == MAP_FAILED)
        return;
    /* The policy stays with the memfd. A container may forbid it: no harm. */
    bind_range(base, (size_t)st.st_size, node, strict);
    munmap(base, (size_t)st.st_size);
}

/* Bound before the first byte is written. */
static int arena_make(int node, bool strict, int *ret_fd)
{
    uint64_t bytes = arena_bytes(EXCHANGES_PER_WORKER, CHUNKS_PER_WORKER);
    int fd = memfd_create("gcorn-arena", MFD_CLOEXEC);

    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    if (ftruncate(fd, (off_t)bytes) < 0)
        return -errno;
    arena_bind(fd, node, strict);
    return arena_format(fd, EXCHANGES_PER_WORKER, CHUNKS_PER_WORKER);
}

static int memory_make(const char *name, int *ret_fd)
{
    *ret_fd = memfd_create(name, MFD_CLOEXEC);
    return *ret_fd < 0 ? -errno : 0;
}

/* A file without a name, where temporary files go. */
static int file_make(int *ret_fd)
{
    const char *dir = getenv("TMPDIR");
    char path[4096];
    int fd;

    if (dir == NULL || dir[0] == '\0')
        dir = "/tmp";
    fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        /* Not every file system has O_TMPFILE. */
        snprintf(path, sizeof(path), "%s/gcorn-spool-XXXXXX", dir);
        fd = mkostemp(path, O_CLOEXEC);
        if (fd < 0)
            return -errno;
        unlink(path);
    }
    *ret_fd = fd;
    return 0;
}

static int doorbell_make(int flags, int *ret_fd)
{
    *ret_fd = eventfd(0, EFD_CLOEXEC | flags);
    return *ret_fd < 0 ? -errno : 0;
}

static int pair_make(int type, int32_t *ret_a, int32_t *ret_b)
{
    int fds[2];

    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    *ret_a = fds[0];
    *ret_b = fds[1];
    return 0;
}

static int worker_make(struct board_worker *worker,
                       const struct plan_place *place, bool strict)
{
    int err = arena_make(place->memory_node, strict, &worker->arena_fd);

    worker->node = place->memory_node;
    worker->llc = place->llc;
    if (err == 0)
        err = doorbell_make(EFD_NONBLOCK, &worker->doorbell_fd);
    if (err == 0)
        err = pair_make(SOCK_DGRAM, &worker->file_out_fd, &worker->file_in_fd);
    if (err == 0)
        err = memory_make("gcorn-spool", &worker->spool_memory_fd);
    if (err == 0)
        err = file_make(&worker->spool_file_fd);
    return err;
}

int shared_lift(int fd)
{
    struct rlimit limit;
    int high;

    if (fd <= STDERR_FILENO || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return fd;
    high = fcntl(fd, F_DUPFD_CLOEXEC,
                 limit.rlim_cur >= 4 * LIFT_TO ? LIFT_TO
                                               : (int)limit.rlim_cur / 4);
    if (high < 0)
        return fd;
    close(fd);
    return high;
}

static void worker_lift(struct board_worker *worker)
{
    worker->arena_fd = shared_lift(worker->arena_fd);
    worker->doorbell_fd = shared_lift(worker->doorbell_fd);
    worker->file_out_fd = shared_lift(worker->file_out_fd);
    worker->spool_memory_fd = shared_lift(worker->spool_memory_fd);
    worker->spool_file_fd = shared_lift(worker->spool_file_fd);
}

static int interp_make(struct board_interp *interp)
{
    int err = doorbell_make(EFD_NONBLOCK, &interp->doorbell_fd);

    interp->doorbell_fd = shared_lift(interp->doorbell_fd);
    return err;
}

static void steal_order_set(struct board *board,
                            const struct placement *placement, uint32_t slot)
{
    const uint16_t *from = placement_steal_order(placement, slot);
    uint16_t *to = board_steal_order(board, slot);
    uint32_t count = board->worker_slots - 1;

    memcpy(to, from, count * sizeof(*to));
    to[count] = UINT16_MAX;
}

static bool is_strict(const struct master *master)
{
    return strcmp(master->config->numa, "strict") == 0;
}

void shared_place(struct master *master)
{
    struct board *board = master->board;

    for (uint32_t i = 0; i < board->worker_slots; i++) {
        struct board_worker *worker = board_worker(board, i);
        const struct plan_place *place = placement_of(&master->placement, i);

        steal_order_set(board, &master->placement, i);
        worker->llc = place->llc;
        if (worker->node == place->memory_node)
            continue;
        worker->node = place->memory_node;
        arena_bind(worker->arena_fd, worker->node, is_strict(master));
    }
}

static int slots_make(struct master *master)
{
    struct board *board = master->board;
    int err = doorbell_make(EFD_NONBLOCK, &board->master_doorbell_fd);

    board->board_fd = shared_lift(board->board_fd);
    board->master_doorbell_fd = shared_lift(board->master_doorbell_fd);
    for (uint32_t i = 0; i < board->worker_slots && err == 0; i++) {
        err = worker_make(board_worker(board, i),
                          placement_of(&master->placement, i),
                          is_strict(master));
        worker_lift(board_worker(board, i));
        steal_order_set(board, &master->placement, i);
    }
    for (uint32_t i = 0; i < board->interp_slots && err == 0; i++)
        err = interp_make(board_interp(board, i));
    return err;
}

uint64_t shared_raise_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 1024;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

int shared_make(struct master *master, struct config_error *error)
{
    uint32_t slots = master->checks_only ? 1 : master->placement.slots;
    int err = board_new(&master->board, slots, EXCHANGES_PER_WORKER,
                        CHUNKS_PER_WORKER);

    if (err == 0) {
        master->board->master_pid = getpid();
        err = slots_make(master);
    }
    if (err == -EMFILE || err == -ENFILE)
        return config_fail(error, 1,
                           "Too few open files are allowed for %u workers: "
                           "raise the limit (ulimit -n)",
                           slots);
    if (err < 0)
        return config_fail(error, 1, "Can't make the shared memory: %s",
                           strerror(-err));
    return 0;
}
