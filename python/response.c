/* SPDX-License-Identifier: MIT */
#include "response.h"

#include "core/log.h"

#include <structmember.h>

/* Kept free behind the application's fields for Connection and framing. */
#define TAIL_BYTES 128
#define LENGTH_MAX (INT64_MAX / 2)

struct responder {
    PyObject_HEAD
    vectorcallfunc call;
    struct response *response; /* NULL after the request */
};

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
    if (!PyUnicode_Check(text) || PyUnicode_READY(text) < 0 ||
        PyUnicode_KIND(text) != PyUnicode_1BYTE_KIND)
        return false;
    *ret_bytes = (struct bytes){(const char *)PyUnicode_1BYTE_DATA(text),
                                (size_t)PyUnicode_GET_LENGTH(text)};
    return true;
}

static int wait_for_room(struct response *response, int64_t why)
{
    if (why == -ECANCELED) {
        response->gone = true;
        return -1;
    }
    if (why != -EAGAIN) {
        PyErr_Format(PyExc_OSError, "response: %s", strerror((int)-why));
        return -1;
    }
    Py_BEGIN_ALLOW_THREADS
    exchange_wait(response->writer);
    Py_END_ALLOW_THREADS
    return 0;
}

static int send_bytes(struct response *response, struct bytes data)
{
    while (data.n > 0) {
        size_t done;
        int error = exchange_copy(response->writer, data, &done);

        data.p += done;
        data.n -= done;
        if (error && wait_for_room(response, error) < 0)
            return -1;
    }
    return 0;
}

/* Server and Date, made once a second. */
static void stamp_renew(struct response_kit *kit)
{
    struct timespec now;
    char date[HTTP_DATE_LEN];

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (likely(kit->date == now.tv_sec))
        return;
    kit->date = now.tv_sec;
    http_date(date, now.tv_sec);
    kit->stamp_len = (uint32_t)snprintf(kit->stamp, sizeof(kit->stamp),
                                        "Server: gcorn\r\nDate: %.*s\r\n",
                                        HTTP_DATE_LEN, date);
}

/* Fields about the connection are the server's business (PEP 3333). */
static bool is_servers(struct bytes name)
{
    static const struct bytes servers[] = {
        {"te", 2},          {"date", 4},
        {"server", 6},      {"upgrade", 7},
        {"trailers", 8},    {"connection", 10},
        {"keep-alive", 10}, {"transfer-encoding", 17},
        {"proxy-authenticate", 18},
        {"proxy-authorization", 19},
    };
    size_t i;

    for (i = 0; i < ARRAY_SIZE(servers); i++)
        if (bytes_equal_nocase(name, servers[i]))
            return true;
    return false;
}

static int set_length(struct response *response, struct bytes value)
{
    int64_t length = 0;
    size_t i;

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
    if (response->length >= 0 && response->length != length) {
        PyErr_SetString(PyExc_ValueError,
                        "Content-Length given twice, with different values");
        return -1;
    }
    response->length = length;
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
        return set_length(response, *ret_value);
    return !is_servers(*ret_name);
}

static bool put_field(struct head_to *to, struct bytes name,
                      struct bytes value)
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
    bool old = response->writer->x->request.version_minor == 0;

    stamp_renew(response->kit);
    return put(to, old ? BYTES("HTTP/1.0 ") : BYTES("HTTP/1.1 ")) &&
           put(to, status) && put(to, BYTES("\r\n")) &&
           put(to, (struct bytes){response->kit->stamp,
                                  response->kit->stamp_len});
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
    owned PyObject *head =
        PyBytes_FromStringAndSize(NULL, (Py_ssize_t)bound);
    struct head_to to;

    if (!head)
        return -1;
    to.p = PyBytes_AS_STRING(head);
    to.end = to.p + bound;
    must(put_status(response, &to, status));
    if (put_fields(response, &to, fields) < 0)
        return -1;
    bound = (size_t)(to.p - PyBytes_AS_STRING(head));
    if (_PyBytes_Resize(&head, (Py_ssize_t)bound) < 0)
        return -1;
    response->big_head = give(&head);
    return 0;
}

static int build_head(struct response *response, struct bytes status,
                      PyObject *fields)
{
    struct head_to to;
    int64_t room;
    char *start;
    int rc;

    exchange_rewind(response->writer);
    Py_CLEAR(response->big_head);
    while ((room = exchange_room(response->writer, &start)) < 0)
        if (wait_for_room(response, room) < 0)
            return response->gone ? 0 : -1;
    to.p = start;
    to.end = start + (room > TAIL_BYTES ? room - TAIL_BYTES : 0);
    rc = put_status(response, &to, status)
             ? put_fields(response, &to, fields)
             : 0;
    if (rc < 0)
        return -1;
    if (rc == 0)
        return build_big(response, status, fields);
    exchange_wrote(response->writer, (uint32_t)(to.p - start));
    return 0;
}

/* Raises what exc_info holds. */
static void raise_again(PyObject *exc_info)
{
    PyObject *part[3];
    int i;

    for (i = 0; i < 3; i++) {
        part[i] = PyTuple_GET_ITEM(exc_info, i);
        if (part[i] == Py_None)
            part[i] = NULL;
        Py_XINCREF(part[i]);
    }
    PyErr_Restore(part[0], part[1], part[2]);
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
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_AssertionError, "headers already sent");
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
    struct bytes status;

    if (check_again(response, args[2]) < 0 ||
        check_status(response, args[0], &status) < 0)
        return NULL;
    fields = PySequence_Fast(args[1], "headers must be a list of tuples");
    if (!fields)
        return NULL;
    response->started = false;
    if (build_head(response, status, fields) < 0)
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
static int take_named(PyObject **args, PyObject *const *values,
                      PyObject *names)
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

static PyObject *call_write(PyObject *self, PyObject *const *args,
                            size_t flags, PyObject *names)
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
    if (response_head(response, -1) < 0 ||
        response_body(response, piece) < 0 || response_flush(response) < 0) {
        if (!response->gone)
            return NULL;
        PyErr_SetString(PyExc_BrokenPipeError, "the client has gone");
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *call_hints(PyObject *self, PyObject *const *args,
                            size_t flags, PyObject *names)
{
    struct response *response = response_of(self);
    owned PyObject *fields = NULL;
    struct response check = {.length = -1};
    struct head_to to;
    int64_t room = 0;
    char *begin;
    int rc;

    if (!response)
        return NULL;
    if (PyVectorcall_NARGS(flags) != 1 || names) {
        PyErr_SetString(PyExc_TypeError, "early_hints() takes one list");
        return NULL;
    }
    fields = PySequence_Fast(args[0], "early hints must be a list of tuples");
    if (!fields)
        return NULL;
    if (!response->started && !response->head_sent &&
        response->writer->x->request.version_minor > 0)
        room = exchange_room(response->writer, &begin);
    to.p = begin = room > 0 ? begin : NULL;
    to.end = room > 0 ? begin + room : NULL;
    put(&to, BYTES("HTTP/1.1 103 Early Hints\r\n"));
    rc = put_fields(&check, &to, fields);
    if (rc < 0)
        return NULL;
    if (rc > 0 && to.p > begin && put(&to, BYTES("\r\n"))) {
        exchange_wrote(response->writer, (uint32_t)(to.p - begin));
        if (response_flush(response) < 0 && PyErr_Occurred())
            return NULL;
    }
    Py_RETURN_NONE;
}

static void responder_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_Free(self);
    Py_DECREF(type);
}

int response_kit_init(struct response_kit *kit)
{
    static PyMemberDef members[] = {
        {"__vectorcalloffset__", T_PYSSIZET,
         offsetof(struct responder, call), READONLY, NULL},
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

    memset(kit, 0, sizeof(*kit));
    kit->responder_type = (PyTypeObject *)PyType_FromSpec(&spec);
    return kit->responder_type ? 0 : -1;
}

void response_kit_done(struct response_kit *kit)
{
    int i;

    for (i = 0; i < RESPONDER_KINDS; i++)
        Py_CLEAR(kit->spare[i]);
    Py_CLEAR(kit->responder_type);
}

static PyObject *responder_new(struct response_kit *kit,
                               enum responder_kind kind)
{
    static const vectorcallfunc calls[] = {
        [RESPONDER_START] = call_start,
        [RESPONDER_WRITE] = call_write,
        [RESPONDER_HINTS] = call_hints,
    };
    struct responder *responder;

    if (kit->spare[kind])
        return give(&kit->spare[kind]);
    responder = PyObject_New(struct responder, kit->responder_type);
    if (responder)
        responder->call = calls[kind];
    return (PyObject *)responder;
}

int response_begin(struct response *response, struct response_kit *kit,
                   struct exchange_writer *writer)
{
    const struct http_request *request = &writer->x->request;
    int i;

    *response = (struct response){
        .kit = kit,
        .writer = writer,
        .length = -1,
        .no_body = request->method_id == HTTP_METHOD_HEAD,
        .keep_alive = request->flags & HTTP_KEEP_ALIVE,
    };
    for (i = 0; i < RESPONDER_KINDS; i++) {
        PyObject *responder = responder_new(kit, (enum responder_kind)i);

        if (!responder)
            return -1;
        ((struct responder *)responder)->response = response;
        response->responder[i] = responder;
    }
    return 0;
}

void response_end(struct response *response)
{
    int i;

    Py_CLEAR(response->big_head);
    for (i = 0; i < RESPONDER_KINDS; i++) {
        PyObject *responder = give(&response->responder[i]);

        if (!responder)
            continue;
        ((struct responder *)responder)->response = NULL;
        if (Py_REFCNT(responder) == 1 && !response->kit->spare[i])
            response->kit->spare[i] = responder;
        else
            Py_DECREF(responder);
    }
}

static char *put_number(char *to, uint64_t n)
{
    char digits[20];
    int count = 0;

    do
        digits[count++] = (char)('0' + n % 10);
    while (n /= 10);
    while (count > 0)
        *to++ = digits[--count];
    return to;
}

/* How the body's end will be known (RFC 9112 6.3). */
static void choose_framing(struct response *response, int64_t total)
{
    bool old = response->writer->x->request.version_minor == 0;

    if (response->status == 204 || response->status == 304)
        response->no_body = true;
    if (response->status == 204)
        response->length = -1;
    else if (response->length < 0 && total >= 0 && !response->no_body)
        response->length = total;
    if (response->length >= 0 || response->no_body)
        return;
    response->chunked = !old;
    if (old)
        response->keep_alive = false;
}

static size_t format_tail(struct response *response, char tail[TAIL_BYTES],
                          uint32_t *ret_connection_off)
{
    struct head_to to = {tail, tail + TAIL_BYTES};

    put(&to, BYTES("Connection: "));
    *ret_connection_off = response->keep_alive ? (uint32_t)(to.p - tail) : 0;
    put(&to, response->keep_alive ? BYTES("keep-alive\r\n")
                                  : BYTES("close\r\n"));
    if (response->chunked) {
        put(&to, BYTES("Transfer-Encoding: chunked\r\n"));
    } else if (response->length >= 0) {
        put(&to, BYTES("Content-Length: "));
        to.p = put_number(to.p, (uint64_t)response->length);
        put(&to, BYTES("\r\n"));
    }
    put(&to, BYTES("\r\n"));
    return (size_t)(to.p - tail);
}

int response_head(struct response *response, int64_t total)
{
    struct exchange_writer *writer = response->writer;
    char tail[TAIL_BYTES];
    uint32_t off;
    size_t n;

    if (response->head_sent)
        return 0;
    if (response->gone)
        return -1;
    if (!response->started) {
        PyErr_SetString(PyExc_AssertionError,
                        "the application did not call start_response");
        return -1;
    }
    choose_framing(response, total);
    n = format_tail(response, tail, &off);
    response->head_sent = true;
    writer->x->status = (uint32_t)response->status;
    if (!response->keep_alive)
        writer->x->out_flags |= EXCHANGE_OUT_CLOSE;
    /* Only a head that is the first part as a whole can be changed later. */
    if (off && !response->big_head && writer->tail == 0)
        writer->x->connection_off = writer->fill + off;
    if (response->big_head &&
        send_bytes(response,
                   (struct bytes){
                       PyBytes_AS_STRING(response->big_head),
                       (size_t)PyBytes_GET_SIZE(response->big_head)}) < 0)
        return -1;
    return send_bytes(response, (struct bytes){tail, n});
}

static struct bytes cut_to_length(struct response *response,
                                  struct bytes piece)
{
    uint64_t room = (uint64_t)response->length - response->sent;

    if (piece.n <= room)
        return piece;
    if (!response->cut)
        log_warning("Response body is longer than its Content-Length %lld: "
                    "the rest is not sent",
                    (long long)response->length);
    response->cut = true;
    return (struct bytes){piece.p, room};
}

static int send_chunk(struct response *response, struct bytes piece)
{
    char size[24];
    int n = snprintf(size, sizeof(size), "%zx\r\n", piece.n);

    if (send_bytes(response, (struct bytes){size, (size_t)n}) < 0 ||
        send_bytes(response, piece) < 0)
        return -1;
    return send_bytes(response, BYTES("\r\n"));
}

int response_body(struct response *response, struct bytes piece)
{
    if (response->gone)
        return -1;
    if (response->no_body)
        return 0;
    if (response->length >= 0)
        piece = cut_to_length(response, piece);
    if (piece.n == 0)
        return 0;
    response->sent += piece.n;
    return response->chunked ? send_chunk(response, piece)
                             : send_bytes(response, piece);
}

int response_flush(struct response *response)
{
    int error;

    while ((error = exchange_flush(response->writer)) < 0)
        if (wait_for_room(response, error) < 0)
            return -1;
    return 0;
}

int response_file(struct response *response, int fd, uint64_t off,
                  uint64_t len)
{
    int error;

    if (response->no_body || len == 0)
        return 0;
    while ((error = exchange_file(response->writer, fd, off, len)) < 0)
        if (wait_for_room(response, error) < 0)
            return -1;
    response->sent += len;
    return 0;
}

/* The client can only tell by the connection's end. */
static void break_off(struct response *response)
{
    response->writer->x->out_flags |= EXCHANGE_OUT_BROKEN | EXCHANGE_OUT_CLOSE;
}

int response_finish(struct response *response)
{
    if (response_head(response, 0) < 0)
        return -1;
    response->writer->x->out_bytes = response->sent;
    if (response->chunked)
        return send_bytes(response, BYTES("0\r\n\r\n"));
    if (response->length >= 0 && !response->no_body &&
        response->sent < (uint64_t)response->length) {
        log_warning("Response body has %llu bytes, its Content-Length says "
                    "%lld: closing the connection",
                    (unsigned long long)response->sent,
                    (long long)response->length);
        break_off(response);
    }
    return 0;
}

void response_fail(struct response *response)
{
    struct exchange_writer *writer = response->writer;
    char date[HTTP_DATE_LEN];
    char *to;
    int64_t room;
    int n;

    if (response->gone)
        return;
    writer->x->out_bytes = response->sent;
    if (response->head_sent) {
        break_off(response);
        return;
    }
    exchange_rewind(writer);
    http_date(date, time(NULL));
    while ((room = exchange_room(writer, &to)) < 0)
        if (wait_for_room(response, room) < 0) {
            PyErr_Clear();
            return;
        }
    n = http_error_response(to, (size_t)room, 500, BYTES(""), BYTES(""), date);
    if (n < 0) {
        break_off(response);
        return;
    }
    writer->x->status = 500;
    writer->x->out_flags |= EXCHANGE_OUT_CLOSE;
    if (response->no_body) /* HEAD: only through the empty line */
        n = (int)((char *)memmem(to, (size_t)n, "\r\n\r\n", 4) - to) + 4;
    exchange_wrote(writer, (uint32_t)n);
}
