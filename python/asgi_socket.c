/* SPDX-License-Identifier: MIT */
#include "asgi_state.h"

#include "core/exchange_request.h"
#include "core/exchange_stream.h"
#include "core/exchange_writer.h"
#include "core/ws.h"

#include <string.h>

/*
 * A WebSocket: the worker has taken the frames apart and left notes in the
 * stream; what is sent are notes, too, of which it makes frames.
 */

bool asgi_socket_asked(const struct exchange_writer *writer)
{
    const struct arena *arena = writer->arena;
    const struct exchange *x = writer->x;

    return x->request.flags & HTTP_UPGRADE_ASKED &&
           x->request.method_id == HTTP_METHOD_GET &&
           x->body_kind == EXCHANGE_BODY_NONE &&
           bytes_equal_nocase(exchange_field(arena, x, BYTES("upgrade")),
                              BYTES("websocket")) &&
           bytes_equal(exchange_field(arena, x, BYTES("sec-websocket-version")),
                       BYTES("13")) &&
           ws_key_is_valid(
               exchange_field(arena, x, BYTES("sec-websocket-key")));
}

static PyObject *event(struct cycle *cycle, enum asgi_word type,
                       const char *key, PyObject *value)
{
    owned PyObject *given = value;
    owned PyObject *dict = PyDict_New();

    if (!dict || (key && !given) ||
        PyDict_SetItem(dict, asgi_word(cycle, ASGI_TYPE),
                       asgi_word(cycle, type)) < 0 ||
        (key && PyDict_SetItemString(dict, key, given) < 0))
        return NULL;
    return give(&dict);
}

static PyObject *disconnect(struct cycle *cycle, long code, struct bytes reason)
{
    owned PyObject *text = PyUnicode_DecodeUTF8(reason.p, (Py_ssize_t)reason.n,
                                                "replace");
    owned PyObject *dict = event(cycle, ASGI_WS_DISCONNECT, "code",
                                 PyLong_FromLong(code));

    if (!text || !dict || PyDict_SetItemString(dict, "reason", text) < 0)
        return NULL;
    cycle->closed_code = (uint16_t)code;
    return give(&dict);
}

/* A note and its payload: the worker makes frames of them. */
static void add_note(struct cycle *cycle, const struct exchange_note *what,
                     const char *payload)
{
    char *line = cycle->rest.line;

    memcpy(line, what, sizeof(*what));
    if (what->len <= WS_CONTROL_MAX) { /* copied: it may be on the stack */
        memcpy(line + sizeof(*what), payload, what->len);
        asgi_rest_add(cycle, (struct bytes){line, sizeof(*what) + what->len});
        return;
    }
    asgi_rest_add(cycle, (struct bytes){line, sizeof(*what)});
    asgi_rest_add(cycle, (struct bytes){payload, what->len});
}

/* The last note; the worker does the rest of the closing handshake. */
static void add_close(struct cycle *cycle, uint32_t code, struct bytes reason)
{
    struct exchange_note what = {.len = (uint32_t)reason.n,
                                 .kind = WS_CLOSE,
                                 .last = 1,
                                 .code = (uint16_t)code};

    add_note(cycle, &what, reason.p);
    cycle->rest.last = true;
}

/* Closes from our side, unless something is on its way: then it is cut. */
void asgi_socket_close(struct cycle *cycle, uint32_t code)
{
    if (!asgi_is_running(cycle) || cycle->gone)
        return;
    if (!asgi_rest_is_empty(cycle)) {
        asgi_fail(cycle);
        return;
    }
    cycle->closed_code = (uint16_t)code;
    add_close(cycle, code, BYTES(""));
    asgi_push(cycle);
}

bool asgi_socket_is_quiet(const struct cycle *cycle)
{
    return exchange_stream_left(cycle->writer.x) == 0 &&
           asgi_rest_is_empty(cycle) && asgi_await_receives(cycle);
}

static int grow(struct cycle *cycle, size_t n, char **ret_to)
{
    Py_ssize_t before = cycle->message ? PyBytes_GET_SIZE(cycle->message) : 0;

    if (!cycle->message)
        cycle->message = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)n);
    else
        _PyBytes_Resize(&cycle->message, before + (Py_ssize_t)n);
    if (!cycle->message)
        return -1;
    *ret_to = PyBytes_AS_STRING(cycle->message) + before;
    return 0;
}

static PyObject *message(struct cycle *cycle, bool text)
{
    owned PyObject *bytes = give(&cycle->message);

    if (!text)
        return event(cycle, ASGI_WS_RECEIVE, "bytes", give(&bytes));
    return event(cycle, ASGI_WS_RECEIVE, "text",
                 PyUnicode_DecodeUTF8(PyBytes_AS_STRING(bytes),
                                      PyBytes_GET_SIZE(bytes), "strict"));
}

static void drop(struct cycle *cycle, size_t n)
{
    /* Also when it is empty: the worker gives the chunk back. */
    if (exchange_stream_drop(cycle->writer.x, n) ||
        exchange_stream_left(cycle->writer.x) == 0)
        exchange_nudge(&cycle->writer);
}

/* False when there is none, or not all of it. */
static bool next_note(struct cycle *cycle, struct exchange_note *ret_note)
{
    const struct exchange *x = cycle->writer.x;
    size_t left = exchange_stream_left(x);

    return left >= sizeof(*ret_note) &&
           exchange_stream_peek(cycle->writer.arena, x, 0, ret_note,
                                sizeof(*ret_note)) &&
           ret_note->len <= left - sizeof(*ret_note);
}

/* The client is gone, or will be: nothing it is sent would arrive. */
static PyObject *on_close(struct cycle *cycle, const struct exchange_note *what)
{
    char reason[WS_CONTROL_MAX];
    struct bytes text = {reason, min_u64(what->len, sizeof(reason))};

    if (!exchange_stream_peek(cycle->writer.arena, cycle->writer.x,
                              sizeof(*what), reason, text.n))
        text.n = 0;
    drop(cycle, sizeof(*what) + what->len);
    cycle->gone = true;
    asgi_rest_drop(cycle);
    asgi_complete(cycle);
    return disconnect(cycle, what->code, text);
}

static PyObject *on_data(struct cycle *cycle, const struct exchange_note *what)
{
    char *to;

    if (grow(cycle, what->len, &to) < 0)
        return NULL;
    if (!exchange_stream_peek(cycle->writer.arena, cycle->writer.x,
                              sizeof(*what), to, what->len)) {
        PyErr_SetString(PyExc_OSError, "damaged exchange");
        return NULL;
    }
    if (what->last)
        atomic_fetch_add(&cycle->writer.x->in_taken, 1);
    drop(cycle, sizeof(*what) + what->len);
    return what->last ? message(cycle, what->kind == WS_TEXT) : NULL;
}

static bool is_lost(const struct cycle *cycle)
{
    const struct exchange *x = cycle->writer.x;

    return !x || cycle->gone || exchange_is_cancelled(&cycle->writer) ||
           atomic_load(&x->body_state) == EXCHANGE_BODY_FAILED ||
           atomic_load(&x->flags) & EXCHANGE_PEER_DONE;
}

PyObject *asgi_socket_receive(struct cycle *cycle)
{
    struct exchange_note what;

    if (!cycle->body_over) {
        cycle->body_over = true;
        return event(cycle, ASGI_WS_CONNECT, NULL, NULL);
    }
    /* What it said before it left is there, too. */
    while (asgi_is_running(cycle) && next_note(cycle, &what)) {
        PyObject *result = what.kind == WS_TEXT || what.kind == WS_BINARY
                               ? on_data(cycle, &what)
                               : on_close(cycle, &what);

        if (result || PyErr_Occurred())
            return result;
    }
    if (!is_lost(cycle))
        return NULL;
    return disconnect(cycle,
                      cycle->closed_code ? cycle->closed_code : WS_ABNORMAL,
                      BYTES(""));
}

/* The field of the 101 that the worker does not write, or nothing. */
static PyObject *first_lines(PyObject *subprotocol)
{
    const char *protocol;
    Py_ssize_t n;

    if (!subprotocol || subprotocol == Py_None)
        return PyBytes_FromString("");
    protocol = PyUnicode_AsUTF8AndSize(subprotocol, &n);
    if (!protocol)
        return NULL;
    if (!http_is_token((struct bytes){protocol, (size_t)n})) {
        PyErr_SetString(PyExc_ValueError, "invalid subprotocol");
        return NULL;
    }
    return PyBytes_FromFormat("Sec-WebSocket-Protocol: %s\r\n", protocol);
}

static int on_accept(struct cycle *cycle, PyObject *given)
{
    PyObject *headers = asgi_value(cycle, given, ASGI_HEADERS);
    struct exchange_note what = {.kind = EXCHANGE_NOTE_ACCEPT, .last = 1};
    owned PyObject *none = PyTuple_New(0);
    owned PyObject *first = NULL;

    if (cycle->stage != ASGI_WAITS) {
        PyErr_SetString(PyExc_RuntimeError, "it was accepted or denied before");
        return -1;
    }
    first = first_lines(asgi_value(cycle, given, ASGI_SUBPROTOCOL));
    if (!first || !none)
        return -1;
    cycle->rest.keep[0] =
        asgi_head_lines(cycle,
                        (struct bytes){PyBytes_AS_STRING(first),
                                       (size_t)PyBytes_GET_SIZE(first)},
                        headers && headers != Py_None ? headers : none);
    if (!cycle->rest.keep[0])
        return -1;
    what.len = (uint32_t)PyBytes_GET_SIZE(cycle->rest.keep[0]);
    cycle->status = 101;
    cycle->is_open = cycle->begun;
    cycle->asgi->sockets += cycle->is_open;
    cycle->writer.x->status = 101;
    cycle->writer.x->out_flags |= EXCHANGE_OUT_CLOSE | EXCHANGE_OUT_SOCKET;
    add_note(cycle, &what, PyBytes_AS_STRING(cycle->rest.keep[0]));
    cycle->stage = ASGI_SENDING;
    return 0;
}

static int add_message(struct cycle *cycle, enum ws_opcode opcode,
                       const char *payload, Py_ssize_t n)
{
    struct exchange_note what = {.kind = (uint8_t)opcode, .last = 1};

    if (n > UINT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "the message is too long");
        return -1;
    }
    what.len = (uint32_t)n;
    cycle->sent += (uint64_t)n;
    add_note(cycle, &what, payload);
    return 0;
}

static int on_send(struct cycle *cycle, PyObject *given)
{
    PyObject *text = asgi_value(cycle, given, ASGI_TEXT);
    PyObject *bytes = asgi_value(cycle, given, ASGI_BYTES);
    const char *payload;
    Py_ssize_t n;

    if (cycle->stage != ASGI_SENDING || cycle->status != 101) {
        PyErr_SetString(PyExc_RuntimeError, "the WebSocket is not open");
        return -1;
    }
    if (bytes && bytes != Py_None) {
        cycle->rest.keep[0] = PyBytes_FromObject(bytes);
        if (!cycle->rest.keep[0])
            return -1;
        return add_message(cycle, WS_BINARY,
                           PyBytes_AS_STRING(cycle->rest.keep[0]),
                           PyBytes_GET_SIZE(cycle->rest.keep[0]));
    }
    payload = text ? PyUnicode_AsUTF8AndSize(text, &n) : NULL;
    if (!payload) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_KeyError, "text or bytes");
        return -1;
    }
    cycle->rest.keep[0] = Py_NewRef(text);
    return add_message(cycle, WS_TEXT, payload, n);
}

/* Before it was accepted, a close is a denial: 403. */
static int deny(struct cycle *cycle)
{
    owned PyObject *none = PyTuple_New(0);

    if (!none || asgi_head(cycle, 403, none) < 0)
        return -1;
    cycle->stage = ASGI_STARTED;
    cycle->keep_alive = false;
    asgi_rest_finish(cycle);
    return 0;
}

static int on_close_message(struct cycle *cycle, PyObject *given)
{
    PyObject *code = asgi_value(cycle, given, ASGI_CODE);
    PyObject *reason = asgi_value(cycle, given, ASGI_REASON);
    struct bytes text = {"", 0};
    long number = code && code != Py_None ? PyLong_AsLong(code) : WS_NORMAL;

    if (cycle->stage == ASGI_WAITS)
        return deny(cycle);
    if (reason && reason != Py_None) {
        Py_ssize_t n;

        text.p = PyUnicode_AsUTF8AndSize(reason, &n);
        if (!text.p)
            return -1;
        text.n = (size_t)n;
    }
    if (!ws_code_is_valid((uint32_t)number) || number < 0 || text.n > 123) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError,
                            "not a close code that may be sent, or a reason "
                            "of more than 123 bytes");
        return -1;
    }
    cycle->closed_code = (uint16_t)number;
    add_close(cycle, (uint32_t)number, text);
    return 0;
}

/* 1: not a message of a WebSocket. */
int asgi_socket_take(struct cycle *cycle, PyObject *given, PyObject *type)
{
    if (PyUnicode_Compare(type, asgi_word(cycle, ASGI_WS_SEND)) == 0)
        return on_send(cycle, given);
    if (PyUnicode_Compare(type, asgi_word(cycle, ASGI_WS_ACCEPT)) == 0)
        return on_accept(cycle, given);
    if (PyUnicode_Compare(type, asgi_word(cycle, ASGI_WS_CLOSE)) == 0)
        return on_close_message(cycle, given);
    return 1;
}
