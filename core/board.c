/* SPDX-License-Identifier: MIT */
#include "board.h"

#include "board_interp.h"
#include "board_worker.h"
#include "doorbell.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BOARD_MAGIC 0x6472616f626e6367ULL /* "gcnboard" */

static uint64_t align_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

static char *at(const struct board *board, uint64_t off)
{
    return (char *)(uintptr_t)board + off;
}

struct board_worker *board_worker(const struct board *board, uint32_t slot)
{
    must(slot < board->worker_slots);
    return (struct board_worker *)(void *)at(board, board->worker_off) + slot;
}

struct board_interp *board_interp(const struct board *board, uint32_t slot)
{
    must(slot < board->interp_slots);
    return (struct board_interp *)(void *)at(board, board->interp_off) + slot;
}

void board_worker_files(const struct board *board, uint32_t slot,
                        int out[BOARD_WORKER_FILES])
{
    const struct board_worker *worker = board_worker(board, slot);
    uint32_t first = slot * BOARD_INTERPS_PER_WORKER;

    out[0] = worker->arena_fd;
    out[1] = worker->doorbell_fd;
    out[2] = worker->file_out_fd;
    out[3] = worker->spool_memory_fd;
    out[4] = worker->spool_file_fd;
    for (uint32_t i = 0; i < BOARD_INTERPS_PER_WORKER; i++)
        out[5 + i] = board_interp(board, first + i)->doorbell_fd;
}

uint16_t *board_steal_order(const struct board *board, uint32_t slot)
{
    must(slot < board->worker_slots);
    return (uint16_t *)(void *)at(board, board->steal_off) +
           (size_t)slot * board->worker_slots;
}

/* Where everything lies; returns the size of all. */
static uint64_t board_lay_out(struct board *board, uint32_t workers)
{
    uint64_t off = align_up(sizeof(*board), CACHE_LINE);

    board->worker_slots = workers;
    board->interp_slots = workers * BOARD_INTERPS_PER_WORKER;
    board->worker_off = off;
    off += (uint64_t)workers * sizeof(struct board_worker);
    board->interp_off = off;
    off += (uint64_t)board->interp_slots * sizeof(struct board_interp);
    board->steal_off = off;
    return align_up(off + (uint64_t)workers * workers * 2, CACHE_LINE);
}

static void board_empty(struct board *board)
{
    uint32_t i;

    for (i = 0; i < board->worker_slots; i++) {
        struct board_worker *worker = board_worker(board, i);

        worker->arena_fd = worker->doorbell_fd = -1;
        worker->file_in_fd = worker->file_out_fd = -1;
        worker->spool_memory_fd = worker->spool_file_fd = -1;
        worker->node = worker->llc = -1;
        board_steal_order(board, i)[0] = UINT16_MAX;
    }
    for (i = 0; i < board->interp_slots; i++)
        board_interp(board, i)->doorbell_fd = -1;
}

int board_new(struct board **ret_board, uint32_t workers, uint32_t arena_slots,
              uint32_t arena_chunks)
{
    struct board plan = {0};
    uint64_t bytes = board_lay_out(&plan, workers);
    struct board *board;
    int fd = memfd_create("gcorn-board", MFD_CLOEXEC);

    must(workers >= 1 && workers <= BOARD_WORKERS_MAX);
    if (fd < 0)
        return -errno;
    board = MAP_FAILED;
    if (ftruncate(fd, (off_t)bytes) == 0)
        board = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (board == MAP_FAILED) {
        int error = -errno;

        close(fd);
        return error;
    }
    *board = plan;
    board->magic = BOARD_MAGIC;
    board->bytes = bytes;
    board->arena_slots = arena_slots;
    board->arena_chunks = arena_chunks;
    board->board_fd = fd;
    board->error_log_fd = STDERR_FILENO;
    board->master_doorbell_fd = -1;
    memcpy(board->version, GCORN_VERSION, sizeof(GCORN_VERSION));
    board_empty(board);
    *ret_board = board;
    return 0;
}

int board_map(struct board **ret_board, int fd)
{
    struct board *board;
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size < (off_t)sizeof(*board))
        return -EINVAL;
    board = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED,
                 fd, 0);
    if (board == MAP_FAILED)
        return -errno;
    if (board->magic != BOARD_MAGIC || board->bytes != (uint64_t)st.st_size ||
        strncmp(board->version, GCORN_VERSION, sizeof(board->version)) != 0) {
        munmap(board, (size_t)st.st_size);
        return -EINVAL;
    }
    *ret_board = board;
    return 0;
}

void board_wake_master(const struct board *board)
{
    doorbell_ring(board->master_doorbell_fd);
}
