/* SPDX-License-Identifier: MIT */
#include "asgi_state.h"

#include "core/exchange_request.h"
#include "core/exchange_stream.h"
#include "core/exchange_writer.h"

/* A body that is complete comes in pieces of at most this size. */
#define PIECE_BYTES (256U << 10)

static PyObject *message(struct cycle *cycle, PyObject *body, bool more)
{
    owned PyObject *given = body;
    owned PyObject *dict = body ? PyDict_New() : NULL;

    if (!dict ||
        PyDict_SetItem(dict, asgi_word(cycle, ASGI_TYPE),
                       asgi_word(cycle, ASGI_HTTP_REQUEST)) < 0 ||
        PyDict_SetItem(dict, asgi_word(cycle, ASGI_BODY), given) < 0 ||
        PyDict_SetItem(dict, asgi_word(cycle, ASGI_MORE_BODY),
                       more ? Py_True : Py_False) < 0)
        return NULL;
    cycle->body_over = !more;
    return give(&dict);
}

static PyObject *disconnect(struct cycle *cycle)
{
    owned PyObject *dict = PyDict_New();

    if (!dict || PyDict_SetItem(dict, asgi_word(cycle, ASGI_TYPE),
                                asgi_word(cycle, ASGI_HTTP_DISCONNECT)) < 0)
        return NULL;
    return give(&dict);
}

static PyObject *whole(struct cycle *cycle)
{
    const struct exchange *x = cycle->writer.x;
    uint64_t left = x->body_bytes - min_u64(cycle->body_pos, x->body_bytes);
    size_t n = min_u64(left, PIECE_BYTES);
    owned PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)n);
    int64_t got;

    if (!bytes)
        return NULL;
    got = n == 0 ? 0
                 : exchange_body_read(cycle->writer.arena, x, cycle->body_pos,
                                      PyBytes_AS_STRING(bytes), n);
    if (got != (int64_t)n) {
        errno = got < 0 ? (int)-got : EIO;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    cycle->body_pos += n;
    return message(cycle, give(&bytes), left > n);
}

/* The state was read before what is left is: COMPLETE means no more comes. */
static PyObject *streamed(struct cycle *cycle, bool complete)
{
    struct exchange *x = cycle->writer.x;
    size_t n = exchange_stream_left(x);
    owned PyObject *bytes = NULL;

    if (n == 0 && !complete)
        return NULL;
    bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)n);
    if (!bytes)
        return NULL;
    if (!exchange_stream_peek(cycle->writer.arena, x, 0,
                              PyBytes_AS_STRING(bytes), n)) {
        PyErr_SetString(PyExc_OSError, "damaged exchange");
        return NULL;
    }
    if (exchange_stream_drop(x, n))
        exchange_nudge(&cycle->writer);
    return message(cycle, give(&bytes), !complete);
}

PyObject *asgi_receive(struct cycle *cycle)
{
    struct exchange *x = cycle->writer.x;
    enum exchange_body_state state;

    if (cycle->is_socket)
        return asgi_socket_receive(cycle);
    if (!x || cycle->gone || exchange_is_cancelled(&cycle->writer))
        return disconnect(cycle);
    if (cycle->body_over)
        return atomic_load(&x->flags) & EXCHANGE_PEER_DONE ? disconnect(cycle)
                                                           : NULL;
    state = (enum exchange_body_state)atomic_load(&x->body_state);
    switch (state) {
    case EXCHANGE_BODY_COMPLETE:
        return x->body_kind == EXCHANGE_BODY_STREAM ? streamed(cycle, true)
                                                    : whole(cycle);
    case EXCHANGE_BODY_PENDING:
        exchange_body_want(&cycle->writer);
        return NULL;
    case EXCHANGE_BODY_WANTED:
        return NULL;
    case EXCHANGE_BODY_STREAMING:
        return streamed(cycle, false);
    case EXCHANGE_BODY_FAILED:
        return disconnect(cycle);
    }
    return NULL;
}
