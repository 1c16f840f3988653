/* SPDX-License-Identifier: MIT */
/*
 * rollout - settings that a worker process has from its start to its end have
 * changed: the processes are replaced, one after the other, and no connection
 * waits for that.
 *
 *   slot i:      old process serves ------> drains -> (ends) new process serves
 *   a free slot:          stand-in serves, from the same sockets ----> drains
 *
 * A slot's memory and its interpreters belong to one process at a time, so a
 * stand-in bridges the moment between two: it has the sockets of slot i, but
 * memory of its own and no interpreter; those of the others take its requests.
 * Which settings a process was started with is told by a serial number.
 *
 * The first stand-in is the first to try the new settings. If it can't start,
 * the old ones are put in force again, and the reload has failed.
 */
#ifndef GCORN_WORKERS_ROLLOUT_H
#define GCORN_WORKERS_ROLLOUT_H

#include "core/base.h"

struct config;
struct master;

struct rollout {
    uint32_t serial;     /* of the settings in force */
    bool active;         /* some process has older ones */
    bool proved;         /* a process has started with these */
    uint64_t retry_ns;   /* no stand-in is started before */
    uint32_t failures;   /* of stand-ins, in a row */
    struct config *from; /* the settings before; ours */
};

/* New settings are in force. Takes the old ones. */
void rollout_begin(struct master *master, struct config *from);

/* The next step. */
void rollout_settle(struct master *master);
void rollout_done(struct master *master);

/* A process starts in this slot: with which settings? */
uint32_t rollout_serial(const struct master *master, uint32_t slot);

/* A stand-in has died before its time. */
void rollout_on_death(struct master *master, uint32_t slot);
#endif
