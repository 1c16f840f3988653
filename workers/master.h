/* SPDX-License-Identifier: MIT */
/*
 * master - the process that starts and watches all others. It never runs
 * Python and never reads from a client.
 *
 * One loop: something happened (a signal, a doorbell, a word from a template,
 * a deadline), then everything is *settled*: each part looks at what is and
 * at what should be, and does the next step. No step waits. The steps are in
 * worker_slot.c, interp.c, generation.c and stop.c; all state is in here.
 */
#ifndef GCORN_WORKERS_MASTER_H
#define GCORN_WORKERS_MASTER_H

#include "core/board.h"
#include "workers/config.h"
#include "workers/daemon.h"
#include "workers/listener.h"
#include "workers/live.h"
#include "workers/roll.h"
#include "workers/logs.h"
#include "workers/notify.h"
#include "workers/placement.h"
#include "workers/pyhost.h"
#include "workers/queues.h"
#include "workers/reload.h"
#include "workers/rollout.h"
#include "workers/title.h"
#include "workers/upgrade.h"

#include <signal.h>

enum master_phase {
    MASTER_SERVING,
    MASTER_DRAINING, /* workers finish what is there; no new connections */
    MASTER_LEAVING,  /* no worker is left; interpreters and templates go */
    MASTER_GONE,
};

/* A worker slot. EMPTY -> OPEN, or STANDING_IN -> (RETIRING ->) EMPTY. */
enum worker_slot_state {
    WORKER_SLOT_EMPTY,
    WORKER_SLOT_OPEN,        /* has sockets, and should have a process */
    WORKER_SLOT_STANDING_IN, /* its process has another slot's: rollout.h */
    WORKER_SLOT_RETIRING,    /* its process finishes what it has */
};

struct worker_slot {
    enum worker_slot_state state;
    pid_t pid; /* 0: none */
    uint64_t started_ns;
    uint64_t retry_ns; /* not started again before */
    uint64_t kill_ns;  /* 0: not to be killed */
    uint32_t failures; /* quick deaths in a row */
    uint32_t serial;   /* of the settings that the process has */
    bool replaced;     /* the process drains, another one will follow */
    bool stands_in;    /* or did so until it retired */
    uint32_t stands_for;
    /* of the interpreters at home here */
    uint64_t interp_retry_ns;
    uint32_t interp_failures;
    bool verified; /* verify.c: the process was looked at */
};

/* What the master knows of an interpreter beside its place on the board. */
struct interp {
    uint32_t generation;
    uint32_t age; /* the how many'th this master started */
    uint64_t started_ns;
    uint64_t serving_ns; /* when first seen serving; 0: not yet */
    uint64_t kill_ns;    /* 0: not to be killed */
    uint64_t stuck_ns;   /* when it was found stuck; 0: it is not */
    uint64_t stopped_ns; /* since when it is stopped (SIGSTOP); 0: it runs */
    bool killed;         /* by us: its death needs no alarm */
    bool late;           /* killed because it did not load in time */

    /* audit.c */
    uint64_t memory_bytes;       /* at the last look; 0: not yet */
    uint64_t memory_first_bytes; /* when it began to serve */
    bool memory_alarmed;         /* the log knows that it is large */
    bool verified;               /* verify.c: it was looked at */
};

/* A template process: the application's code as of one generation. */
struct template
{
    pid_t pid;       /* 0: none */
    int fd;          /* our end of its socket, or -1 */
    bool configured; /* it has run the configuration file */
    bool told;       /* the settings that count: GO */
    bool ready;
    bool quitting;
    bool late; /* killed because it did not load in time */
    uint32_t generation;
    uint64_t started_ns;
    uint64_t retry_ns;
    uint64_t kill_ns;
    uint32_t failures;
    /*
     * What a reload read, and this template was told; NULL: master->config.
     * It belongs to the template and goes with it.
     */
    struct config *config;
};

/* What a master is started for. */
struct master_task {
    struct launch *launch;      /* NULL: nobody handed anything over */
    struct daemon *daemon;      /* NULL: it stays in the foreground */
    struct placement_need need; /* what a worker takes, where it was measured */
    bool checks_only;           /* load the application once */
    int ready_fd; /* a struct master_ready is written there, or -1 */
};

/* The settings that a trial found, also in the configuration file. */
struct master_asked {
    uint64_t workers;
    uint64_t max_requests;
    bool preload_app;
    char application[128];
};

/* The first interpreter serves. */
struct master_ready {
    pid_t worker;
    pid_t interp;
    pid_t template;
    struct master_asked asked;
};

struct observer;
struct crowd_hall;

struct master {
    struct config *config;
    struct master_asked asked; /* of a trial, which then has one worker */
    const struct config_input *input;
    const struct title *title;
    const char *name; /* in titles */
    struct board *board;
    const struct master_task *task;
    struct launch *launch;
    struct daemon *daemon;
    struct placement placement;
    struct pyhost host;
    struct owner owner;
    struct listener listeners[BOARD_LISTENERS_MAX];
    uint32_t listener_count;
    struct logs logs;
    int signal_fd;
    int epoll_fd;
    uint64_t now; /* of this turn */
    uint64_t due; /* when to settle again at the latest */

    enum master_phase phase;
    bool quick;       /* stopping without patience */
    uint64_t stop_ns; /* when patience ends */
    int exit_code;
    const char *reason; /* of a stop that is a failure, or NULL */

    uint32_t wanted;  /* workers */
    bool paused;      /* by WINCH: none, until HUP */
    bool checks_only; /* --check-config: no workers, no sockets */
    bool ever_served;
    uint64_t stacks_ns;   /* no process is asked for its stacks before */
    uint32_t boot_deaths; /* by signal, before anything served */
    struct worker_slot *slots;
    struct interp *interps;
    /* current: what serves; trial: a reload that has not proved itself. */
    struct template current;
    struct template trial;
    struct template retired;  /* not needed any more, or soon not */
    struct live *live;        /* what workers read after a reload */
    struct crowd_hall *crowd; /* connections by address; NULL: no limit */
    struct roll roll;         /* who is connected, when somebody asks */
    struct upgrade upgrade;
    struct queues queues;
    struct rollout rollout;
    struct notify notify;
    struct reload reload; /* the last one, and what became of it */
    uint32_t generations; /* so far */
    uint64_t audit_ns;    /* when memory is looked at again */
    uint32_t interps_started;
    uint32_t moved_home;       /* where one was last replaced in good order */
    struct observer *observer; /* NULL: nobody may ask */
    uint64_t replan_ns;        /* when limits are */
    bool templates_quit;
    uint32_t workers_told; /* to the hook nworkers_changed */
    bool board_given;      /* to the first template, which came before it */
    uint64_t advice_ns;    /* when threads are spoken of again */
    uint32_t threads_told; /* in the log so far */
};

/*
 * Serves until told to stop, or with check_config loads the application once.
 * Returns the exit code.
 */
int master_run(struct config *config, const struct config_input *input,
               const struct title *title, const struct master_task *task);

/* 0 for the first failure, then 100 ms doubling up to 5 s. */
uint64_t master_backoff_ns(uint32_t failures);

/* The loop turns again at this time, if not before. */
static inline void master_wake_at(struct master *master, uint64_t when)
{
    master->due = min_u64(master->due, when);
}

/* Seconds of a setting as the time it ends. */
uint64_t master_deadline(const struct master *master, uint64_t seconds);
#endif
