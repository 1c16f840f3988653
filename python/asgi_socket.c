/* SPDX-License-Identifier: MIT */
#include "asgi_state.h"

#include "core/exchange_stream.h"
#include "core/ws.h"

#include <string.h>

/*
 * A WebSocket: the worker has taken the frames apart and left notes in the
 * stream; what is sent are frames, written here one after the other.
 */

static struct bytes field_of(const struct exchange_writer *writer,
                             struct bytes name)
{
    const char *head = exchange_head(writer->arena, writer->x);
    const struct http_field *fields = exchange_fields(writer->arena, writer->x);
    uint32_t i;

    for (i = 0; head && fields && i < writer->x->request.field_count; i++) {
        struct http_field field = fields[i];

        if (bytes_equal_nocase(
                exchange_span(writer->x, head, field.name_off, field.name_len),
                name))
            return exchange_span(writer->x, head, field.value_off,
                                 field.value_len);
    }
    return (struct bytes){"", 0};
}

bool asgi_socket_asked(const struct exchange_writer *writer)
{
    const struct http_request *request = &writer->x->request;

    return request->flags & HTTP_UPGRADE_ASKED &&
           request->method_id == HTTP_METHOD_GET &&
           writer->x->body_kind == EXCHANGE_BODY_NONE &&
           bytes_equal_nocase(field_of(writer, BYTES("upgrade")),
                              BYTES("websocket")) &&
           bytes_equal(field_of(writer, BYTES("sec-websocket-version")),
                       BYTES("13")) &&
           ws_key_is_valid(field_of(writer, BYTES("sec-websocket-key")));
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

static void add_frame(struct cycle *cycle, enum ws_opcode opcode,
                      struct bytes payload)
{
    char *line = cycle->rest.line;
    size_t n = ws_head(line, opcode, payload.n);

    if (payload.n <= WS_CONTROL_MAX) { /* copied: it may be on the stack */
        memcpy(line + n, payload.p, payload.n);
        asgi_rest_add(cycle, (struct bytes){line, n + payload.n});
        return;
    }
    asgi_rest_add(cycle, (struct bytes){line, n});
    asgi_rest_add(cycle, payload);
}

/* The last frame; the connection ends behind it. */
static void add_close(struct cycle *cycle, uint32_t code, struct bytes reason)
{
    char payload[WS_CONTROL_MAX];
    size_t n = 0;

    if (code != WS_NO_STATUS) {
        payload[0] = (char)(code >> 8);
        payload[1] = (char)code;
        reason.n = min_u64(reason.n, sizeof(payload) - 2);
        memcpy(payload + 2, reason.p, reason.n);
        n = 2 + reason.n;
    }
    add_frame(cycle, WS_CLOSE, (struct bytes){payload, n});
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

/* A note about the connection. True when it was one and could be dealt with. */
static bool on_control(struct cycle *cycle, const struct exchange_note *what)
{
    char payload[WS_CONTROL_MAX] = "";
    size_t n = min_u64(what->len, sizeof(payload));

    if ((what->kind != WS_PING && what->kind != EXCHANGE_NOTE_TIME) ||
        !asgi_rest_is_empty(cycle))
        return false;
    if (!exchange_stream_peek(cycle->writer.arena, cycle->writer.x,
                              sizeof(*what), payload, n))
        return false;
    drop(cycle, sizeof(*what) + what->len);
    add_frame(cycle, what->kind == WS_PING ? WS_PONG : WS_PING,
              (struct bytes){payload, n});
    asgi_push(cycle);
    return true;
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

void asgi_socket_changed(struct cycle *cycle)
{
    struct exchange_note what;

    while (asgi_is_running(cycle) && next_note(cycle, &what) &&
           on_control(cycle, &what))
        continue;
}

/* The peer closes: it is answered, and that is the end. */
static PyObject *on_close(struct cycle *cycle, const struct exchange_note *what)
{
    char reason[WS_CONTROL_MAX];
    struct bytes text = {reason, min_u64(what->len, sizeof(reason))};
    uint32_t code = what->code;

    if (!exchange_stream_peek(cycle->writer.arena, cycle->writer.x,
                              sizeof(*what), reason, text.n))
        text.n = 0;
    drop(cycle, sizeof(*what) + what->len);
    asgi_socket_close(cycle, code);
    return disconnect(cycle, code, text);
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
    while (asgi_is_running(cycle) && !cycle->gone && next_note(cycle, &what)) {
        PyObject *result;

        if (on_control(cycle, &what))
            continue;
        if (what.kind == WS_PING || what.kind == EXCHANGE_NOTE_TIME)
            return NULL; /* a frame is on its way before it */
        result = what.kind == WS_TEXT || what.kind == WS_BINARY
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

/* "HTTP/1.1 101" and the fields that make it a WebSocket. */
static PyObject *first_lines(struct cycle *cycle, PyObject *subprotocol)
{
    char accept[WS_ACCEPT_LEN];
    const char *protocol = NULL;
    Py_ssize_t n = 0;

    ws_accept(field_of(&cycle->writer, BYTES("sec-websocket-key")), accept);
    if (subprotocol && subprotocol != Py_None) {
        protocol = PyUnicode_AsUTF8AndSize(subprotocol, &n);
        if (!protocol)
            return NULL;
        if (!http_is_token((struct bytes){protocol, (size_t)n})) {
            PyErr_SetString(PyExc_ValueError, "invalid subprotocol");
            return NULL;
        }
    }
    return PyBytes_FromFormat(
        "HTTP/1.1 101 Switching Protocols\r\nServer: gcorn\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: %.28s\r\n%s%s%s",
        accept, protocol ? "Sec-WebSocket-Protocol: " : "",
        protocol ? protocol : "", protocol ? "\r\n" : "");
}

static int on_accept(struct cycle *cycle, PyObject *given)
{
    PyObject *headers = asgi_value(cycle, given, ASGI_HEADERS);
    owned PyObject *none = PyTuple_New(0);
    owned PyObject *first = NULL;

    if (cycle->stage != ASGI_WAITS) {
        PyErr_SetString(PyExc_RuntimeError, "it was accepted or denied before");
        return -1;
    }
    first = first_lines(cycle, asgi_value(cycle, given, ASGI_SUBPROTOCOL));
    if (!first || !none)
        return -1;
    cycle->rest.keep[0] =
        asgi_head_lines(cycle,
                        (struct bytes){PyBytes_AS_STRING(first),
                                       (size_t)PyBytes_GET_SIZE(first)},
                        headers && headers != Py_None ? headers : none);
    if (!cycle->rest.keep[0])
        return -1;
    asgi_rest_add(
        cycle, (struct bytes){PyBytes_AS_STRING(cycle->rest.keep[0]),
                              (size_t)PyBytes_GET_SIZE(cycle->rest.keep[0])});
    cycle->status = 101;
    cycle->writer.x->status = 101;
    cycle->writer.x->out_flags |= EXCHANGE_OUT_CLOSE;
    cycle->stage = ASGI_SENDING;
    return 0;
}

static int on_send(struct cycle *cycle, PyObject *given)
{
    PyObject *text = asgi_value(cycle, given, ASGI_TEXT);
    PyObject *bytes = asgi_value(cycle, given, ASGI_BYTES);
    struct bytes payload;
    Py_ssize_t n;

    if (cycle->stage != ASGI_SENDING || cycle->status != 101) {
        PyErr_SetString(PyExc_RuntimeError, "the WebSocket is not open");
        return -1;
    }
    if (bytes && bytes != Py_None) {
        cycle->rest.keep[0] = PyBytes_FromObject(bytes);
        if (!cycle->rest.keep[0])
            return -1;
        payload = (struct bytes){PyBytes_AS_STRING(cycle->rest.keep[0]),
                                 (size_t)PyBytes_GET_SIZE(cycle->rest.keep[0])};
        add_frame(cycle, WS_BINARY, payload);
        return 0;
    }
    payload.p = text ? PyUnicode_AsUTF8AndSize(text, &n) : NULL;
    if (!payload.p) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_KeyError, "text or bytes");
        return -1;
    }
    payload.n = (size_t)n;
    cycle->rest.keep[0] = Py_NewRef(text);
    add_frame(cycle, WS_TEXT, payload);
    return 0;
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
