/* SPDX-License-Identifier: MIT */
#include "soft.h"

#include <poll.h>
#include <string.h>

#define LOOK_MS 100

struct soft_seat {
    unsigned long thread;
    uint64_t began_ns; /* 0: no request */
    const struct exchange *x;
    const struct board_interp *loop; /* NULL: the thread has requests */
    bool raised;
};

struct soft {
    const struct host *host;
    PyObject *exception; /* owned */
    uint64_t after_ns;
    bool stopping;
    uint32_t taken;
    uint32_t count;
    struct soft_seat seats[];
};

/* Once, until it comes round again. */
static bool is_stuck(const struct soft *soft, struct soft_seat *seat,
                     uint64_t now)
{
    bool stuck = board_loop_late_ns(seat->loop, now) > soft->after_ns;
    bool due = stuck && !seat->raised;

    seat->raised = seat->raised && stuck;
    return due;
}

/* Its response has not begun, so an answer can still be given. */
static bool is_due(const struct soft *soft, struct soft_seat *seat,
                   uint64_t now)
{
    if (seat->loop)
        return is_stuck(soft, seat, now);
    return seat->began_ns != 0 && !seat->raised && seat->x->status == 0 &&
           now > seat->began_ns + soft->after_ns;
}

static void look(struct soft *soft)
{
    uint64_t now = now_ns();

    for (uint32_t i = 0; i < soft->taken; i++) {
        struct soft_seat *seat = &soft->seats[i];

        if (!is_due(soft, seat, now))
            continue;
        seat->raised = true;
        PyThreadState_SetAsyncExc(seat->thread, soft->exception);
        log_warning("%s %llu s: TimeoutError is raised in it "
                    "(--timeout-soft)",
                    seat->loop ? "The event loop was held up for"
                               : "A request has taken",
                    (unsigned long long)(soft->after_ns / NS_PER_S));
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

/* The seconds after which it is raised; 0: never. */
static uint64_t seconds_of(const struct host *host)
{
    uint64_t timeout = host_number(host, "timeout", 0);
    uint64_t before = host_number(host, "timeout_soft", 0);

    return before > 0 && timeout > before ? timeout - before : 0;
}

struct soft *soft_start(const struct host *host, uint32_t threads)
{
    uint64_t seconds = seconds_of(host);
    struct soft *soft;

    if (seconds == 0)
        return NULL;
    soft = calloc(1, sizeof(*soft) + threads * sizeof(soft->seats[0]));
    if (!soft)
        return NULL;
    soft->host = host;
    soft->count = threads;
    soft->after_ns = seconds * NS_PER_S;
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

void soft_watch(struct soft *soft, const struct board_interp *loop)
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
    seat->began_ns = now_ns();
}

void soft_end(struct soft_seat *seat)
{
    if (likely(!seat))
        return;
    seat->began_ns = 0;
    /* Raised too late, it must not hit the next request. */
    if (seat->raised)
        PyThreadState_SetAsyncExc(seat->thread, NULL);
    seat->raised = false;
}
