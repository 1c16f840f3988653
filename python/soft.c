/* SPDX-License-Identifier: MIT */
#include "soft.h"

#include "core/board.h"
#include "core/board_interp.h"
#include "core/exchange.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#define LOOK_MS 100

struct soft_seat {
    unsigned long thread;
    const struct exchange *x;  /* NULL: no request */
    struct board_interp *loop; /* NULL: the thread has requests */
    bool seen;                 /* that it is late: raised at the next look */
    bool raised;
};

struct soft {
    const struct host *host;
    const struct board_interp *self;
    PyObject *exception; /* owned */
    uint64_t timeout_ns;
    bool stopping;
    uint32_t taken;
    uint32_t count;
    struct soft_seat seats[];
};

/* What a worker does for a request, nobody does for a loop. */
static void tell(const struct soft *soft, struct board_interp *loop,
                 uint64_t now)
{
    log_critical("WORKER TIMEOUT (pid:%d): the event loop was held up for "
                 "%llu s; TimeoutError is raised in it (--timeout-soft)",
                 (int)getpid(),
                 (unsigned long long)(soft->timeout_ns / NS_PER_S));
    atomic_store(&loop->late_ns, now);
    board_wake_master(soft->host->board);
}

/* One that beats while it has work is held up also if nobody has rung it. */
static uint64_t held_up_ns(const struct board_interp *loop, uint64_t now)
{
    uint64_t late = board_loop_late_ns(loop, now);
    uint64_t beat = atomic_load(&loop->beat_ns);

    if (!atomic_load(&loop->beats) || atomic_load(&loop->running) == 0)
        return late;
    return max_u64(late, now - min_u64(beat, now));
}

static bool loop_is_due(const struct soft *soft, struct soft_seat *seat)
{
    uint64_t now = now_ns();

    if (held_up_ns(seat->loop, now) < soft->timeout_ns) {
        seat->seen = seat->raised = false;
        return false;
    }
    if (!seat->seen)
        tell(soft, seat->loop, now);
    return !seat->raised;
}

/* A request's response has not begun, so an answer can still be given. */
static bool is_due(const struct soft *soft, struct soft_seat *seat)
{
    if (seat->loop)
        return loop_is_due(soft, seat);
    return seat->x && !seat->raised && seat->x->status == 0 &&
           atomic_load(&seat->x->flags) & EXCHANGE_LATE;
}

/* The master has the stacks written first; the signal may be on its way. */
static void look(struct soft *soft)
{
    if (atomic_load(&soft->self->late_ns) != 0)
        return;
    for (uint32_t i = 0; i < soft->taken; i++) {
        struct soft_seat *seat = &soft->seats[i];

        if (!is_due(soft, seat))
            continue;
        if (seat->seen) {
            seat->raised = true;
            PyThreadState_SetAsyncExc(seat->thread, soft->exception);
        }
        seat->seen = true;
    }
}

/* What threading.Thread calls; self is a capsule of the struct soft. */
static PyObject *watch(PyObject *self, PyObject *unused)
{
    struct soft *soft = PyCapsule_GetPointer(self, NULL);

    (void)unused;
    while (!soft->stopping) {
        Py_BEGIN_ALLOW_THREADS poll(NULL, 0, LOOK_MS);
        Py_END_ALLOW_THREADS look(soft);
    }
    Py_RETURN_NONE;
}

static PyMethodDef watch_method = {"watch", watch, METH_NOARGS, NULL};

static bool thread_start(struct soft *soft)
{
    owned PyObject *self = PyCapsule_New(soft, NULL, NULL);
    owned PyObject *go = self ? PyCFunction_New(&watch_method, self) : NULL;

    return go && loader_start_thread(&soft->host->loader, go);
}

struct soft *soft_start(const struct host *host,
                        const struct board_interp *self, uint32_t threads)
{
    uint64_t timeout = host_number(host, "timeout", 0);
    struct soft *soft;

    if (timeout == 0 || host_number(host, "timeout_soft", 0) == 0)
        return NULL;
    soft = calloc(1, sizeof(*soft) + threads * sizeof(soft->seats[0]));
    if (!soft)
        return NULL;
    soft->host = host;
    soft->self = self;
    soft->count = threads;
    soft->timeout_ns = timeout * NS_PER_S;
    soft->exception = Py_NewRef(loader_request_timeout(&host->loader));
    if (thread_start(soft))
        return soft;
    Py_CLEAR(soft->exception);
    free(soft);
    return NULL;
}

/* The thread sees it at its next look; what it reads is never freed. */
void soft_stop(struct soft *soft)
{
    if (soft)
        soft->stopping = true;
}

struct soft_seat *soft_enter(struct soft *soft)
{
    struct soft_seat *seat;

    if (!soft || soft->taken == soft->count)
        return NULL;
    seat = &soft->seats[soft->taken++];
    seat->thread = PyThread_get_thread_ident();
    return seat;
}

void soft_watch(struct soft *soft, struct board_interp *loop)
{
    struct soft_seat *seat = soft_enter(soft);

    if (seat)
        seat->loop = loop;
}

void soft_begin(struct soft_seat *seat, const struct exchange *x)
{
    if (likely(!seat))
        return;
    seat->x = x;
}

void soft_end(struct soft_seat *seat)
{
    if (likely(!seat))
        return;
    seat->x = NULL;
    /* Raised too late, it must not hit the next request. */
    if (seat->raised)
        PyThreadState_SetAsyncExc(seat->thread, NULL);
    seat->seen = seat->raised = false;
}
