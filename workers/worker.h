/* SPDX-License-Identifier: MIT */
/*
 * worker - the worker process: one ring, one arena, connections. Runs in a
 * child that the master forked, already pinned and with its user set; never
 * runs Python. Returns the exit code when drained or told to quit.
 */
#ifndef GCORN_WORKERS_WORKER_H
#define GCORN_WORKERS_WORKER_H

#include "core/board.h"
#include "core/conn.h"
#include "workers/live.h"
#include "workers/roll.h"
#include "workers/logs.h"

struct worker_spec {
    struct board *board;
    uint32_t slot;
    int listen_fd[BOARD_LISTENERS_MAX]; /* -1: none; index as board->listener */
    struct ring_config ring;
    struct conn_config conn;
    struct access_config access;
    struct logs *logs; /* opened anew on BOARD_COMMAND_REOPEN */
    uint32_t graceful_timeout_ms;
    const struct live *live; /* newer settings than these; NULL: never */
    uint32_t live_serial;    /* these */
    struct roll *roll;       /* who is connected; NULL: nobody asks */
};

/* The exit code of the process: 0 drained, 1 could not start. */
int worker_run(const struct worker_spec *spec);
#endif
