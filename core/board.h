/* SPDX-License-Identifier: MIT */
/*
 * board - the scoreboard: one shared memory that every process of a gcorn
 * maps. It says who is there, how to wake them, and which descriptors to use:
 * a place for each worker (board_worker.h) and interpreter (board_interp.h).
 *
 * The master makes it, with every eventfd, memfd and socket pair in it, before
 * the first fork; descriptor numbers are therefore the same in all processes.
 * "W:" names who may write a field after that. Interpreter slots
 * BOARD_INTERPS_PER_WORKER * w ... belong to worker slot w, so that a
 * replacement can start while its predecessor still finishes.
 *
 * It does not hold requests: see exchange.h.
 */
#ifndef GCORN_CORE_BOARD_H
#define GCORN_CORE_BOARD_H

#include "base.h"

struct board_worker;
struct board_interp;

#define BOARD_INTERPS_PER_WORKER 4
#define BOARD_WORKERS_MAX 1024
#define BOARD_LISTENERS_MAX 16

/* The address a listening socket was bound to, for SERVER_NAME and logs. */
struct board_listener {
    uint16_t family; /* AF_INET, AF_INET6, AF_UNIX */
    uint16_t port;
    uint8_t secure;
    char host[109]; /* numeric address or socket path, NUL-terminated */
    uint8_t uwsgi;  /* speaks uwsgi, not HTTP */
};

struct board {
    uint64_t magic;
    uint64_t bytes;
    char version[16]; /* GCORN_VERSION: a host of another build is refused */
    uint32_t worker_slots;
    uint32_t interp_slots; /* worker_slots * BOARD_INTERPS_PER_WORKER */
    uint32_t arena_slots;  /* exchanges in each arena */
    uint32_t arena_chunks;
    int32_t board_fd;
    int32_t error_log_fd;
    int32_t master_doorbell_fd;
    int32_t master_pid;
    uint32_t cpu_every; /* requests whose CPU time is measured; 0: none */
    uint32_t listeners;
    struct board_listener listener[BOARD_LISTENERS_MAX];
    /* W: interpreters: those that serve take requests before their bodies */
    _Atomic uint32_t streams;
    _Atomic uint32_t loops; /* W: interpreters: there are event loops */
    /* W: master */
    cache_aligned _Atomic uint64_t death_epoch; /* interpreters died so far */
    _Atomic uint32_t accept_epoch; /* changes: workers look for connections */
    _Atomic uint32_t worker_count; /* slots 0.. in service */
    _Atomic uint32_t draining;
    _Atomic uint32_t epoll_said;    /* W: worker: why is in the log */
    _Atomic uint32_t reload_wanted; /* W: an interpreter: code has changed */
    _Atomic uint32_t template_up;   /* new interpreters can be forked */
    uint64_t steal_off;             /* uint16_t[worker_slots][worker_slots] */
    uint64_t worker_off;            /* struct board_worker[] */
    uint64_t interp_off;            /* struct board_interp[] */
};

/*
 * Master: makes the memory with all slots empty; descriptors are -1 until
 * filled in. Returns 0 or -errno. The memfd is in board->board_fd, CLOEXEC.
 */
int board_new(struct board **ret_board, uint32_t workers, uint32_t arena_slots,
              uint32_t arena_chunks);

/* Another process: maps it and checks magic, version, size. 0 or -errno. */
int board_map(struct board **ret_board, int fd);

struct board_worker *board_worker(const struct board *board, uint32_t slot);
struct board_interp *board_interp(const struct board *board, uint32_t slot);

/* Descriptors of a worker that its interpreters use, in the order in which the
 * master sends them: see core/template.h. */
#define BOARD_WORKER_FILES (5 + BOARD_INTERPS_PER_WORKER)
void board_worker_files(const struct board *board, uint32_t slot,
                        int out[BOARD_WORKER_FILES]);

static inline uint32_t board_home(uint32_t interp_slot)
{
    return interp_slot / BOARD_INTERPS_PER_WORKER;
}

/*
 * The other workers of `slot`, nearest first (same L3, same node, anywhere):
 * worker_slots entries, ended by UINT16_MAX when shorter. Master fills it.
 */
uint16_t *board_steal_order(const struct board *board, uint32_t slot);

void board_wake_master(const struct board *board);
#endif
