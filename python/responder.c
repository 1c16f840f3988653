/* SPDX-License-Identifier: MIT */
#include "responder.h"

#include "head.h"

#include <structmember.h>

struct responder {
    PyObject_HEAD vectorcallfunc call;
    struct response *response; /* NULL after the request */
};

/* Raises what exc_info holds: the application's, so anything may be in it. */
static void raise_again(PyObject *exc_info)
{
    PyObject *value = PyTuple_GET_ITEM(exc_info, 1);
    PyObject *traceback = PyTuple_GET_ITEM(exc_info, 2);

    if (!PyExceptionInstance_Check(value)) {
        PyErr_SetString(PyExc_AssertionError, "headers already sent");
        return;
    }
    if (PyTraceBack_Check(traceback))
        PyException_SetTraceback(value, traceback);
    PyErr_SetObject((PyObject *)Py_TYPE(value), value);
}

/* 0: go on; -1: exception. */
static int check_again(struct response *response, PyObject *exc_info)
{
    if (exc_info == Py_None)
        exc_info = NULL;
    if (exc_info &&
        (!PyTuple_Check(exc_info) || PyTuple_GET_SIZE(exc_info) != 3)) {
        PyErr_SetString(PyExc_TypeError, "exc_info must be a 3-tuple");
        return -1;
    }
    if (exc_info && response->head_sent) {
        raise_again(exc_info);
        return -1;
    }
    if (!exc_info && response->started) {
        PyErr_SetString(PyExc_AssertionError,
                        "start_response called again without exc_info");
        return -1;
    }
    return 0;
}

static PyObject *start(struct response *response, PyObject *const *args)
{
    owned PyObject *fields = NULL;

    if (check_again(response, args[2]) < 0)
        return NULL;
    fields = PySequence_Fast(args[1], "headers must be a list of tuples");
    if (!fields)
        return NULL;
    response->started = false;
    if (head_build(response, args[0], fields) < 0)
        return NULL;
    response->started = true;
    return Py_NewRef(response->responder[RESPONDER_WRITE]);
}

static struct response *response_of(PyObject *self)
{
    struct response *response = ((struct responder *)self)->response;

    if (!response)
        PyErr_SetString(PyExc_RuntimeError, "the request is over");
    return response;
}

/* Positions of start_response's arguments that came by name. */
static int take_named(PyObject **args, PyObject *const *values, PyObject *names)
{
    static const char *const known[] = {"status", "headers", "exc_info"};
    Py_ssize_t i;
    size_t k;

    for (i = 0; i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);

        for (k = 0; k < ARRAY_SIZE(known); k++)
            if (PyUnicode_CompareWithASCIIString(name, known[k]) == 0)
                break;
        if (k == ARRAY_SIZE(known) || args[k])
            return -1;
        args[k] = values[i];
    }
    return 0;
}

static PyObject *call_start(PyObject *self, PyObject *const *values,
                            size_t flags, PyObject *names)
{
    struct response *response = response_of(self);
    Py_ssize_t n = PyVectorcall_NARGS(flags);
    PyObject *args[3] = {NULL, NULL, NULL};
    Py_ssize_t i;

    if (!response)
        return NULL;
    for (i = 0; i < n && i < 3; i++)
        args[i] = values[i];
    if (n > 3 || (names && take_named(args, values + n, names) < 0) ||
        !args[0] || !args[1]) {
        PyErr_SetString(PyExc_TypeError, "start_response() takes status, "
                                         "headers and optionally exc_info");
        return NULL;
    }
    return start(response, args);
}

static PyObject *call_write(PyObject *self, PyObject *const *args, size_t flags,
                            PyObject *names)
{
    struct response *response = response_of(self);
    struct bytes piece;

    if (!response)
        return NULL;
    if (PyVectorcall_NARGS(flags) != 1 || names || !PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "write() takes one bytes object");
        return NULL;
    }
    piece = (struct bytes){PyBytes_AS_STRING(args[0]),
                           (size_t)PyBytes_GET_SIZE(args[0])};
    if (response_head(response, -1) < 0 || response_body(response, piece) < 0 ||
        response_flush(response) < 0) {
        if (!response->gone)
            return NULL;
        PyErr_SetString(PyExc_BrokenPipeError, "the client has gone");
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *call_hints(PyObject *self, PyObject *const *args, size_t flags,
                            PyObject *names)
{
    struct response *response = response_of(self);
    owned PyObject *fields = NULL;

    if (!response)
        return NULL;
    if (PyVectorcall_NARGS(flags) != 1 || names) {
        PyErr_SetString(PyExc_TypeError, "early_hints() takes one list");
        return NULL;
    }
    fields = PySequence_Fast(args[0], "early hints must be a list of tuples");
    if (!fields || (head_hints(response, fields) < 0 && !response->gone))
        return NULL;
    Py_RETURN_NONE;
}

static void responder_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_Free(self);
    Py_DECREF(type);
}

PyTypeObject *responder_type_new(void)
{
    static PyMemberDef members[] = {
        {"__vectorcalloffset__", T_PYSSIZET, offsetof(struct responder, call),
         READONLY, NULL},
        {NULL, 0, 0, 0, NULL},
    };
    PyType_Slot slots[] = {
        {Py_tp_dealloc, (void *)responder_dealloc},
        {Py_tp_call, (void *)PyVectorcall_Call},
        {Py_tp_members, members},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "gcorn.responder",
        .basicsize = sizeof(struct responder),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL |
                 Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = slots,
    };

    return (PyTypeObject *)PyType_FromSpec(&spec);
}

PyObject *responder_new(struct response *response, enum responder_kind kind)
{
    static const vectorcallfunc calls[] = {
        [RESPONDER_START] = call_start,
        [RESPONDER_WRITE] = call_write,
        [RESPONDER_HINTS] = call_hints,
    };
    struct response_kit *kit = response->kit;
    PyObject *object = give(&kit->spare[kind]);
    struct responder *responder = (struct responder *)object;

    if (!object) {
        responder = PyObject_New(struct responder, kit->responder_type);
        if (!responder)
            return NULL;
        responder->call = calls[kind];
    }
    responder->response = response;
    return (PyObject *)responder;
}

void responder_end(struct response *response, enum responder_kind kind)
{
    PyObject *responder = give(&response->responder[kind]);

    if (!responder)
        return;
    ((struct responder *)responder)->response = NULL;
    if (Py_REFCNT(responder) == 1 && !response->kit->spare[kind])
        response->kit->spare[kind] = responder;
    else
        Py_DECREF(responder);
}
