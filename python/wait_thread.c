/* SPDX-License-Identifier: MIT */
#include "wait_thread.h"

#include <string.h>

#include "quota.h"
#include "signals.h"
#include "soft.h"
#include "core/board.h"
#include "core/board_interp.h"
#include "core/exchange_take.h"
#include "core/exchange_writer.h"

/* Reading the CPU clock is a system call: not for each request. */
#define CPU_EVERY 16

/* What the threads of the interpreter share, under the GIL. */
struct waiter {
    struct host *host;
    struct wsgi *wsgi;
    struct board_interp *self;
    uint32_t interp;
    struct soft *soft;     /* NULL: no soft timeouts */
    uint64_t max_requests; /* UINT64_MAX: no limit */
};

bool wait_thread_count(const struct host *host, uint32_t *ret_threads,
                       bool *ret_in_main)
{
    const char *name = host_text(host, "worker_class");
    uint64_t threads = max_u64(host_number(host, "threads", 1), 1);
    bool is_sync = !*name || strcmp(name, "sync") == 0;

    if (!is_sync && strcmp(name, "gthread") != 0)
        return false;
    *ret_threads = is_sync ? 1 : (uint32_t)threads;
    *ret_in_main = is_sync;
    return true;
}

static bool serves(const struct waiter *waiter)
{
    return board_interp_serves(
        atomic_load_explicit(&waiter->self->state, memory_order_relaxed));
}

/* The field has one writer at a time, who has the GIL. */
static uint64_t add(_Atomic uint64_t *to, uint64_t n)
{
    uint64_t sum = atomic_load_explicit(to, memory_order_relaxed) + n;

    atomic_store_explicit(to, sum, memory_order_relaxed);
    return sum;
}

static void count_request(const struct waiter *waiter, uint64_t *cpu_ns)
{
    uint64_t requests = quota_count(waiter->host, waiter->self,
                                    waiter->max_requests);

    if (requests % CPU_EVERY == 0) {
        uint64_t now = thread_cpu_ns();

        add(&waiter->self->cpu_ns, now - *cpu_ns);
        *cpu_ns = now;
    }
}

static void log_unless_exit(const struct waiter *waiter)
{
    if (PyErr_ExceptionMatches(PyExc_SystemExit) ||
        PyErr_ExceptionMatches(PyExc_KeyboardInterrupt))
        PyErr_Clear();
    else
        loader_log_exception(&waiter->host->loader,
                             "Exception in a signal handler");
}

static void sleep_one(const struct waiter *waiter,
                      struct exchange_thread *thread)
{
    Py_BEGIN_ALLOW_THREADS exchange_sleep(thread);
    Py_END_ALLOW_THREADS
        /* Only the main thread runs handlers; in others this does nothing. */
        if (PyErr_CheckSignals() < 0)
    {
        log_unless_exit(waiter);
        signals_drain(waiter->self);
    }
}

/*
 * While requests are ready the GIL is kept between them: other threads get it
 * by Python's own switch interval, and a hand-over for each request would
 * cost more than most requests do.
 */
static void serve(const struct waiter *waiter)
{
    struct exchange_thread thread;
    struct exchange_writer writer;
    struct response response;
    struct soft_seat *seat = soft_enter(waiter->soft);
    uint64_t cpu_ns = thread_cpu_ns();

    exchange_thread_init(&thread, &waiter->host->site, waiter->interp);
    while (serves(waiter)) {
        if (!exchange_take(&thread, &writer)) {
            sleep_one(waiter, &thread);
            continue;
        }
        count_request(waiter, &cpu_ns);
        soft_begin(seat, writer.x);
        if (!wsgi_serve(waiter->wsgi, &response, &writer))
            signals_drain(waiter->self);
        soft_end(seat);
    }
    exchange_announce(&thread);
    add(&waiter->self->cpu_ns, thread_cpu_ns() - cpu_ns);
}

/* What threading.Thread calls; self is a capsule of the waiter. */
static PyObject *serve_thread(PyObject *self, PyObject *unused)
{
    (void)unused;
    serve(PyCapsule_GetPointer(self, NULL));
    Py_RETURN_NONE;
}

static PyObject *stop_threads(PyObject *self, PyObject *unused)
{
    const struct waiter *waiter = PyCapsule_GetPointer(self, NULL);

    (void)unused;
    signals_drain(waiter->self);
    Py_RETURN_NONE;
}

static PyMethodDef serve_method = {"serve", serve_thread, METH_NOARGS, NULL};
static PyMethodDef stop_method = {"stop", stop_threads, METH_NOARGS, NULL};

static void serve_in_threads(struct waiter *waiter, uint32_t threads)
{
    owned PyObject *self = PyCapsule_New(waiter, NULL, NULL);
    owned PyObject *go = self ? PyCFunction_New(&serve_method, self) : NULL;
    owned PyObject *stop = self ? PyCFunction_New(&stop_method, self) : NULL;

    if (go && stop)
        loader_run_threads(&waiter->host->loader, threads, go, stop);
    else
        PyErr_Print();
}

void wait_thread_run(struct host *host, struct wsgi *wsgi, uint32_t interp)
{
    struct waiter waiter = {
        .host = host,
        .wsgi = wsgi,
        .self = board_interp(host->board, interp),
        .interp = interp,
        .max_requests = quota_draw(host),
    };
    uint32_t threads;
    bool in_main;

    must(wait_thread_count(host, &threads, &in_main));
    waiter.soft = soft_start(host, waiter.self, threads);
    if (in_main)
        serve(&waiter);
    else
        serve_in_threads(&waiter, threads);
    soft_stop(waiter.soft);
}
