/* SPDX-License-Identifier: MIT */
/*
 * board_worker - a worker's place on the board: how it is, how to wake it, and
 * the descriptors that it shares with interpreters. "W:" names who may write.
 */
#ifndef GCORN_CORE_BOARD_WORKER_H
#define GCORN_CORE_BOARD_WORKER_H

#include "base.h"

enum board_worker_state {
    BOARD_WORKER_EMPTY,
    BOARD_WORKER_STARTING,
    BOARD_WORKER_SERVING,
    BOARD_WORKER_DRAINING,
    BOARD_WORKER_DEAD,
};

/* How a worker is woken. */
enum board_waking {
    BOARD_AWAKE,
    BOARD_ASLEEP, /* in its ring: by the doorbell */
    BOARD_DOZING, /* not in its ring: by the futex */
};

/* What the master wants of a worker; read when its doorbell rings. */
enum board_command {
    BOARD_COMMAND_NONE,
    BOARD_COMMAND_DRAIN,  /* accept what is queued, finish, exit 0 */
    BOARD_COMMAND_QUIT,   /* exit now */
    BOARD_COMMAND_REOPEN, /* log files were reopened */
};

struct board_worker {
    /* made by the master before the first fork, then constant */
    int32_t arena_fd;
    int32_t doorbell_fd;     /* eventfd, never read: polled by the ring */
    int32_t file_out_fd;     /* interpreters send descriptors of files here */
    int32_t file_in_fd;      /* the worker receives them here */
    int32_t spool_memory_fd; /* bodies up to EXCHANGE_SPOOL_MEMORY_BYTES */
    int32_t spool_file_fd;   /* larger ones; unlinked */
    /* W: master; for whoever starts interpreters */
    int32_t node; /* NUMA node of arena and interpreters, or -1 */
    int32_t llc;
    /* W: whoever rings it and the worker */
    cache_aligned _Atomic uint32_t sleeping; /* enum board_waking; futex */
    /* W: master */
    cache_aligned _Atomic uint32_t command; /* enum board_command */
    _Atomic int32_t pid;
    _Atomic uint32_t starts; /* how often a process was started here */
    /* W: worker (state also master) */
    cache_aligned _Atomic uint32_t state; /* enum board_worker_state */
    _Atomic uint64_t heartbeat_ns;
    _Atomic uint64_t swept_epoch; /* interpreters dead by then are swept */
    _Atomic uint32_t connections;
    _Atomic uint32_t ready;   /* about: requests waiting */
    _Atomic uint32_t running; /* about: requests in interpreters */
};

/* Rings a worker if it sleeps. */
void board_wake_worker(struct board_worker *worker);

static inline bool board_dozes(const struct board_worker *worker)
{
    return atomic_load_explicit(&worker->sleeping, memory_order_relaxed) ==
           BOARD_DOZING;
}

/*
 * Worker: sleeps until woken, at most ns, deaf to its ring. It has set
 * sleeping to BOARD_DOZING and looked for work after that.
 */
void board_doze(struct board_worker *worker, uint64_t ns);
#endif
