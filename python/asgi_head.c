/* SPDX-License-Identifier: MIT */
#include "asgi_state.h"
#include "head.h"
#include "core/exchange_writer.h"
#include "core/http_write.h"

#include <string.h>

static char *put(char *to, struct bytes text)
{
    memcpy(to, text.p, text.n);
    return to + text.n;
}

static int bytes_of_object(PyObject *object, struct bytes *ret_bytes)
{
    if (unlikely(!PyBytes_Check(object))) {
        PyErr_Format(PyExc_TypeError,
                     "header names and values must be bytes, not %R",
                     (PyObject *)Py_TYPE(object));
        return -1;
    }
    *ret_bytes = (struct bytes){PyBytes_AS_STRING(object),
                                (size_t)PyBytes_GET_SIZE(object)};
    return 0;
}

/* 1: the field is to be sent; 0: it is not; -1: exception. */
static int check_field(struct cycle *cycle, struct bytes name,
                       struct bytes value)
{
    if (!http_is_token(name) || !http_is_value(value)) {
        PyErr_Format(PyExc_ValueError, "invalid response header %.100s",
                     http_is_token(name) ? "value" : "name");
        return -1;
    }
    if (name.n == 14 && bytes_equal_nocase(name, BYTES("content-length")))
        return head_set_length(&cycle->length, value);
    if (name.n == 10 && bytes_equal_nocase(name, BYTES("connection")) &&
        bytes_equal_nocase(value, BYTES("close")))
        cycle->keep_alive = false;
    return !head_is_servers(name);
}

static char *put_field(char *to, struct bytes name, struct bytes value)
{
    to = put(to, name);
    to = put(to, BYTES(": "));
    to = put(to, value);
    return put(to, BYTES("\r\n"));
}

/*
 * Checks the fields and returns the bytes they take, or -1; with `to` also
 * writes those that are to be sent. A field may be any pair.
 */
static int64_t fields(struct cycle *cycle, PyObject *headers, char *to,
                      char **ret_end)
{
    owned PyObject *list = PySequence_Fast(headers,
                                           "headers must be an iterable");
    int64_t bytes = 0;
    Py_ssize_t i;

    cycle->length = -1;
    for (i = 0; list && i < PySequence_Fast_GET_SIZE(list); i++) {
        owned PyObject *pair = PySequence_Fast(
            PySequence_Fast_GET_ITEM(list, i), "a header must be a pair");
        struct bytes name, value;
        int rc;

        if (!pair)
            return -1;
        if (PySequence_Fast_GET_SIZE(pair) != 2) {
            PyErr_SetString(PyExc_ValueError, "a header must be a pair");
            return -1;
        }
        if (bytes_of_object(PySequence_Fast_GET_ITEM(pair, 0), &name) < 0 ||
            bytes_of_object(PySequence_Fast_GET_ITEM(pair, 1), &value) < 0)
            return -1;
        rc = check_field(cycle, name, value);
        if (rc < 0)
            return -1;
        bytes += (int64_t)(name.n + value.n + 4);
        if (rc > 0 && to)
            to = put_field(to, name, value);
    }
    if (ret_end)
        *ret_end = to;
    return list ? bytes : -1;
}

static char *put_line(struct cycle *cycle, char *to)
{
    const struct http_request *request = &cycle->writer.x->request;
    bool old = request->version_minor == 0 && !(request->flags & HTTP_GATEWAY);
    int n = snprintf(to, 96, "HTTP/1.%d %d %s\r\n", !old, cycle->status,
                     http_reason(cycle->status));

    return put(to + n, stamp_now(&cycle->asgi->stamp));
}

/* The head goes where the response begins, and is not visible there yet. */
int asgi_head(struct cycle *cycle, long status, PyObject *headers)
{
    int64_t bytes, room;
    char *to, *end;

    if (status < 200 || status > 999) {
        PyErr_Format(PyExc_ValueError, "invalid status %ld", status);
        return -1;
    }
    cycle->status = (int)status;
    bytes = fields(cycle, headers, NULL, NULL);
    if (bytes < 0)
        return -1;
    bytes += 256;
    room = exchange_room(&cycle->writer, &to);
    if (likely(room >= bytes + ASGI_TAIL_BYTES)) {
        if (fields(cycle, headers, put_line(cycle, to), &end) < 0)
            return -1;
        exchange_wrote(&cycle->writer, (uint32_t)(end - to));
        return 0;
    }
    cycle->big_head = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)bytes);
    if (!cycle->big_head)
        return -1;
    to = PyBytes_AS_STRING(cycle->big_head);
    if (fields(cycle, headers, put_line(cycle, to), &end) < 0)
        return -1;
    return _PyBytes_Resize(&cycle->big_head, end - to);
}

/* How the body's end will be known (RFC 9112 6.3). */
static void choose_framing(struct cycle *cycle, int64_t total)
{
    const struct http_request *request = &cycle->writer.x->request;
    bool old = request->version_minor == 0;

    if (cycle->status == 204 || cycle->status == 304)
        cycle->no_body = true;
    if (cycle->status == 204)
        cycle->length = -1;
    else if (cycle->length < 0 && total >= 0 && !cycle->no_body)
        cycle->length = total;
    if (cycle->length >= 0 || cycle->no_body)
        return;
    cycle->chunked = !old;
    if (old)
        cycle->keep_alive = false;
}

size_t asgi_head_tail(struct cycle *cycle, int64_t total, char *line,
                      uint32_t *ret_connection_off)
{
    char *p = put(line, BYTES("Connection: "));

    choose_framing(cycle, total);
    *ret_connection_off = cycle->keep_alive ? (uint32_t)(p - line) : 0;
    p = put(p,
            cycle->keep_alive ? BYTES("keep-alive\r\n") : BYTES("close\r\n"));
    if (cycle->chunked)
        p = put(p, BYTES("Transfer-Encoding: chunked\r\n"));
    else if (cycle->length >= 0)
        p += snprintf(p, 48, "Content-Length: %lld\r\n",
                      (long long)cycle->length);
    p = put(p, BYTES("\r\n"));
    return (size_t)(p - line);
}

PyObject *asgi_head_lines(struct cycle *cycle, struct bytes first,
                          PyObject *headers)
{
    int64_t length = cycle->length;
    bool keep_alive = cycle->keep_alive;
    int64_t bytes = fields(cycle, headers, NULL, NULL);
    owned PyObject *lines = NULL;
    char *to, *end;

    if (bytes >= 0)
        lines = PyBytes_FromStringAndSize(NULL, bytes + (int64_t)first.n + 2);
    if (!lines)
        return NULL;
    to = PyBytes_AS_STRING(lines);
    if (fields(cycle, headers, put(to, first), &end) < 0)
        return NULL;
    end = put(end, BYTES("\r\n"));
    cycle->length = length;
    cycle->keep_alive = keep_alive;
    if (_PyBytes_Resize(&lines, end - to) < 0)
        return NULL;
    return give(&lines);
}
