/* SPDX-License-Identifier: MIT */
/*
 * interp - supervision of the interpreters: each worker slot in service has
 * one that serves the current generation of the code.
 *
 * An interpreter that has to go (max_requests, a reload, its worker retired)
 * serves on until its replacement serves; only then it drains. One that is
 * stuck or dead is replaced at once. Planned replacements happen one at a
 * time in the whole server, so that a reload never doubles its memory.
 */
#ifndef GCORN_WORKERS_INTERP_H
#define GCORN_WORKERS_INTERP_H

#include "workers/master.h"

/* What one home has; of the four places that interpreters have there. */
struct interp_view {
    uint32_t starting;
    uint32_t fresh;   /* serve the wanted generation and mean to stay */
    uint32_t leaving; /* serve, but are to be replaced */
    uint32_t places;  /* free */
    bool in_service;  /* the home should have an interpreter */
    bool may_start;   /* not waiting after a failure; a template is ready */
    bool others_move; /* another home is replacing one just now */
};

enum interp_step {
    INTERP_NOTHING,
    INTERP_START,
    INTERP_DRAIN_LEAVING,
    INTERP_DRAIN_OLDER, /* all that leave have successors, but the last */
    INTERP_DRAIN_ALL,
};

/* Pure: the next step for a home. */
enum interp_step interp_decide(const struct interp_view *view);

/* Looks at all of them and does what is next. */
void interp_settle(struct master *master);

/* A child ended. False when it was no interpreter. */
bool interp_on_exit(struct master *master, pid_t pid, int status);

/*
 * A child was stopped, or goes on. Stopped for as long as a request may take,
 * it is stuck, though no request of its own is overdue.
 */
void interp_on_stop(struct master *master, pid_t pid, bool stopped);

/* A template died or was given up: what it had not yet forked is not coming. */
void interp_forget_orders(struct master *master, uint32_t generation);

/* Tells one, or all, to finish and leave by the deadline (monotonic ns). */
void interp_drain(struct master *master, uint32_t slot, uint64_t kill_ns);
void interp_drain_all(struct master *master, uint64_t kill_ns);

/* The signal to all, or to those of one generation that are still starting. */
void interp_signal_all(struct master *master, int signal);
void interp_kill_starting(struct master *master, uint32_t generation);

uint32_t interp_alive(const struct master *master);

/* How many are left of earlier generations. */
uint32_t interp_older(const struct master *master, uint32_t generation);

/* Does one serve that was forked from this generation? */
bool interp_serves(const struct master *master, uint32_t generation);
#endif
