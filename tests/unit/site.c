/* SPDX-License-Identifier: MIT */
#include "site.h"

#include "core/arena.h"
#include "core/board_worker.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static int memory(const char *name)
{
    int fd = memfd_create(name, 0);

    must(fd >= 0);
    return fd;
}

static int spool_file(void)
{
    char path[] = "/tmp/gcorn-test-XXXXXX";
    int fd = mkstemp(path);

    must(fd >= 0);
    unlink(path);
    return fd;
}

struct board *site_new(uint32_t workers, uint32_t slots, uint32_t chunks)
{
    struct board *board;
    uint32_t i;

    must(board_new(&board, workers, slots, chunks) == 0);
    board->master_doorbell_fd = eventfd(0, EFD_NONBLOCK);
    board->master_pid = getpid();
    for (i = 0; i < workers; i++) {
        struct board_worker *worker = board_worker(board, i);
        uint16_t *order = board_steal_order(board, i);
        uint32_t other, n = 0;
        int pair[2];

        worker->arena_fd = memory("arena");
        must(arena_format(worker->arena_fd, slots, chunks) == 0);
        worker->doorbell_fd = eventfd(0, 0);
        must(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
        worker->file_out_fd = pair[0];
        worker->file_in_fd = pair[1];
        worker->spool_memory_fd = memory("spool");
        worker->spool_file_fd = spool_file();
        for (other = 0; other < workers; other++)
            if (other != i)
                order[n++] = (uint16_t)other;
        if (n < workers)
            order[n] = UINT16_MAX;
    }
    atomic_store(&board->worker_count, workers);
    return board;
}

void site_free(struct board *board)
{
    uint32_t i;

    for (i = 0; i < board->worker_slots; i++) {
        struct board_worker *worker = board_worker(board, i);

        close(worker->arena_fd);
        close(worker->doorbell_fd);
        close(worker->file_in_fd);
        close(worker->file_out_fd);
        close(worker->spool_memory_fd);
        close(worker->spool_file_fd);
    }
    close(board->master_doorbell_fd);
    close(board->board_fd);
    munmap(board, board->bytes);
}

int site_listener(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    must(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
    return fd;
}
