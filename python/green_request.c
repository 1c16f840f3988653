/* SPDX-License-Identifier: MIT */
#include "green.h"

#include "signals.h"
#include "core/board.h"
#include "core/exchange_request.h"
#include "core/exchange_writer.h"

/* When the arena has no chunk, it is asked again so soon. */
#define STARVED_S 0.005

/* What a greenlet runs: one request, from its start to its end. */
struct green_request {
    PyObject_HEAD struct green *green;
    struct exchange_writer writer; /* x is NULL once it is over */
    struct response response;
    PyObject *greenlet; /* while it runs */
    PyObject *waiters;  /* list: who waits for a change, or NULL */
    uint32_t worker;
    uint32_t slot;
    uint32_t inside; /* greenlets that wait in here */
    bool starved;    /* the last wait was for a chunk */
};

static struct green_request **place_of(const struct green *green,
                                       uint32_t worker, uint32_t slot)
{
    return &green->requests[(size_t)worker * green->host->board->arena_slots +
                            slot];
}

static struct green_request *request_of(struct exchange_writer *writer)
{
    return (
        struct green_request *)(void *)((char *)writer -
                                        offsetof(struct green_request, writer));
}

static PyObject *call(const struct green *green, enum green_call name,
                      PyObject *argument)
{
    return argument ? PyObject_CallOneArg(green->call[name], argument)
                    : PyObject_CallNoArgs(green->call[name]);
}

/*
 * Calls what lets others run. 0, or -1 with what was thrown into the greenlet,
 * or because the request is over: then it was another one's that had to wait.
 */
static int wait_in(struct green_request *request, enum green_call name,
                   PyObject *argument)
{
    owned PyObject *result = NULL;

    request->inside++;
    result = call(request->green, name, argument);
    request->inside--;
    if (result && !request->writer.x)
        PyErr_SetString(PyExc_RuntimeError, "the request is over");
    return result && request->writer.x ? 0 : -1;
}

/* Until something changes. As wait_in(). */
static int park(struct green_request *request)
{
    owned PyObject *waiter = call(request->green, GREEN_WAITER, NULL);

    if (!request->waiters)
        request->waiters = PyList_New(0);
    if (!waiter || !request->waiters ||
        PyList_Append(request->waiters, waiter) < 0)
        return -1;
    return wait_in(request, GREEN_WAIT, waiter);
}

/* Runs none of them yet: the hub will. */
static void wake(struct green_request *request)
{
    owned PyObject *waiters = give(&request->waiters);
    Py_ssize_t i;

    for (i = 0; waiters && i < PyList_Size(waiters); i++) {
        owned PyObject *woken = call(request->green, GREEN_WAKE,
                                     PyList_GetItem(waiters, i));

        if (!woken)
            PyErr_WriteUnraisable((PyObject *)request);
    }
}

static int sleep_a_while(struct green_request *request)
{
    owned PyObject *seconds = PyFloat_FromDouble(request->starved ? STARVED_S
                                                                  : 0);

    request->starved = true;
    return seconds ? wait_in(request, GREEN_SLEEP, seconds) : -1;
}

/* A greenlet may wait as long as it likes: nothing is put into the spool. */
static int wait_for_room(struct exchange_writer *writer, struct bytes *data)
{
    struct green_request *request = request_of(writer);

    (void)data;
    if (exchange_await_room(writer)) {
        request->starved = false;
        return park(request);
    }
    if (exchange_is_cancelled(writer))
        return 0;
    /* There is room by now, or no chunk is free: nobody tells about those. */
    return sleep_a_while(request);
}

static int wait_for_body(struct exchange_writer *writer)
{
    struct green_request *request = request_of(writer);
    owned PyObject *error = NULL;

    if (park(request) == 0)
        return 0;
    if (request->writer.x)
        return -1;
    /* Over meanwhile: wsgi.input is at its end then, which is no error. */
    error = exception_take();
    return 0;
}

static int flush(struct exchange_writer *writer)
{
    green_check_soon(request_of(writer)->green);
    return exchange_flush_later(writer);
}

const struct waits green_waits = {
    .for_room = wait_for_room,
    .for_body = wait_for_body,
    .flush = flush,
};

/* Others that wait in a request return before the hub's next turn, and until
 * then it stays. */
static void keep(struct green_request *request)
{
    struct green *green = request->green;

    wake(request);
    if (!green->ended)
        green->ended = PyList_New(0);
    if (!green->ended || PyList_Append(green->ended, (PyObject *)request) < 0)
        PyErr_WriteUnraisable((PyObject *)request);
}

void green_request_release(struct green *green)
{
    owned PyObject *ended = give(&green->ended);
    Py_ssize_t i;

    for (i = 0; ended && i < PyList_Size(ended); i++) {
        struct green_request *request =
            (struct green_request *)PyList_GetItem(ended, i);

        if (request->inside > 0)
            keep(request);
    }
}

/* The exchange is finished. */
static void leave(struct green_request *request)
{
    struct green *green = request->green;

    *place_of(green, request->worker, request->slot) = NULL;
    exchange_loop_leave(&green->loop, request->worker, request->slot);
    request->writer.x = NULL;
    Py_CLEAR(request->greenlet);
    if (request->inside > 0)
        keep(request);
    green->active--;
    green_settle(green);
}

/* It never ran. */
static void abandon(struct green_request *request)
{
    struct exchange_writer *writer = &request->writer;

    writer->x->out_flags |= EXCHANGE_OUT_BROKEN | EXCHANGE_OUT_CLOSE;
    exchange_finish(writer);
    leave(request);
}

static PyObject *request_call(PyObject *object, PyObject *args,
                              PyObject *keywords)
{
    struct green_request *request = (struct green_request *)object;
    owned PyObject *mine = Py_NewRef(object);
    struct green *green = request->green;

    (void)args;
    (void)keywords;
    if (!request->writer.x)
        Py_RETURN_NONE; /* the application found it, and called it again */
    if (!wsgi_serve(green->wsgi, &request->response, &request->writer))
        signals_drain(green->self);
    leave(request);
    Py_RETURN_NONE;
}

static PyObject *request_repr(PyObject *object)
{
    const struct green_request *request = (struct green_request *)object;

    return PyUnicode_FromFormat("<gcorn request %u of worker %u>",
                                request->slot, request->worker);
}

static void request_dealloc(PyObject *object)
{
    struct green_request *request = (struct green_request *)object;
    PyTypeObject *type = Py_TYPE(object);

    if (request->writer.x)
        abandon(request);
    Py_CLEAR(request->greenlet);
    Py_CLEAR(request->waiters);
    PyObject_Free(object);
    Py_DECREF(type);
}

int green_request_type(struct green *green)
{
    PyType_Slot slots[] = {
        {Py_tp_dealloc, (void *)request_dealloc},
        {Py_tp_call, (void *)request_call},
        {Py_tp_repr, (void *)request_repr},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "gcorn.request",
        .basicsize = sizeof(struct green_request),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = slots,
    };

    green->request_type = (PyTypeObject *)PyType_FromSpec(&spec);
    return green->request_type ? 0 : -1;
}

static struct green_request *request_new(struct green *green,
                                         const struct exchange_writer *writer)
{
    struct green_request *request = PyObject_New(struct green_request,
                                                 green->request_type);

    if (!request)
        return NULL;
    request->green = green;
    request->writer = *writer;
    request->writer.cpu_ns = 0; /* the thread's, which runs others too */
    request->greenlet = request->waiters = NULL;
    request->worker = writer->arena->worker;
    request->slot = exchange_slot(writer->arena, writer->x);
    request->inside = 0;
    request->starved = false;
    *place_of(green, request->worker, request->slot) = request;
    green->active++;
    return request;
}

static bool asks_for_socket(const struct exchange_writer *writer)
{
    const struct exchange *x = writer->x;

    return x->request.flags & HTTP_UPGRADE_ASKED &&
           bytes_equal_nocase(
               exchange_field(writer->arena, x, BYTES("upgrade")),
               BYTES("websocket"));
}

/* An application that looks for a socket will not find one. */
static void warn_of_socket(struct green *green,
                           const struct exchange_writer *writer)
{
    uint32_t dropped;

    if (asks_for_socket(writer) && log_allow(&green->socket_limit, &dropped))
        log_warning("A client asks for a WebSocket: a WSGI application gets "
                    "no socket from gcorn (no wsgi.websocket, no "
                    "gunicorn.socket). Serve WebSockets from an ASGI "
                    "application with -k asgi (%u warnings dropped)",
                    dropped);
}

void green_request_start(struct green *green,
                         const struct exchange_writer *writer)
{
    struct green_request *request = request_new(green, writer);
    owned PyObject *mine = (PyObject *)request;

    if (!request) {
        exchange_loop_lose(&green->loop, writer);
        PyErr_Clear();
        return;
    }
    warn_of_socket(green, writer);
    request->greenlet = call(green, GREEN_SPAWN, mine);
    if (!request->greenlet)
        PyErr_WriteUnraisable(mine);
}

void green_request_changed(void *context, uint32_t worker, uint32_t slot)
{
    struct green_request *request = *place_of(context, worker, slot);

    if (request && request->waiters)
        wake(request);
}

PyObject *green_request_greenlets(const struct green *green)
{
    const struct board *board = green->host->board;
    size_t count = (size_t)board->worker_slots * board->arena_slots;
    owned PyObject *list = PyList_New(0);
    size_t i;

    for (i = 0; list && i < count; i++)
        if (green->requests[i] && green->requests[i]->greenlet &&
            PyList_Append(list, green->requests[i]->greenlet) < 0)
            return NULL;
    return give(&list);
}
