/* SPDX-License-Identifier: MIT */
#include "asgi_state.h"

#include "signals.h"

#include "core/exchange_request.h"
#include "core/exchange_writer.h"
#include "core/log.h"
#include "core/ws.h"

#include <string.h>

static struct cycle **place_of(struct asgi *asgi, uint32_t worker,
                               uint32_t slot)
{
    return &asgi->cycles[(size_t)worker * asgi->host->board->arena_slots +
                         slot];
}

void asgi_cycle_release(struct cycle *cycle)
{
    struct asgi *asgi = cycle->asgi;

    *place_of(asgi, cycle->worker, cycle->slot) = NULL;
    exchange_loop_leave(&asgi->loop, cycle->worker, cycle->slot);
    cycle->writer.x = NULL;
    asgi_await_wake(cycle);
}

void asgi_cycle_dirty(struct cycle *cycle)
{
    struct asgi *asgi = cycle->asgi;

    if (cycle->is_dirty)
        return;
    cycle->is_dirty = true;
    cycle->next_dirty = asgi->dirty;
    asgi->dirty = (struct cycle *)Py_NewRef((PyObject *)cycle);
    asgi_check_soon(asgi);
}

/* Nobody waits for the response: the application learns it from receive() and
 * send(), and gets so long to come to an end. */
static void cancel_later(struct cycle *cycle)
{
    const struct asgi *asgi = cycle->asgi;
    owned PyObject *cancel = NULL;
    owned PyObject *handle = NULL;

    if (!cycle->task || asgi->patience_s < 0)
        return;
    cancel = PyObject_GetAttrString(cycle->task, "cancel");
    if (cancel)
        handle = asgi->patience_s > 0
                     ? PyObject_CallFunction(asgi->call_later, "dO",
                                             asgi->patience_s, cancel)
                     : PyObject_CallNoArgs(cancel);
    if (!handle)
        PyErr_WriteUnraisable(cycle->task);
}

void asgi_cycle_changed(void *context, uint32_t worker, uint32_t slot)
{
    struct asgi *asgi = context;
    struct cycle *cycle = *place_of(asgi, worker, slot);

    if (!cycle)
        return;
    Py_INCREF((PyObject *)cycle);
    if (exchange_is_cancelled(&cycle->writer)) {
        if (!cycle->gone)
            cancel_later(cycle);
        cycle->gone = true;
        asgi_rest_drop(cycle);
    } else if (!asgi_rest_is_empty(cycle)) {
        asgi_push(cycle);
    } else if (cycle->stage != ASGI_STARTED && exchange_holds(&cycle->writer)) {
        asgi_cycle_dirty(cycle); /* there may be room now */
    } else if (exchange_is_idle(&cycle->writer)) {
        exchange_relax(&cycle->writer);
    }
    asgi_await_wake(cycle);
    Py_DECREF((PyObject *)cycle);
}

static PyObject *on_receive(PyObject *self, PyObject *unused)
{
    (void)unused;
    return asgi_await_receive((struct cycle *)self);
}

static PyObject *on_send(PyObject *self, PyObject *message)
{
    return asgi_await_send((struct cycle *)self, message);
}

static PyMethodDef receive_method = {"receive", on_receive, METH_NOARGS, NULL};
static PyMethodDef send_method = {"send", on_send, METH_O, NULL};

/* Calls the application; what it gives is what the task will drive. */
static PyObject *call(struct cycle *cycle)
{
    struct asgi *asgi = cycle->asgi;
    owned PyObject *scope = NULL;
    owned PyObject *in = PyCFunction_New(&receive_method, (PyObject *)cycle);
    owned PyObject *out = PyCFunction_New(&send_method, (PyObject *)cycle);
    owned PyObject *coroutine = NULL;
    PyObject *args[4] = {NULL};
    unaryfunc await;

    scope = scope_make(&asgi->scopes, cycle->writer.arena, cycle->writer.x,
                       cycle->is_socket);
    if (!scope || !in || !out)
        return NULL;
    args[1] = scope;
    args[2] = in;
    args[3] = out;
    coroutine = PyObject_Vectorcall(asgi->application, args + 1,
                                    3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    if (!coroutine || PyCoro_CheckExact(coroutine))
        return give(&coroutine);
    await = (unaryfunc)PyType_GetSlot(Py_TYPE(coroutine), Py_am_await);
    if (await)
        return await(coroutine);
    PyErr_Format(PyExc_TypeError,
                 "an ASGI application must be a coroutine function; this one "
                 "returned %R (a WSGI application is served by -k sync or "
                 "gthread)",
                 (PyObject *)Py_TYPE(coroutine));
    return NULL;
}

static void title_of(const struct cycle *cycle, char title[256])
{
    const struct exchange_writer *w = &cycle->writer;
    char name[200] = "(its response is complete)";

    if (w->x)
        exchange_name(w->arena, w->x, name, sizeof(name));
    snprintf(title, 256, "Error handling request %s", name);
}

/* The exception that is set becomes a log entry, unless it is only about the
 * client, who has gone. */
static void log_exception(struct cycle *cycle)
{
    const struct asgi *asgi = cycle->asgi;
    char title[256];

    if (PyErr_ExceptionMatches(PyExc_SystemExit) ||
        PyErr_ExceptionMatches(PyExc_KeyboardInterrupt))
        signals_drain(asgi->self);
    if (cycle->gone && (PyErr_ExceptionMatches(PyExc_OSError) ||
                        PyErr_ExceptionMatches(asgi->cancelled))) {
        PyErr_Clear();
        return;
    }
    title_of(cycle, title);
    if (PyErr_ExceptionMatches(asgi->cancelled)) {
        PyErr_Clear();
        log_warning("%s: it was cancelled%s", title,
                    asgi->draining ? ", the graceful timeout is over" : "");
        return;
    }
    loader_log_exception(&asgi->host->loader, title);
}

static void finish_stopping(struct asgi *asgi)
{
    owned PyObject *set = NULL;

    if (!asgi->draining || asgi->active > 0 || !asgi->stopped)
        return;
    set = PyObject_CallMethod(asgi->stopped, "set_result", "O", Py_None);
    Py_CLEAR(asgi->stopped);
    PyErr_Clear();
}

static void over(struct cycle *cycle)
{
    struct asgi *asgi = cycle->asgi;

    Py_CLEAR(cycle->coroutine);
    Py_CLEAR(cycle->task);
    if (!cycle->begun)
        return;
    cycle->begun = false;
    asgi->active--;
    asgi->sockets -= cycle->is_open;
    cycle->is_open = false;
    asgi_check_soon(asgi);
    finish_stopping(asgi);
}

/* The application has returned, or raised what is set. */
static void end(struct cycle *cycle)
{
    bool incomplete = cycle->stage != ASGI_COMPLETE && !cycle->gone &&
                      !cycle->rest.last;

    if (asgi_is_running(cycle) && exchange_is_cancelled(&cycle->writer))
        cycle->gone = true;
    if (PyErr_Occurred()) {
        log_exception(cycle);
        if (asgi_socket_is_open(cycle))
            asgi_socket_close(cycle, WS_INTERNAL_ERROR);
        else
            asgi_fail(cycle);
    } else if (asgi_socket_is_open(cycle)) {
        asgi_socket_close(cycle, WS_NORMAL);
    } else if (incomplete && !cycle->gone) {
        log_error("The ASGI application returned %s: see %s",
                  cycle->stage == ASGI_WAITS ? "without a response"
                                             : "before its response was "
                                               "complete",
                  "http.response.start and http.response.body");
        asgi_fail(cycle);
    } else if (cycle->gone) {
        asgi_fail(cycle);
    }
    over(cycle);
}

static PySendResult cycle_send(PyObject *object, PyObject *argument,
                               PyObject **ret_value)
{
    struct cycle *cycle = (struct cycle *)object;
    PySendResult sent = PYGEN_ERROR;

    if (!cycle->coroutine && cycle->begun)
        cycle->coroutine = call(cycle);
    if (cycle->coroutine)
        sent = PyIter_Send(cycle->coroutine, argument, ret_value);
    if (sent == PYGEN_NEXT)
        return PYGEN_NEXT;
    if (sent == PYGEN_RETURN)
        Py_CLEAR(*ret_value);
    end(cycle);
    *ret_value = Py_NewRef(Py_None);
    return PYGEN_RETURN;
}

static PyObject *cycle_next(PyObject *self)
{
    PyObject *value = NULL;

    if (cycle_send(self, Py_None, &value) == PYGEN_NEXT)
        return value;
    Py_CLEAR(value);
    return NULL;
}

static PyObject *cycle_send_method(PyObject *self, PyObject *argument)
{
    PyObject *value = NULL;

    if (cycle_send(self, argument, &value) == PYGEN_NEXT)
        return value;
    Py_CLEAR(value);
    PyErr_SetNone(PyExc_StopIteration);
    return NULL;
}

/* Cancellation: the application may catch it, and even go on. */
static PyObject *cycle_throw(PyObject *object, PyObject *args)
{
    struct cycle *cycle = (struct cycle *)object;
    owned PyObject *throw = NULL;
    PyObject *yielded = NULL;

    if (cycle->coroutine) {
        throw = PyObject_GetAttrString(cycle->coroutine, "throw");
        yielded = throw ? PyObject_CallObject(throw, args) : NULL;
    } else {
        PyErr_SetString(PyExc_RuntimeError, "the task was cancelled");
    }
    if (yielded)
        return yielded;
    if (PyErr_ExceptionMatches(PyExc_StopIteration))
        PyErr_Clear();
    end(cycle);
    PyErr_SetNone(PyExc_StopIteration);
    return NULL;
}

static PyObject *cycle_close(PyObject *object, PyObject *unused)
{
    struct cycle *cycle = (struct cycle *)object;

    (void)unused;
    Py_CLEAR(cycle->coroutine);
    Py_RETURN_NONE;
}

static PyObject *cycle_await(PyObject *self)
{
    return Py_NewRef(self);
}

static void cycle_dealloc(PyObject *object)
{
    struct cycle *cycle = (struct cycle *)object;
    PyTypeObject *type = Py_TYPE(object);

    if (asgi_is_running(cycle))
        asgi_fail(cycle);
    over(cycle);
    asgi_rest_drop(cycle);
    Py_CLEAR(cycle->big_head);
    Py_CLEAR(cycle->message);
    PyObject_Free(object);
    Py_DECREF(type);
}

int asgi_cycle_types(struct asgi *asgi)
{
    static PyMethodDef methods[] = {
        {"send", cycle_send_method, METH_O, NULL},
        {"throw", cycle_throw, METH_VARARGS, NULL},
        {"close", cycle_close, METH_NOARGS, NULL},
        {NULL, NULL, 0, NULL},
    };
    PyType_Slot slots[] = {
        {Py_tp_dealloc, (void *)cycle_dealloc},
        {Py_tp_methods, methods},
        {Py_tp_iter, (void *)PyObject_SelfIter},
        {Py_tp_iternext, (void *)cycle_next},
        {Py_am_await, (void *)cycle_await},
        {Py_am_send, (void *)cycle_send},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "gcorn.request",
        .basicsize = sizeof(struct cycle),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = slots,
    };

    asgi->cycle_type = (PyTypeObject *)PyType_FromSpec(&spec);
    return asgi->cycle_type ? 0 : -1;
}

static struct cycle *cycle_new(struct asgi *asgi,
                               const struct exchange_writer *writer)
{
    const struct http_request *request = &writer->x->request;
    struct cycle *cycle = PyObject_New(struct cycle, asgi->cycle_type);

    if (!cycle)
        return NULL;
    memset((char *)cycle + sizeof(PyObject), 0,
           offsetof(struct cycle, rest) - sizeof(PyObject));
    memset((char *)cycle + offsetof(struct cycle, big_head), 0,
           sizeof(*cycle) - offsetof(struct cycle, big_head));
    cycle->rest.count = cycle->rest.next = 0;
    cycle->rest.keep[0] = cycle->rest.keep[1] = NULL;
    cycle->rest.fd = -1;
    cycle->rest.last = false;
    cycle->asgi = asgi;
    cycle->writer = *writer;
    cycle->worker = writer->arena->worker;
    cycle->slot = exchange_slot(writer->arena, writer->x);
    cycle->length = -1;
    cycle->is_socket = asgi_socket_asked(writer);
    cycle->no_body = request->method_id == HTTP_METHOD_HEAD;
    cycle->keep_alive = request->flags & HTTP_KEEP_ALIVE;
    cycle->begun = true;
    asgi->active++;
    *place_of(asgi, cycle->worker, cycle->slot) = cycle;
    return cycle;
}

/* On Python 3.12 and later the task runs at once until it has to wait. */
static PyObject *make_task(struct asgi *asgi, PyObject *coroutine)
{
    PyObject *args[4] = {NULL, coroutine, asgi->event_loop, Py_True};

    if (asgi->create_task)
        return PyObject_CallOneArg(asgi->create_task, coroutine);
    return PyObject_Vectorcall(asgi->task_type, args + 1,
                               1 | PY_VECTORCALL_ARGUMENTS_OFFSET,
                               asgi->task_keywords);
}

int asgi_cycle_start(struct asgi *asgi, const struct exchange_writer *writer)
{
    struct cycle *cycle = cycle_new(asgi, writer);
    owned PyObject *mine = (PyObject *)cycle;
    owned PyObject *task = NULL;

    if (!cycle) {
        PyErr_Clear();
        exchange_loop_lose(&asgi->loop, writer);
        return -1;
    }
    task = make_task(asgi, mine);
    if (!task) {
        end(cycle);
        return -1;
    }
    if (cycle->begun) /* it may be over already */
        cycle->task = give(&task);
    return 0;
}
