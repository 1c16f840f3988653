/* SPDX-License-Identifier: MIT */
/*
 * board_interp - an interpreter's place on the board: how it is, and how its
 * threads, or its event loop, sleep and are woken. "W:" names who may write.
 */
#ifndef GCORN_CORE_BOARD_INTERP_H
#define GCORN_CORE_BOARD_INTERP_H

#include "base.h"

#define BOARD_THREADS_MAX 256 /* of one interpreter */

/* An interpreter writes the Python stacks of all its threads to the error log
 * when it gets this, even if it is stuck. Needs <signal.h>. */
#define BOARD_STACKS_SIGNAL (SIGRTMIN + 6)

/*
 * EMPTY -> STARTING (master, before the fork) -> SERVING (interpreter, the
 * application is loaded) -> RETIRING (interpreter: max_requests reached, still
 * serving) -> DRAINING (master: take no more, finish, exit) -> DEAD (master,
 * reaped) -> EMPTY (master, when every worker has swept its arena).
 */
enum board_interp_state {
    BOARD_INTERP_EMPTY,
    BOARD_INTERP_STARTING,
    BOARD_INTERP_SERVING,
    BOARD_INTERP_RETIRING,
    BOARD_INTERP_DRAINING,
    BOARD_INTERP_DEAD,
};

struct board_interp {
    /* made by the master before the first fork, then constant: an eventfd
     * that an event loop watches, or -1 */
    int32_t doorbell_fd;
    /* W: interpreter, before it serves: woken by the doorbell, not by bells */
    _Atomic uint32_t by_doorbell;
    _Atomic uint64_t rung_ns; /* W: whoever rings that doorbell: when */
    /* Bit t: thread t sleeps. W: the thread, and whoever wakes it */
    cache_aligned _Atomic uint64_t asleep[BOARD_THREADS_MAX / 64];
    /* W: master and interpreter as drawn above */
    cache_aligned _Atomic uint32_t state; /* enum board_interp_state */
    _Atomic int32_t pid;                  /* W: template */
    _Atomic uint64_t death_epoch;         /* W: master */
    _Atomic uint64_t stuck_ns; /* W: worker: since when a request is overdue */
    /* W: worker: a request is late, its stacks are wanted; master, 0: they
     * are in the log */
    _Atomic uint64_t late_ns;
    /* W: interpreter */
    cache_aligned _Atomic uint64_t busy_since_ns; /* last start; 0: idle */
    _Atomic uint64_t requests;
    _Atomic uint64_t cpu_ns;   /* of requests answered, thread CPU time */
    _Atomic uint32_t running;  /* requests in progress */
    _Atomic uint32_t threads;  /* how many can run at once */
    _Atomic int32_t exit_code; /* why it means to exit: 3, 4, or 0 */
    _Atomic uint32_t beds;     /* thread numbers given out */
    _Atomic uint32_t full;     /* an event loop takes no more at present */
    _Atomic uint64_t beat_ns;  /* an event loop was last seen to turn */
    _Atomic uint32_t beats;    /* ... and is each second while it has work */
    _Atomic uint64_t lag_ns;   /* how late its turns are, moving average */
    /* Futexes. W: the thread (0, before it sleeps), whoever wakes it (1) */
    cache_aligned _Atomic uint32_t bell[BOARD_THREADS_MAX];
    /* W: a worker (1: it has offered something), the event loop (0) */
    cache_aligned _Atomic uint32_t called;
};

/* An interpreter in this state takes requests. */
static inline bool board_interp_serves(uint32_t state)
{
    return state == BOARD_INTERP_SERVING || state == BOARD_INTERP_RETIRING;
}

/* Wakes one sleeping thread; false when none sleeps. */
bool board_wake_interp(struct board_interp *interp);

uint32_t board_sleepers(const struct board_interp *interp);

/* Tells an event loop that it was offered something; wakes it. */
void board_call(struct board_interp *interp);

/* For how long one that is awake has not come round; 0: it waits. */
uint64_t board_loop_late_ns(const struct board_interp *interp, uint64_t now);

/* That, or how late it is on average. */
uint64_t board_loop_lag_ns(const struct board_interp *interp, uint64_t now);

/*
 * A thread of an interpreter: takes a bed once; then, to wait: lies down,
 * looks for work once more, sleeps until woken (a second at most, in case
 * whoever was about to wake it died), gets up.
 */
uint32_t board_bed(struct board_interp *interp);
void board_lie_down(struct board_interp *interp, uint32_t bed);
void board_sleep(struct board_interp *interp, uint32_t bed);
void board_get_up(struct board_interp *interp, uint32_t bed);
#endif
