/* SPDX-License-Identifier: MIT */
/*
 * worker_slot - supervision of the worker processes: as many as wanted, each
 * started again at once on the same sockets and arena when it dies; more with
 * TTIN, fewer with TTOU.
 */
#ifndef GCORN_WORKERS_WORKER_SLOT_H
#define GCORN_WORKERS_WORKER_SLOT_H

#include "core/board_worker.h"
#include "workers/master.h"

/* Opens, starts, retires and closes slots, as wanted. */
void worker_slot_settle(struct master *master);

/* A child ended. False when it was no worker. */
bool worker_slot_on_exit(struct master *master, pid_t pid, int status);

/* One more or one less, within what there is room for. */
void worker_slot_scale(struct master *master, int by);

/* The slot whose sockets its process has: its own, unless it stands in. */
uint32_t worker_slot_sockets(const struct master *master, uint32_t slot);

/* No workers at all, while the sockets stay open; or as many as before. */
void worker_slot_pause(struct master *master, bool pause);

/* A command to all that run. DRAIN and QUIT are not taken back by REOPEN. */
void worker_slot_command_all(struct master *master, enum board_command what);

/* Its process finishes what it has, within graceful_timeout. */
void worker_slot_drain(struct master *master, uint32_t slot);

/* A process in a slot that is empty accepts from another slot's sockets. */
void worker_slot_stand_in(struct master *master, uint32_t slot,
                          uint32_t stands_for);
void worker_slot_retire_stand_in(struct master *master, uint32_t slot);

void worker_slot_kill_all(const struct master *master);
uint32_t worker_slot_alive(const struct master *master);
#endif
