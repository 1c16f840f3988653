/* SPDX-License-Identifier: MIT */
#include "wsgi.h"

#include "core/exchange_request.h"
#include "core/exchange_writer.h"
#include "core/log.h"
#include "environ.h"
#include "filewrapper.h"
#include "input.h"
#include "response.h"

#include <stdlib.h>

struct wsgi {
    PyObject *application;
    PyObject *close_name; /* "close" */
    PyObject *format_exception;
    PyObject *late;   /* borrowed */
    PyObject *killed; /* borrowed, or NULL */
    struct environ_maker environ;
    struct filewrapper_kit files;
    struct input_kit inputs;
    struct response_kit responses;
};

/*
 * wsgi.errors: Python's own text file on the error log, flushed at each line
 * so that lines of several interpreters stay whole.
 */
static PyObject *open_errors(void)
{
    owned PyObject *io = PyImport_ImportModule("io");
    owned PyObject *open = io ? PyObject_GetAttrString(io, "open") : NULL;
    owned PyObject *args = Py_BuildValue("(isissO)", log_fd(), "w", 1, "utf-8",
                                         "backslashreplace", Py_None);
    owned PyObject *options = Py_BuildValue("{sO}", "closefd", Py_False);

    if (!open || !args || !options)
        return NULL;
    return PyObject_Call(open, args, options);
}

static int init_parts(struct wsgi *wsgi, const struct wsgi_config *config)
{
    owned PyObject *errors = open_errors();
    owned PyObject *traceback = PyImport_ImportModule("traceback");
    const struct waits *waits = config->waits ? config->waits
                                              : &waits_of_threads;
    struct environ_config environ = {
        .board = config->board,
        .errors = errors,
        .multithread = config->multithread,
        .multiprocess = config->multiprocess,
    };

    if (!errors || !traceback || filewrapper_kit_init(&wsgi->files) < 0 ||
        input_kit_init(&wsgi->inputs, waits) < 0 ||
        response_kit_init(&wsgi->responses, waits) < 0)
        return -1;
    environ.file_wrapper = (PyObject *)wsgi->files.type;
    wsgi->close_name = PyUnicode_InternFromString("close");
    wsgi->format_exception = PyObject_GetAttrString(traceback,
                                                    "format_exception");
    if (!wsgi->close_name || !wsgi->format_exception)
        return -1;
    return environ_init(&wsgi->environ, &environ);
}

struct wsgi *wsgi_new(const struct wsgi_config *config, PyObject *application)
{
    struct wsgi *wsgi = calloc(1, sizeof(*wsgi));

    if (!wsgi) {
        PyErr_NoMemory();
        return NULL;
    }
    wsgi->application = Py_NewRef(application);
    wsgi->late = config->late;
    wsgi->killed = config->killed;
    if (init_parts(wsgi, config) < 0) {
        wsgi_free(wsgi);
        return NULL;
    }
    return wsgi;
}

void wsgi_free(struct wsgi *wsgi)
{
    environ_done(&wsgi->environ);
    response_kit_done(&wsgi->responses);
    input_kit_done(&wsgi->inputs);
    filewrapper_kit_done(&wsgi->files);
    Py_CLEAR(wsgi->format_exception);
    Py_CLEAR(wsgi->close_name);
    Py_CLEAR(wsgi->application);
    free(wsgi);
}

static PyObject *traceback_text(struct wsgi *wsgi, PyObject *exception)
{
    owned PyObject *lines = PyObject_CallOneArg(wsgi->format_exception,
                                                exception);
    owned PyObject *empty = PyUnicode_FromString("");
    owned PyObject *text = lines && empty ? PyUnicode_Join(empty, lines) : NULL;

    return text ? PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace")
                : NULL;
}

/*
 * No error of the application: the client has gone (then write() raises), its
 * body broke off and the application has nothing to say to that, or the
 * greenlet was killed.
 */
static bool is_no_error(const struct wsgi *wsgi, struct response *response,
                        PyObject *exception)
{
    bool broken = PyErr_GivenExceptionMatches(exception, wsgi->inputs.failure);

    if (broken)
        response->fault = 400;
    if (response->gone)
        return PyErr_GivenExceptionMatches(exception, PyExc_OSError);
    return broken || (wsgi->killed &&
                      PyErr_GivenExceptionMatches(exception, wsgi->killed));
}

/* The exception that is set, if any, becomes a log entry. */
static void log_exception(struct wsgi *wsgi, struct response *response)
{
    const struct exchange_writer *w = response->writer;
    owned PyObject *exception = exception_take();
    owned PyObject *text = NULL;
    char name[200], title[256];

    if (!exception || is_no_error(wsgi, response, exception))
        return;
    if (wsgi->late && PyErr_GivenExceptionMatches(exception, wsgi->late))
        response->fault = 504;
    if (PyErr_GivenExceptionMatches(exception, PyExc_SystemExit) ||
        PyErr_GivenExceptionMatches(exception, PyExc_KeyboardInterrupt))
        response->quit = true;
    exchange_name(w->arena, w->x, name, sizeof(name));
    snprintf(title, sizeof(title), "Error handling request %s", name);
    text = traceback_text(wsgi, exception);
    if (text)
        log_block(LOG_LEVEL_ERROR, title, PyBytes_AS_STRING(text),
                  (size_t)PyBytes_GET_SIZE(text));
    else
        log_error("%s (the traceback cannot be shown)", title);
    PyErr_Clear();
}

static int piece_of(PyObject *item, struct bytes *ret_piece)
{
    if (unlikely(!PyBytes_Check(item))) {
        PyErr_Format(PyExc_TypeError, "response body must be bytes, not %R",
                     (PyObject *)Py_TYPE(item));
        return -1;
    }
    *ret_piece = (struct bytes){PyBytes_AS_STRING(item),
                                (size_t)PyBytes_GET_SIZE(item)};
    return 0;
}

/* A list or tuple: the whole length is known before anything is sent. */
static int send_sequence(struct response *response, PyObject *body)
{
    Py_ssize_t n = PySequence_Fast_GET_SIZE(body);
    struct bytes piece;
    int64_t total = 0;
    Py_ssize_t i;

    for (i = 0; i < n; i++) {
        if (piece_of(PySequence_Fast_GET_ITEM(body, i), &piece) < 0)
            return -1;
        total += (int64_t)piece.n;
    }
    if (response_head(response, total) < 0)
        return -1;
    /* The list is the application's: a thread of its may change it. */
    for (i = 0; i < PySequence_Fast_GET_SIZE(body); i++) {
        owned PyObject *item = Py_NewRef(PySequence_Fast_GET_ITEM(body, i));

        if (piece_of(item, &piece) < 0 || response_body(response, piece) < 0)
            return -1;
    }
    return 0;
}

/* len(body) == 1 promises that its one item is all (PEP 3333). */
static bool has_one_item(PyObject *body)
{
    lenfunc length = (lenfunc)PyType_GetSlot(Py_TYPE(body), Py_sq_length);
    Py_ssize_t n = length ? length(body) : 0;

    if (n < 0)
        PyErr_Clear();
    return n == 1;
}

static bool is_complete(const struct response *response)
{
    return response->length >= 0 &&
           response->sent >= (uint64_t)response->length;
}

/*
 * The head waits for the first item that has bytes. Each item is sent before
 * the next is asked for, except when it completes the announced length.
 */
static int send_iterable(struct response *response, PyObject *body)
{
    bool one = has_one_item(body);
    owned PyObject *iterator = PyObject_GetIter(body);
    PyObject *next;

    if (!iterator)
        return -1;
    while ((next = PyIter_Next(iterator))) {
        owned PyObject *item = next;
        struct bytes piece;

        if (piece_of(item, &piece) < 0)
            return -1;
        if (piece.n == 0)
            continue;
        if (response_head(response, one ? (int64_t)piece.n : -1) < 0 ||
            response_body(response, piece) < 0)
            return -1;
        if (response->no_body)
            return 0;
        if (!is_complete(response) && response_flush(response) < 0)
            return -1;
    }
    return PyErr_Occurred() ? -1 : 0;
}

static int send_wrapped(struct wsgi *wsgi, struct response *response,
                        PyObject *body)
{
    uint64_t off, len;
    int fd;

    /* write() may have begun a chunked body. */
    if (response->chunked ||
        !filewrapper_range(&wsgi->files, body, &fd, &off, &len))
        return send_iterable(response, body);
    if (response_head(response, (int64_t)len) < 0)
        return -1;
    return response_file(response, fd, off, len);
}

static int send_body(struct wsgi *wsgi, struct response *response,
                     PyObject *body)
{
    int rc;

    if (PyList_CheckExact(body) || PyTuple_CheckExact(body))
        rc = send_sequence(response, body);
    else if (filewrapper_is(&wsgi->files, body))
        rc = send_wrapped(wsgi, response, body);
    else
        rc = send_iterable(response, body);
    return rc < 0 ? -1 : response_finish(response);
}

/* What is written leaves before a close() that may take its time. */
static int close_body(struct wsgi *wsgi, struct response *response,
                      PyObject *body)
{
    owned PyObject *close = NULL;
    owned PyObject *nothing = NULL;

    if (PyList_CheckExact(body) || PyTuple_CheckExact(body))
        return 0;
    close = PyObject_GetAttr(body, wsgi->close_name);
    if (!close) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError))
            return -1;
        PyErr_Clear();
        return 0;
    }
    exchange_publish(response->writer);
    nothing = PyObject_CallNoArgs(close);
    return nothing ? 0 : -1;
}

static void fail(struct wsgi *wsgi, struct response *response)
{
    log_exception(wsgi, response);
    response_fail(response);
}

static void answer(struct wsgi *wsgi, struct response *response,
                   PyObject *environ)
{
    /* The first place is the callee's to use. */
    PyObject *args[] = {NULL, environ, response->responder[RESPONDER_START]};
    owned PyObject *body = PyObject_Vectorcall(
        wsgi->application, args + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);

    if (!body || send_body(wsgi, response, body) < 0)
        fail(wsgi, response);
    /* The response is complete: a failing close() cannot change it. */
    if (body && close_body(wsgi, response, body) < 0)
        log_exception(wsgi, response);
}

bool wsgi_serve(struct wsgi *wsgi, struct response *response,
                struct exchange_writer *writer)
{
    owned PyObject *environ = NULL;
    PyObject *input = NULL;

    if (response_begin(response, &wsgi->responses, writer) == 0)
        input = input_new(&wsgi->inputs, writer);
    if (input)
        environ = environ_make(&wsgi->environ, writer->arena, writer->x, input,
                               response->responder[RESPONDER_HINTS]);
    if (environ)
        answer(wsgi, response, environ);
    else
        fail(wsgi, response);
    Py_CLEAR(environ);
    if (input)
        input_end(&wsgi->inputs, input);
    response_end(response);
    writer->x->out_bytes = response->sent;
    exchange_finish(writer);
    return !response->quit;
}
