/* SPDX-License-Identifier: MIT */
#include "asgi_state.h"

#include <string.h>

/*
 * An awaitable that is done already, or waits in a future of the event loop
 * until its cycle changes, as often as it takes. It is a coroutine in the
 * eyes of asyncio, so that a task can be made of it.
 */
struct asgi_await {
    PyObject_HEAD struct cycle *cycle; /* owned; NULL: done */
    PyObject *value;                   /* of one that is done */
    PyObject *message;                 /* to be sent; NULL: receives, or ... */
    bool sends;                        /* ... waits for the rest */
    PyObject *future;                  /* it waits in this */
    PyObject *iterator;                /* of the future */
    struct asgi_await *next;           /* of the cycle's waiting */
    bool listed;
};

static struct asgi_await *new_await(struct asgi *asgi)
{
    struct asgi_await *self = PyObject_New(struct asgi_await, asgi->await_type);

    if (!self)
        return NULL;
    memset((char *)self + sizeof(PyObject), 0,
           sizeof(*self) - sizeof(PyObject));
    return self;
}

static PyObject *done_with(struct asgi *asgi, PyObject *value)
{
    struct asgi_await *self = new_await(asgi);

    if (!self) {
        Py_XDECREF(value);
        return NULL;
    }
    self->value = value;
    return (PyObject *)self;
}

static PyObject *wait_for(struct cycle *cycle, PyObject *message, bool sends)
{
    struct asgi_await *self = new_await(cycle->asgi);

    if (!self)
        return NULL;
    self->cycle = (struct cycle *)Py_NewRef((PyObject *)cycle);
    self->message = Py_XNewRef(message);
    self->sends = sends;
    return (PyObject *)self;
}

PyObject *asgi_await_receive(struct cycle *cycle)
{
    PyObject *message = asgi_receive(cycle);

    if (message)
        return done_with(cycle->asgi, message);
    return PyErr_Occurred() ? NULL : wait_for(cycle, NULL, false);
}

PyObject *asgi_await_send(struct cycle *cycle, PyObject *message)
{
    bool taken;
    int rc = asgi_send(cycle, message, &taken);

    if (likely(rc == 0))
        return Py_NewRef(cycle->asgi->done);
    return rc < 0 ? NULL : wait_for(cycle, taken ? NULL : message, true);
}

static void unlist(struct asgi_await *self)
{
    struct asgi_await **link = self->listed ? &self->cycle->waiting : NULL;

    if (!link)
        return;
    while (*link != self)
        link = &(*link)->next;
    *link = self->next;
    self->listed = false;
}

/* 1: *ret_value is what it gives; 0: it has to wait; -1: exception. */
static int attempt(struct asgi_await *self, PyObject **ret_value)
{
    struct cycle *cycle = self->cycle;
    bool taken;
    int rc;

    if (!cycle) {
        *ret_value = self->value ? give(&self->value) : Py_NewRef(Py_None);
        return 1;
    }
    if (!self->sends) {
        *ret_value = asgi_receive(cycle);
        if (*ret_value)
            return 1;
        return PyErr_Occurred() ? -1 : 0;
    }
    if (self->message) {
        rc = asgi_send(cycle, self->message, &taken);
        if (rc < 0)
            return -1;
        if (taken)
            Py_CLEAR(self->message);
        if (rc > 0)
            return 0;
    } else if (cycle->gone) {
        PyErr_SetString(PyExc_OSError, "the client has disconnected");
        return -1;
    } else if (!asgi_rest_is_empty(cycle)) {
        return 0;
    }
    *ret_value = Py_NewRef(Py_None);
    return 1;
}

static int begin_wait(struct asgi_await *self)
{
    struct cycle *cycle = self->cycle;
    unaryfunc await;

    self->future = PyObject_CallNoArgs(cycle->asgi->create_future);
    if (!self->future)
        return -1;
    await = (unaryfunc)PyType_GetSlot(Py_TYPE(self->future), Py_am_await);
    self->iterator = await ? await(self->future) : NULL;
    if (!self->iterator) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "a future cannot be awaited");
        return -1;
    }
    self->next = cycle->waiting;
    cycle->waiting = self;
    self->listed = true;
    return 0;
}

static void end_wait(struct asgi_await *self)
{
    unlist(self);
    Py_CLEAR(self->iterator);
    Py_CLEAR(self->future);
}

static PySendResult await_send(PyObject *object, PyObject *argument,
                               PyObject **ret_value)
{
    struct asgi_await *self = (struct asgi_await *)object;

    for (;;) {
        int rc;

        if (self->iterator) {
            owned PyObject *nothing = NULL;
            PySendResult sent = PyIter_Send(self->iterator, argument, &nothing);

            if (sent == PYGEN_NEXT) {
                *ret_value = give(&nothing);
                return PYGEN_NEXT;
            }
            end_wait(self);
            if (sent == PYGEN_ERROR)
                return PYGEN_ERROR;
        }
        rc = attempt(self, ret_value);
        if (rc != 0)
            return rc < 0 ? PYGEN_ERROR : PYGEN_RETURN;
        if (begin_wait(self) < 0)
            return PYGEN_ERROR;
        argument = Py_None;
    }
}

/* StopIteration with the value; a tuple or exception needs the constructor. */
static PyObject *stop_with(PyObject *value)
{
    owned PyObject *given = value;
    owned PyObject *stop = NULL;

    if (given == Py_None)
        return NULL;
    stop = PyObject_CallOneArg(PyExc_StopIteration, given);
    if (stop)
        PyErr_SetObject(PyExc_StopIteration, stop);
    return NULL;
}

static PyObject *await_next(PyObject *self)
{
    PyObject *value = NULL;

    switch (await_send(self, Py_None, &value)) {
    case PYGEN_NEXT:
        return value;
    case PYGEN_RETURN:
        return stop_with(value);
    case PYGEN_ERROR:
        break;
    }
    return NULL;
}

static PyObject *await_send_method(PyObject *self, PyObject *argument)
{
    PyObject *value = NULL;

    switch (await_send(self, argument, &value)) {
    case PYGEN_NEXT:
        return value;
    case PYGEN_RETURN:
        stop_with(value);
        if (!PyErr_Occurred())
            PyErr_SetNone(PyExc_StopIteration);
        return NULL;
    case PYGEN_ERROR:
        break;
    }
    return NULL;
}

static PyObject *raise_given(PyObject *args)
{
    PyObject *type, *value = NULL, *traceback = NULL;

    if (!PyArg_UnpackTuple(args, "throw", 1, 3, &type, &value, &traceback))
        return NULL;
    if (PyExceptionInstance_Check(type))
        PyErr_SetObject((PyObject *)Py_TYPE(type), type);
    else if (PyExceptionClass_Check(type))
        PyErr_SetObject(type, value);
    else
        PyErr_SetString(PyExc_TypeError, "exceptions must be thrown");
    return NULL;
}

/* A future that is thrown into only passes it on. */
static PyObject *await_throw(PyObject *object, PyObject *args)
{
    struct asgi_await *self = (struct asgi_await *)object;

    if (self->cycle)
        end_wait(self);
    return raise_given(args);
}

static PyObject *await_close(PyObject *object, PyObject *unused)
{
    struct asgi_await *self = (struct asgi_await *)object;

    (void)unused;
    if (self->cycle)
        end_wait(self);
    Py_RETURN_NONE;
}

static PyObject *await_am(PyObject *self)
{
    return Py_NewRef(self);
}

static void await_dealloc(PyObject *object)
{
    struct asgi_await *self = (struct asgi_await *)object;
    PyTypeObject *type = Py_TYPE(object);

    if (self->cycle)
        end_wait(self);
    Py_CLEAR(self->value);
    Py_CLEAR(self->message);
    Py_XDECREF((PyObject *)self->cycle);
    PyObject_Free(object);
    Py_DECREF(type);
}

int asgi_await_types(struct asgi *asgi)
{
    static PyMethodDef methods[] = {
        {"send", await_send_method, METH_O, NULL},
        {"throw", await_throw, METH_VARARGS, NULL},
        {"close", await_close, METH_NOARGS, NULL},
        {NULL, NULL, 0, NULL},
    };
    PyType_Slot slots[] = {
        {Py_tp_dealloc, (void *)await_dealloc},
        {Py_tp_methods, methods},
        {Py_tp_iter, (void *)PyObject_SelfIter},
        {Py_tp_iternext, (void *)await_next},
        {Py_am_await, (void *)await_am},
        {Py_am_send, (void *)await_send},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "gcorn.awaitable",
        .basicsize = sizeof(struct asgi_await),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = slots,
    };

    asgi->await_type = (PyTypeObject *)PyType_FromSpec(&spec);
    if (!asgi->await_type)
        return -1;
    asgi->done = done_with(asgi, NULL);
    return asgi->done ? 0 : -1;
}

static void wake(struct asgi_await *self)
{
    owned PyObject *done = PyObject_CallMethod(self->future, "done", NULL);
    owned PyObject *set = NULL;

    if (done && !PyObject_IsTrue(done))
        set = PyObject_CallMethod(self->future, "set_result", "O", Py_None);
    PyErr_Clear();
}

/* Whether it would have something to say now. */
static bool is_due(const struct asgi_await *self)
{
    const struct cycle *cycle = self->cycle;

    if (!self->sends)
        return true;
    return cycle->gone || asgi_rest_is_empty(cycle);
}

bool asgi_await_receives(const struct cycle *cycle)
{
    const struct asgi_await *self = cycle->waiting;

    while (self && (self->sends || !self->future))
        self = self->next;
    return self != NULL;
}

void asgi_await_wake(struct cycle *cycle)
{
    struct asgi_await *self;

    for (self = cycle->waiting; self; self = self->next)
        if (self->future && is_due(self))
            wake(self);
}
