/* SPDX-License-Identifier: MIT */
#include "wait_green.h"

#include "green.h"
#include "green_source.h"
#include "quota.h"
#include "soft.h"
#include "core/board.h"
#include "core/board_interp.h"
#include "core/exchange_take.h"
#include "core/exchange_writer.h"

#include <stdlib.h>
#include <string.h>

/* Requests taken in one turn of the hub, so that others get theirs. */
#define TAKE_MAX 64
/* It beats at least so often, and several times in --timeout. */
#define BEAT_S 1.0
#define BEATS 4

/* An engine, and whom it tells that it serves. */
struct start {
    struct green green;
    void (*on_serving)(const struct host *host, struct board_interp *self);
};

static struct green *green_of(PyObject *self)
{
    return PyCapsule_GetPointer(self, NULL);
}

static bool tell(PyObject *result)
{
    owned PyObject *given = result;

    if (!given)
        PyErr_WriteUnraisable(NULL);
    return given != NULL;
}

void green_check_soon(struct green *green)
{
    if (green->checking || !green->check)
        return;
    green->checking =
        tell(PyObject_CallOneArg(green->call[GREEN_SOON], green->check));
    exchange_loop_again(&green->loop);
}

static void beat_later(struct green *green)
{
    green->beating = tell(PyObject_CallFunction(green->call[GREEN_LATER], "dO",
                                                green->beat_s, green->beat));
}

static void tell_idle(struct green *green)
{
    owned PyObject *on_idle = NULL;

    if (!green->draining || green->active > 0 || !green->on_idle)
        return;
    on_idle = give(&green->on_idle);
    tell(PyObject_CallNoArgs(on_idle));
}

void green_settle(struct green *green)
{
    green_check_soon(green);
    tell_idle(green);
}

static bool serves(const struct green *green)
{
    return board_interp_serves(atomic_load(&green->self->state));
}

static void look_at_state(struct green *green)
{
    owned PyObject *on_draining = NULL;

    if (green->draining || serves(green))
        return;
    green->draining = true;
    on_draining = give(&green->on_draining);
    tell(PyObject_CallNoArgs(on_draining));
    tell_idle(green);
}

static bool is_hungry(const struct green *green)
{
    return !green->draining && green->active < green->limit;
}

/* True when something was taken. */
static bool take_requests(struct green *green)
{
    struct exchange_writer writer;
    uint32_t taken = 0;

    while (taken < TAKE_MAX && is_hungry(green) &&
           exchange_loop_take(&green->loop, &writer)) {
        quota_count(green->host, green->self, green->max_requests);
        green_request_start(green, &writer);
        taken++;
    }
    if (taken > 0 && !green->beating)
        beat_later(green);
    return taken > 0;
}

/*
 * After it has looked for work, the loop says that it sleeps; a signal between
 * these found nobody to wake.
 */
static bool may_rest(struct green *green)
{
    return !green->checking &&
           exchange_loop_rest(&green->loop, is_hungry(green)) &&
           (green->draining || serves(green));
}

/* What was finished in the turn before is announced in rest. */
static void turn(struct green *green)
{
    bool busy;

    exchange_loop_rise(&green->loop);
    green_request_release(green);
    exchange_loop_changes(&green->loop, green_request_changed, green);
    look_at_state(green);
    busy = take_requests(green);
    if (busy || !may_rest(green))
        green_check_soon(green);
}

static PyObject *on_turn(PyObject *self, PyObject *unused)
{
    (void)unused;
    turn(green_of(self));
    Py_RETURN_NONE;
}

static PyObject *on_check(PyObject *self, PyObject *unused)
{
    struct green *green = green_of(self);

    (void)unused;
    green->checking = false;
    exchange_announce(&green->loop.thread);
    turn(green);
    Py_RETURN_NONE;
}

static PyObject *on_beat(PyObject *self, PyObject *unused)
{
    struct green *green = green_of(self);

    (void)unused;
    green->beating = false;
    exchange_loop_beat(&green->loop);
    if (green->active > 0)
        beat_later(green);
    Py_RETURN_NONE;
}

/* begin(on_draining, on_idle) */
static PyObject *begin(PyObject *self, PyObject *args)
{
    struct start *start = PyCapsule_GetPointer(self, NULL);
    struct green *green = &start->green;
    PyObject *on_draining, *on_idle;

    if (!PyArg_ParseTuple(args, "OO", &on_draining, &on_idle))
        return NULL;
    green->on_draining = Py_NewRef(on_draining);
    green->on_idle = Py_NewRef(on_idle);
    exchange_loop_beat(&green->loop);
    soft_watch(soft_start(green->host, green->self, 1), green->self);
    start->on_serving(green->host, green->self);
    atomic_store(&green->host->board->streams, 1);
    Py_RETURN_NONE;
}

static PyObject *left(PyObject *self, PyObject *unused)
{
    (void)unused;
    return green_request_greenlets(green_of(self));
}

static PyObject *end(PyObject *self, PyObject *unused)
{
    struct green *green = green_of(self);

    (void)unused;
    Py_CLEAR(green->check);
    exchange_announce(&green->loop.thread);
    Py_RETURN_NONE;
}

static PyMethodDef check_method = {"check", on_check, METH_NOARGS, NULL};
static PyMethodDef beat_method = {"beat", on_beat, METH_NOARGS, NULL};
static PyMethodDef engine_methods[] = {
    {"begin", begin, METH_VARARGS, NULL},
    {"turn", on_turn, METH_NOARGS, NULL},
    {"left", left, METH_NOARGS, NULL},
    {"end", end, METH_NOARGS, NULL},
};

/* For green.py. */
static PyObject *engine_object(const struct green *green, PyObject *self)
{
    owned PyObject *engine = loader_engine(engine_methods,
                                           ARRAY_SIZE(engine_methods), self);
    owned PyObject *fd = PyLong_FromLong(exchange_loop_fd(&green->loop));

    if (!engine || !fd || PyObject_SetAttrString(engine, "fd", fd) < 0)
        return NULL;
    return give(&engine);
}

static int find_calls(struct green *green)
{
    static const char *const names[] = {
#define X(id, name) name,
        GREEN_CALLS(X)
#undef X
    };
    owned PyObject *begun = PyObject_CallMethod(green->host->green, "begin",
                                                NULL);
    size_t i;

    for (i = 0; begun && i < GREEN_CALL_COUNT; i++) {
        green->call[i] = PyObject_GetAttrString(green->host->green, names[i]);
        if (!green->call[i])
            return -1;
    }
    return begun ? 0 : -1;
}

static struct wsgi *make_wsgi(const struct host *host)
{
    owned PyObject *killed = PyObject_GetAttrString(host->green, "killed");
    struct wsgi_config config = {
        .board = host->board,
        .multithread = true,
        .multiprocess = atomic_load(&host->board->worker_count) > 1,
        .waits = &green_waits,
        .late = loader_request_timeout(&host->loader),
        .killed = killed, /* the package's, which stays */
    };

    return killed ? wsgi_new(&config, host->application) : NULL;
}

static double beat_of(const struct host *host)
{
    double timeout = (double)host_number(host, "timeout", 30);

    return timeout > 0 && timeout < BEAT_S * BEATS ? timeout / BEATS : BEAT_S;
}

static int green_init(struct green *green, struct host *host, uint32_t interp,
                      PyObject *self)
{
    const struct board *board = host->board;
    uint64_t limit = host_number(host, "worker_connections", 1000);

    green->host = host;
    green->self = board_interp(host->board, interp);
    green->max_requests = quota_draw(host);
    green->beat_s = beat_of(host);
    green->limit = (uint32_t)min_u64(max_u64(limit, 1), UINT32_MAX);
    green->requests = calloc((size_t)board->worker_slots * board->arena_slots,
                             sizeof(struct green_request *));
    if (!green->requests ||
        exchange_loop_init(&green->loop, &host->site, interp) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    green->loop.thread.patient = true;
    green->check = PyCFunction_New(&check_method, self);
    green->beat = PyCFunction_New(&beat_method, self);
    if (!green->check || !green->beat || find_calls(green) < 0 ||
        green_request_type(green) < 0)
        return -1;
    green->wsgi = make_wsgi(host);
    return green->wsgi ? 0 : -1;
}

/* A function of green.py: a new reference. */
static PyObject *source_function(const char *name)
{
    owned PyObject *names = loader_run_source(green_source, "<gcorn>");
    PyObject *found = names ? PyDict_GetItemString(names, name) : NULL;

    return found ? Py_NewRef(found) : NULL;
}

static int serve(struct green *green, PyObject *self)
{
    owned PyObject *function = source_function("serve");
    owned PyObject *engine = engine_object(green, self);
    owned PyObject *result = NULL;

    if (function && engine)
        result = PyObject_CallFunction(function, "OOd", green->host->green,
                                       engine, host_grace_s(green->host));
    return result ? 0 : -1;
}

int wait_green_run(struct host *host, uint32_t interp,
                   void (*on_serving)(const struct host *host,
                                      struct board_interp *self))
{
    struct start *start = calloc(1, sizeof(*start));
    owned PyObject *self = start ? PyCapsule_New(start, NULL, NULL) : NULL;

    if (self) {
        start->on_serving = on_serving;
        if (green_init(&start->green, host, interp, self) == 0 &&
            serve(&start->green, self) == 0)
            return 0; /* the process ends: Python may still refer to it */
    }
    if (PyErr_Occurred())
        loader_log_exception(&host->loader, "Exception in worker process");
    return LOADER_BOOT_ERROR;
}

bool wait_green_is_named(const struct host *host)
{
    const char *name = host_text(host, "worker_class");

    return strcmp(name, "gevent") == 0 || strcmp(name, "eventlet") == 0;
}

int wait_green_prepare(struct host *host)
{
    owned PyObject *make = NULL;
    owned PyObject *made = NULL;
    PyObject *wrong;

    if (!wait_green_is_named(host))
        return 0;
    make = source_function("make");
    if (make)
        made = PyObject_CallFunction(make, "s",
                                     host_text(host, "worker_class"));
    if (!made) {
        loader_log_exception(&host->loader, "The worker class cannot be used");
        return 1;
    }
    wrong = PyTuple_GetItem(made, 1);
    if (PyUnicode_GetLength(wrong) > 0) {
        log_critical("%s", PyUnicode_AsUTF8(wrong));
        return 1;
    }
    host->green = Py_NewRef(PyTuple_GetItem(made, 0));
    return 0;
}

int wait_green_patch(struct host *host)
{
    owned PyObject *done = NULL;

    if (!host->green)
        return 0;
    done = PyObject_CallMethod(host->green,
                               host->green_patched ? "forked" : "patch", NULL);
    host->green_patched = true;
    if (done)
        return 0;
    loader_log_exception(&host->loader, "Python's library cannot be patched");
    return LOADER_BOOT_ERROR;
}
