/* SPDX-License-Identifier: MIT */
#include "head.h"
#include "core/exchange_writer.h"
#include "core/http_write.h"

#define LENGTH_MAX (INT64_MAX / 2)

/* Where a head is written: the chunk, or a bytes object of its own. */
struct head_to {
    char *p;
    char *end;
};

static bool put(struct head_to *to, struct bytes text)
{
    if ((size_t)(to->end - to->p) < text.n)
        return false;
    memcpy(to->p, text.p, text.n);
    to->p += text.n;
    return true;
}

/* A str of Latin-1 characters as bytes; false for anything else. */
static bool latin1_of(PyObject *text, struct bytes *ret_bytes)
{
    if (!PyUnicode_Check(text) || PyUnicode_KIND(text) != PyUnicode_1BYTE_KIND)
        return false;
    *ret_bytes = (struct bytes){(const char *)PyUnicode_1BYTE_DATA(text),
                                (size_t)PyUnicode_GET_LENGTH(text)};
    return true;
}

/* Fields about the connection are the server's business (PEP 3333). */
bool head_is_servers(struct bytes name)
{
    static const struct bytes servers[] = {
        {"te", 2},
        {"date", 4},
        {"server", 6},
        {"upgrade", 7},
        {"trailers", 8},
        {"connection", 10},
        {"keep-alive", 10},
        {"transfer-encoding", 17},
        {"proxy-authenticate", 18},
        {"proxy-authorization", 19},
    };
    size_t i;

    for (i = 0; i < ARRAY_SIZE(servers); i++)
        if (bytes_equal_nocase(name, servers[i]))
            return true;
    return false;
}

int head_set_length(int64_t *ret_length, struct bytes value)
{
    int64_t length = 0;
    size_t i;

    while (value.n > 0 && (*value.p == ' ' || *value.p == '\t'))
        value = (struct bytes){value.p + 1, value.n - 1};
    while (value.n > 0 &&
           (value.p[value.n - 1] == ' ' || value.p[value.n - 1] == '\t'))
        value.n--;
    for (i = 0; i < value.n; i++) {
        if (value.p[i] < '0' || value.p[i] > '9' || length > LENGTH_MAX / 10)
            break;
        length = length * 10 + (value.p[i] - '0');
    }
    if (value.n == 0 || i < value.n) {
        PyErr_SetString(PyExc_ValueError,
                        "Content-Length must be a decimal number");
        return -1;
    }
    if (*ret_length >= 0 && *ret_length != length) {
        PyErr_SetString(PyExc_ValueError,
                        "Content-Length given twice, with different values");
        return -1;
    }
    *ret_length = length;
    return 0;
}

static int refuse(const char *what, PyObject *culprit)
{
    PyErr_Format(PyExc_ValueError, "invalid %s %R", what, culprit);
    return -1;
}

/* 1: the field is to be sent; 0: it is not; -1: exception. */
static int check_field(struct response *response, PyObject *pair,
                       struct bytes *ret_name, struct bytes *ret_value)
{
    PyObject *name, *value;

    if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) {
        PyErr_Format(PyExc_TypeError,
                     "a response header must be a (name, value) tuple, not %R",
                     pair);
        return -1;
    }
    name = PyTuple_GET_ITEM(pair, 0);
    value = PyTuple_GET_ITEM(pair, 1);
    if (!PyUnicode_Check(name) || !PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError,
                     "response header names and values must be str, not %R",
                     pair);
        return -1;
    }
    if (!latin1_of(name, ret_name) || !http_is_token(*ret_name))
        return refuse("response header name", name);
    if (!latin1_of(value, ret_value) || !http_is_value(*ret_value))
        return refuse("response header value", value);
    if (ret_name->n == 14 &&
        bytes_equal_nocase(*ret_name, BYTES("content-length")))
        return head_set_length(&response->length, *ret_value);
    return !head_is_servers(*ret_name);
}

static bool put_field(struct head_to *to, struct bytes name, struct bytes value)
{
    char *p = to->p;

    if ((size_t)(to->end - p) < name.n + value.n + 4)
        return false;
    memcpy(p, name.p, name.n);
    p += name.n;
    *p++ = ':';
    *p++ = ' ';
    memcpy(p, value.p, value.n);
    p += value.n;
    *p++ = '\r';
    *p++ = '\n';
    to->p = p;
    return true;
}

/* 1: written; 0: no room; -1: exception. */
static int put_fields(struct response *response, struct head_to *to,
                      PyObject *fields)
{
    Py_ssize_t i;

    response->length = -1;
    for (i = 0; i < PySequence_Fast_GET_SIZE(fields); i++) {
        struct bytes name, value;
        int rc = check_field(response, PySequence_Fast_GET_ITEM(fields, i),
                             &name, &value);

        if (rc < 0)
            return -1;
        if (rc > 0 && !put_field(to, name, value))
            return 0;
    }
    return 1;
}

static bool put_status(struct response *response, struct head_to *to,
                       struct bytes status)
{
    const struct http_request *request = &response->writer->x->request;
    bool old = request->version_minor == 0 && !(request->flags & HTTP_GATEWAY);

    return put(to, old ? BYTES("HTTP/1.0 ") : BYTES("HTTP/1.1 ")) &&
           put(to, status) &&
           /* The blank is due also where no reason follows (RFC 9112 4). */
           put(to, status.n == 3 ? BYTES(" \r\n") : BYTES("\r\n")) &&
           put(to, stamp_now(&response->kit->stamp));
}

static int check_status(struct response *response, PyObject *status,
                        struct bytes *ret_text)
{
    struct bytes text;
    int code;

    if (!PyUnicode_Check(status)) {
        PyErr_Format(PyExc_TypeError, "status must be str, not %R", status);
        return -1;
    }
    if (!latin1_of(status, &text) || text.n < 3 || !http_is_value(text) ||
        (text.n > 3 && text.p[3] != ' '))
        return refuse("status", status);
    code = (text.p[0] - '0') * 100 + (text.p[1] - '0') * 10 + text.p[2] - '0';
    if (text.p[0] < '1' || text.p[0] > '9' || text.p[1] < '0' ||
        text.p[1] > '9' || text.p[2] < '0' || text.p[2] > '9')
        return refuse("status", status);
    if (code < 200) {
        PyErr_Format(PyExc_ValueError,
                     "status %R is interim: it cannot end a request", status);
        return -1;
    }
    response->status = code;
    *ret_text = text;
    return 0;
}

/* An upper bound of the head's size; what is no str is refused later. */
static size_t head_bound(struct bytes status, PyObject *fields)
{
    size_t bytes = status.n + 256;
    Py_ssize_t i;

    for (i = 0; i < PySequence_Fast_GET_SIZE(fields); i++) {
        PyObject *pair = PySequence_Fast_GET_ITEM(fields, i);
        struct bytes name, value;

        if (PyTuple_Check(pair) && PyTuple_GET_SIZE(pair) == 2 &&
            latin1_of(PyTuple_GET_ITEM(pair, 0), &name) &&
            latin1_of(PyTuple_GET_ITEM(pair, 1), &value))
            bytes += name.n + value.n + 4;
    }
    return bytes;
}

/* A head that no chunk can hold is put together elsewhere. */
static int build_big(struct response *response, struct bytes status,
                     PyObject *fields)
{
    size_t bound = head_bound(status, fields);
    owned PyObject *head = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)bound);
    struct head_to to;

    if (!head)
        return -1;
    to.p = PyBytes_AS_STRING(head);
    to.end = to.p + bound;
    must(put_status(response, &to, status));
    if (put_fields(response, &to, fields) < 0)
        return -1;
    must(to.p <= to.end);
    bound = (size_t)(to.p - PyBytes_AS_STRING(head));
    if (_PyBytes_Resize(&head, (Py_ssize_t)bound) < 0)
        return -1;
    response->big_head = give(&head);
    return 0;
}

int head_build(struct response *response, PyObject *status_text,
               PyObject *fields)
{
    struct bytes status;
    struct head_to to;
    int64_t room;
    char *start;
    int rc;

    if (check_status(response, status_text, &status) < 0)
        return -1;
    exchange_rewind(response->writer);
    Py_CLEAR(response->big_head);
    while ((room = exchange_room(response->writer, &start)) < 0)
        if (response_wait(response, room) < 0)
            return response->gone ? 0 : -1;
    to.p = start;
    to.end = start + (room > HEAD_TAIL_BYTES ? room - HEAD_TAIL_BYTES : 0);
    rc = put_status(response, &to, status) ? put_fields(response, &to, fields)
                                           : 0;
    if (rc < 0)
        return -1;
    if (rc == 0)
        return build_big(response, status, fields);
    exchange_wrote(response->writer, (uint32_t)(to.p - start));
    return 0;
}

int head_hints(struct response *response, PyObject *fields)
{
    struct response check = {.length = -1};
    struct head_to to;
    int64_t room;
    char *begin;
    int rc;

    /* Too late, or to a client that does not know them. */
    if (response->started || response->writer->x->request.version_minor == 0)
        return 0;
    room = exchange_room(response->writer, &begin);
    if (room < 0)
        return 0; /* hints are not worth a wait */
    to = (struct head_to){begin, begin + room};
    if (!put(&to, BYTES("HTTP/1.1 103 Early Hints\r\n")))
        return 0;
    rc = put_fields(&check, &to, fields);
    if (rc <= 0 || !put(&to, BYTES("\r\n")))
        return rc < 0 ? -1 : 0;
    exchange_wrote(response->writer, (uint32_t)(to.p - begin));
    return response_flush(response);
}
