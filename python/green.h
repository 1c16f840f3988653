/* SPDX-License-Identifier: MIT */
/*
 * green - the classes gevent and eventlet: a greenlet for each request, and
 * the hub watches the interpreter's doorbell.
 *
 *   hub: doorbell ──▶ turn: what changed wakes greenlets that wait for it;
 *                     each request taken gets a greenlet; rest, or again
 *   greenlet:         wsgi_serve(), as in a thread; where that has to wait,
 *                     it parks, and the hub runs others
 *
 * What asks for the packages is in green.py; its hub is `hub` here. A
 * greenlet's stack is moved away while others run, so nothing that outlives a
 * wait may point into it: writer and response are in the request's object.
 */
#ifndef GCORN_PYTHON_GREEN_H
#define GCORN_PYTHON_GREEN_H

#include "host.h"
#include "wsgi.h"

#include "core/exchange_loop.h"
#include "core/log.h"

/* Methods of the hub that C calls. */
#define GREEN_CALLS(X)                                                         \
    X(SOON, "soon")     /* (call): in the next turn of the hub */              \
    X(LATER, "later")   /* (seconds, call) */                                  \
    X(SPAWN, "spawn")   /* (call): a new greenlet, which runs it soon */       \
    X(SLEEP, "sleep")   /* (seconds) */                                        \
    X(WAITER, "waiter") /* (): something to wait for, once */                  \
    X(WAIT, "wait")     /* (waiter) */                                         \
    X(WAKE, "wake")     /* (waiter): in the hub */

enum green_call {
#define X(id, name) GREEN_##id,
    GREEN_CALLS(X)
#undef X
        GREEN_CALL_COUNT,
};

struct green_request;

struct green {
    struct host *host;
    struct wsgi *wsgi;
    struct board_interp *self;
    struct exchange_loop loop;
    struct green_request **requests; /* by worker and slot; borrowed */
    PyObject *call[GREEN_CALL_COUNT];
    PyObject *check;       /* what the hub was asked to call soon */
    PyObject *beat;        /* what it calls every beat_s while requests run */
    PyObject *on_draining; /* called once */
    PyObject *on_idle;     /* called once, after that */
    PyTypeObject *request_type;
    PyObject *ended; /* list: requests that others still wait in, or NULL */
    struct log_limit socket_limit;
    uint64_t max_requests;
    double beat_s;
    uint32_t active;
    uint32_t limit;
    bool checking; /* the hub was asked to call check */
    bool beating;
    bool draining;
};

/* green_request.c. All with the GIL. */
extern const struct waits green_waits;

/* 0, or -1 with an exception set. */
int green_request_type(struct green *green);

/* Takes the exchange over, whatever happens. */
void green_request_start(struct green *green,
                         const struct exchange_writer *writer);

/* An exchange_loop_fn: something in the exchange changed. */
void green_request_changed(void *context, uint32_t worker, uint32_t slot);

/* A list of the greenlets that run requests, or NULL with an exception. */
PyObject *green_request_greenlets(const struct green *green);

/* In each turn of the hub: lets go what has ended. */
void green_request_release(struct green *green);

/* wait_green.c: the hub is asked for a turn, once. */
void green_check_soon(struct green *green);
/* A request has ended. */
void green_settle(struct green *green);
#endif
