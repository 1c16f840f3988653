/* SPDX-License-Identifier: MIT */
/*
 * board - the scoreboard: one shared memory that every process of a gcorn
 * maps. It says who is there (workers, interpreters), how to wake them, and
 * which descriptors to use.
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
#include "bytes.h"

#define BOARD_INTERPS_PER_WORKER 4
#define BOARD_WORKERS_MAX 1024
#define BOARD_THREADS_MAX 256 /* of one interpreter */
#define BOARD_LISTENERS_MAX 16

/* An interpreter writes the Python stacks of all its threads to the error log
 * when it gets this, even if it is stuck. Needs <signal.h>. */
#define BOARD_STACKS_SIGNAL (SIGRTMIN + 6)

enum board_worker_state {
    BOARD_WORKER_EMPTY,
    BOARD_WORKER_STARTING,
    BOARD_WORKER_SERVING,
    BOARD_WORKER_DRAINING,
    BOARD_WORKER_DEAD,
};

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

/* How a worker is woken. */
enum board_sleep {
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
    cache_aligned _Atomic uint32_t sleeping; /* enum board_sleep; futex */
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

void board_wake_master(const struct board *board);

/* An interpreter in this state takes requests. */
static inline bool board_interp_serves(uint32_t state)
{
    return state == BOARD_INTERP_SERVING || state == BOARD_INTERP_RETIRING;
}
#endif
