/* SPDX-License-Identifier: MIT */
/*
 * observer - the part of the master that answers questions: its views of the
 * workers' arenas (to read), the admin listener and the control socket.
 *
 * Belongs to the master, and is there only when one of the two is asked for.
 */
#ifndef GCORN_WORKERS_OBSERVER_H
#define GCORN_WORKERS_OBSERVER_H

#include "core/exchange.h"
#include "workers/census.h"
#include "workers/control_path.h"
#include "workers/gate.h"
#include "workers/master.h"

/* Places in the census: these, then worker slots, then interpreter slots. */
enum {
    OBSERVER_PLACE_MASTER,
    OBSERVER_PLACE_TEMPLATE,
    OBSERVER_PLACES,
};

/* The control socket. The path is the one wanted, or one of our own when
 * another master has that. */
struct control_socket {
    struct listener listener;
    char wanted[CONTROL_PATH_MAX];
    uint64_t look_ns; /* when to see whether the wanted path is free; 0: ours */
};

struct observer {
    struct master *master;
    struct arena *arenas;  /* one for each worker slot */
    struct census *census; /* of all processes, by OBSERVER_PLACE_ */
    double started;        /* seconds since 1970 */
    uint64_t started_ns;
    struct listener admin_listener;
    struct gate admin;
    uint64_t admin_retry_ns; /* when to try to listen again; 0: it does */
    struct control_socket control_socket;
    struct gate control;
};

/* Opens what the settings ask for. Returns 0, or -EINVAL with a message. */
int observer_open(struct master *master, struct config_error *error);

/* Answers who asked. */
void observer_turn(struct master *master);

/* When to turn again. */
void observer_settle(struct master *master);

/* In a child that goes on: its descriptors are not the child's. */
void observer_forget(const struct master *master);

void observer_close(struct master *master);

/* Of one worker. */
static inline const struct stats *observer_stats(
    const struct observer *observer, uint32_t slot)
{
    return &observer->arenas[slot].header->stats;
}

/* Exchanges of the worker that hold no request. */
uint32_t observer_exchanges_free(const struct observer *observer,
                                 uint32_t slot);
uint32_t observer_chunks_free(const struct observer *observer, uint32_t slot);

/* Bytes of memory that the process has in RAM, shared ones too; 0: gone. */
uint64_t observer_resident_bytes(pid_t pid);

/* Its part of memory, shared pages divided among those who have them; 0: not
 * known (yet). census_begin() comes before. */
uint64_t observer_worker_pss(const struct observer *observer, uint32_t slot);
uint64_t observer_interp_pss(const struct observer *observer, uint32_t slot);

/* Connections not yet accepted, or -1 where the kernel does not say. */
int64_t observer_listen_queue(const struct listener *listener, uint32_t slot);
#endif
