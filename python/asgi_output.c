/* SPDX-License-Identifier: MIT */
#include "asgi_state.h"

#include "core/exchange_writer.h"
#include "core/http_write.h"
#include "core/log.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool asgi_rest_is_empty(const struct cycle *cycle)
{
    const struct asgi_rest *rest = &cycle->rest;

    return rest->next == rest->count && rest->fd < 0 && !rest->last;
}

void asgi_rest_drop(struct cycle *cycle)
{
    struct asgi_rest *rest = &cycle->rest;

    if (rest->fd >= 0)
        close(rest->fd);
    rest->fd = -1;
    rest->count = rest->next = 0;
    rest->last = false;
    Py_CLEAR(rest->keep[0]);
    Py_CLEAR(rest->keep[1]);
}

void asgi_rest_add(struct cycle *cycle, struct bytes segment)
{
    struct asgi_rest *rest = &cycle->rest;

    must(rest->count < ASGI_SEGMENTS);
    if (segment.n > 0)
        rest->segment[rest->count++] = segment;
}

/* 0, -EAGAIN or another error. */
static int copy_segments(struct cycle *cycle)
{
    struct asgi_rest *rest = &cycle->rest;

    while (rest->next < rest->count) {
        struct bytes *segment = &rest->segment[rest->next];
        size_t done;
        int error = exchange_copy(&cycle->writer, *segment, &done);

        segment->p += done;
        segment->n -= done;
        if (error)
            return error;
        rest->next++;
    }
    return 0;
}

static int push_once(struct cycle *cycle)
{
    struct asgi_rest *rest = &cycle->rest;
    int error = copy_segments(cycle);

    if (!error && rest->fd >= 0) {
        error = exchange_file(&cycle->writer, rest->fd, 0, rest->file_len);
        if (!error) {
            close(rest->fd);
            rest->fd = -1;
        }
    }
    return error;
}

/* What the worker knows of a response that is cut short. */
static void break_off(struct cycle *cycle)
{
    cycle->writer.x->out_flags |= EXCHANGE_OUT_BROKEN | EXCHANGE_OUT_CLOSE;
}

void asgi_complete(struct cycle *cycle)
{
    struct exchange *x = cycle->writer.x;

    if (!cycle->gone && cycle->length >= 0 && !cycle->no_body &&
        cycle->sent < (uint64_t)cycle->length && cycle->stage >= ASGI_SENDING) {
        log_warning("Response body has %llu bytes, its Content-Length says "
                    "%lld: closing the connection",
                    (unsigned long long)cycle->sent, (long long)cycle->length);
        break_off(cycle);
    }
    cycle->stage = ASGI_COMPLETE;
    x->out_bytes = cycle->sent;
    exchange_finish(&cycle->writer);
    asgi_cycle_release(cycle);
    asgi_check_soon(cycle->asgi);
}

static void say_gone(struct cycle *cycle)
{
    cycle->gone = true;
    asgi_rest_drop(cycle);
}

int asgi_push(struct cycle *cycle)
{
    bool again = false;
    int error;

    if (!asgi_is_running(cycle))
        return 0;
    while ((error = push_once(cycle)) == -EAGAIN) {
        if (exchange_await_room(&cycle->writer))
            return 1;
        if (again) { /* room in the window, but no chunk is free */
            cycle->asgi->starved = true;
            asgi_cycle_dirty(cycle);
            return 1;
        }
        again = true;
    }
    if (error) {
        if (error != -ECANCELED) {
            log_error("A response cannot be written: %s", strerror(-error));
            break_off(cycle);
        }
        say_gone(cycle);
        return -1;
    }
    error = cycle->rest.last;
    asgi_rest_drop(cycle);
    if (error)
        asgi_complete(cycle);
    else
        asgi_cycle_dirty(cycle);
    return 0;
}

static int misplaced(PyObject *type, const char *why)
{
    PyErr_Format(PyExc_RuntimeError, "ASGI message %R is not expected: %s",
                 type, why);
    return -1;
}

static int flag_of(struct cycle *cycle, PyObject *message, enum asgi_word word)
{
    PyObject *value = asgi_value(cycle, message, word);

    if (!value)
        return PyErr_Occurred() ? -1 : 0;
    return PyObject_IsTrue(value);
}

static int on_start(struct cycle *cycle, PyObject *message)
{
    PyObject *status = asgi_value(cycle, message, ASGI_STATUS);
    PyObject *headers = asgi_value(cycle, message, ASGI_HEADERS);
    owned PyObject *none = NULL;
    long code;
    int trailers;

    if (cycle->stage != ASGI_WAITS)
        return misplaced(asgi_word(cycle, ASGI_RESPONSE_START),
                         "the response was started");
    if (!status && !PyErr_Occurred())
        PyErr_SetString(PyExc_KeyError, "status");
    code = status ? PyLong_AsLong(status) : -1;
    trailers = flag_of(cycle, message, ASGI_TRAILERS);
    if ((code == -1 || trailers < 0) && PyErr_Occurred())
        return -1;
    if (!headers)
        headers = none = PyTuple_New(0);
    if (!headers || asgi_head(cycle, code, headers) < 0)
        return -1;
    cycle->trailers = trailers;
    cycle->stage = ASGI_STARTED;
    return 0;
}

/* The first body fixes the head. */
static void add_head(struct cycle *cycle, int64_t total)
{
    struct exchange_writer *writer = &cycle->writer;
    uint32_t off;
    size_t n;

    if (cycle->stage != ASGI_STARTED)
        return;
    if (cycle->trailers && writer->x->request.version_minor > 0)
        total = -1;
    n = asgi_head_tail(cycle, total, cycle->rest.line, &off);
    writer->x->status = (uint32_t)cycle->status;
    if (!cycle->keep_alive)
        writer->x->out_flags |= EXCHANGE_OUT_CLOSE;
    if (off && !cycle->big_head && writer->tail == 0)
        writer->x->connection_off = writer->fill + off;
    if (cycle->big_head) {
        asgi_rest_add(
            cycle, (struct bytes){PyBytes_AS_STRING(cycle->big_head),
                                  (size_t)PyBytes_GET_SIZE(cycle->big_head)});
        cycle->rest.keep[1] = give(&cycle->big_head);
    }
    asgi_rest_add(cycle, (struct bytes){cycle->rest.line, n});
    cycle->stage = ASGI_SENDING;
}

void asgi_rest_finish(struct cycle *cycle)
{
    add_head(cycle, 0);
    cycle->rest.last = true;
}

static struct bytes cut_to_length(struct cycle *cycle, struct bytes piece)
{
    uint64_t room = (uint64_t)cycle->length - cycle->sent;

    if (piece.n <= room)
        return piece;
    if (!cycle->cut)
        log_warning("Response body is longer than its Content-Length %lld: "
                    "the rest is not sent",
                    (long long)cycle->length);
    cycle->cut = true;
    return (struct bytes){piece.p, room};
}

static void add_chunk(struct cycle *cycle, struct bytes piece, bool last)
{
    char *size = cycle->rest.line + ASGI_TAIL_BYTES;
    int n = snprintf(size, 32, "%zx\r\n", piece.n);

    if (piece.n > 0) {
        asgi_rest_add(cycle, (struct bytes){size, (size_t)n});
        asgi_rest_add(cycle, piece);
        asgi_rest_add(cycle, last ? BYTES("\r\n0\r\n\r\n") : BYTES("\r\n"));
    } else if (last) {
        asgi_rest_add(cycle, BYTES("0\r\n\r\n"));
    }
}

/* The body is over; trailers may be due. */
static void end_body(struct cycle *cycle)
{
    if (cycle->trailers)
        cycle->stage = ASGI_TRAILING;
    else
        cycle->rest.last = true;
}

static int body_of(struct cycle *cycle, PyObject *message,
                   struct bytes *ret_body)
{
    PyObject *body = asgi_value(cycle, message, ASGI_BODY);
    owned PyObject *copy = NULL;

    *ret_body = (struct bytes){"", 0};
    if (!body)
        return PyErr_Occurred() ? -1 : 0;
    if (unlikely(!PyBytes_Check(body))) {
        if (!PyObject_CheckBuffer(body)) {
            PyErr_Format(PyExc_TypeError, "body must be bytes, not %R",
                         (PyObject *)Py_TYPE(body));
            return -1;
        }
        copy = PyBytes_FromObject(body);
        if (!copy)
            return -1;
        body = copy;
    }
    *ret_body = (struct bytes){PyBytes_AS_STRING(body),
                               (size_t)PyBytes_GET_SIZE(body)};
    Py_XSETREF(cycle->rest.keep[0], Py_NewRef(body));
    return 0;
}

static int on_body(struct cycle *cycle, PyObject *message)
{
    struct bytes body;
    int more = flag_of(cycle, message, ASGI_MORE_BODY);

    if (cycle->stage != ASGI_STARTED && cycle->stage != ASGI_SENDING)
        return misplaced(asgi_word(cycle, ASGI_RESPONSE_BODY),
                         cycle->stage == ASGI_WAITS
                             ? "the response was not started"
                             : "the body is complete");
    if (more < 0 || body_of(cycle, message, &body) < 0)
        return -1;
    add_head(cycle, more ? -1 : (int64_t)body.n);
    if (cycle->no_body)
        body.n = 0;
    if (cycle->length >= 0)
        body = cut_to_length(cycle, body);
    cycle->sent += body.n;
    if (cycle->chunked)
        add_chunk(cycle, body, !more && !cycle->trailers);
    else
        asgi_rest_add(cycle, body);
    if (!more)
        end_body(cycle);
    return 0;
}

static int on_trailers(struct cycle *cycle, PyObject *message)
{
    PyObject *headers = asgi_value(cycle, message, ASGI_HEADERS);
    int more = flag_of(cycle, message, ASGI_MORE_TRAILERS);
    owned PyObject *none = PyTuple_New(0);
    PyObject *lines;

    if (cycle->stage != ASGI_TRAILING)
        return misplaced(asgi_word(cycle, ASGI_RESPONSE_TRAILERS),
                         "trailers were not announced, or the body is not "
                         "complete");
    if (more < 0 || !none)
        return -1;
    if (more) {
        PyErr_SetString(PyExc_NotImplementedError,
                        "trailers must come in one message");
        return -1;
    }
    lines = asgi_head_lines(cycle, BYTES("0\r\n"), headers ? headers : none);
    if (!lines)
        return -1;
    Py_XSETREF(cycle->rest.keep[0], lines);
    if (cycle->chunked) /* else there is no place for them */
        asgi_rest_add(cycle, (struct bytes){PyBytes_AS_STRING(lines),
                                            (size_t)PyBytes_GET_SIZE(lines)});
    cycle->rest.last = true;
    return 0;
}

static int on_pathsend(struct cycle *cycle, PyObject *message)
{
    PyObject *path = asgi_value(cycle, message, ASGI_PATH);
    owned PyObject *encoded = NULL;
    struct stat st;
    int fd;

    if (cycle->stage != ASGI_STARTED || !path)
        return misplaced(asgi_word(cycle, ASGI_RESPONSE_PATHSEND),
                         "it has to follow http.response.start, with a path");
    if (!PyUnicode_FSConverter(path, &encoded))
        return -1;
    fd = open(PyBytes_AsString(encoded), O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        if (fd >= 0) {
            close(fd);
            errno = EINVAL; /* neither a directory nor a device */
        }
        PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, path);
        return -1;
    }
    cycle->trailers = false; /* the framing is that of a length */
    if (cycle->length < 0 || cycle->length > st.st_size)
        cycle->length = st.st_size;
    add_head(cycle, cycle->length);
    if (cycle->no_body || cycle->length <= 0) {
        close(fd);
    } else {
        cycle->rest.fd = fd;
        cycle->rest.file_len = (uint64_t)cycle->length;
        cycle->sent = (uint64_t)cycle->length;
    }
    cycle->rest.last = true;
    return 0;
}

/* Not worth a wait, and nothing for HTTP/1.0. */
static int add_interim(struct cycle *cycle, long status, PyObject *headers)
{
    char line[96];
    int n = snprintf(line, sizeof(line), "HTTP/1.1 %ld %s\r\n", status,
                     http_reason((int)status));
    PyObject *lines;

    if (cycle->writer.x->request.version_minor == 0)
        return 0;
    lines = asgi_head_lines(cycle, (struct bytes){line, (size_t)n}, headers);
    if (!lines)
        return -1;
    Py_XSETREF(cycle->rest.keep[0], lines);
    asgi_rest_add(cycle, (struct bytes){PyBytes_AS_STRING(lines),
                                        (size_t)PyBytes_GET_SIZE(lines)});
    return 0;
}

static int on_hint(struct cycle *cycle, PyObject *message)
{
    PyObject *links = asgi_value(cycle, message, ASGI_LINKS);
    owned PyObject *list = links
                               ? PySequence_Fast(links, "links must be a list")
                               : NULL;
    owned PyObject *pairs = list ? PyList_New(0) : NULL;
    Py_ssize_t i;

    if (cycle->stage != ASGI_WAITS || !list || !pairs)
        return PyErr_Occurred()
                   ? -1
                   : misplaced(asgi_word(cycle, ASGI_RESPONSE_HINT),
                               "it has to come before the response, with "
                               "links");
    for (i = 0; i < PySequence_Fast_GET_SIZE(list); i++) {
        owned PyObject *pair = Py_BuildValue("(yO)", "Link",
                                             PySequence_Fast_GET_ITEM(list, i));

        if (!pair || PyList_Append(pairs, pair) < 0)
            return -1;
    }
    return add_interim(cycle, 103, pairs);
}

/* As Gunicorn has it: any status of 1xx that does not change the protocol. */
static int on_informational(struct cycle *cycle, PyObject *message)
{
    PyObject *status = asgi_value(cycle, message, ASGI_STATUS);
    PyObject *headers = asgi_value(cycle, message, ASGI_HEADERS);
    owned PyObject *none = PyTuple_New(0);
    long code = status ? PyLong_AsLong(status) : 0;

    if (!none || PyErr_Occurred())
        return -1;
    if (cycle->stage != ASGI_WAITS || code < 100 || code > 199 || code == 101)
        return misplaced(asgi_word(cycle, ASGI_RESPONSE_INFORMATIONAL),
                         "it has to come before the response, with a status "
                         "of 1xx other than 101");
    return add_interim(cycle, code, headers ? headers : none);
}

/* The message's type, by identity where it is a literal of some module. */
static enum asgi_word word_of(struct cycle *cycle, PyObject *type)
{
    static const enum asgi_word words[] = {
        ASGI_RESPONSE_BODY,     ASGI_RESPONSE_START,
        ASGI_RESPONSE_PATHSEND, ASGI_RESPONSE_TRAILERS,
        ASGI_RESPONSE_HINT,     ASGI_DENIAL_START,
        ASGI_DENIAL_BODY,       ASGI_RESPONSE_INFORMATIONAL,
    };
    size_t i;

    for (i = 0; i < ARRAY_SIZE(words); i++)
        if (type == asgi_word(cycle, words[i]))
            return words[i];
    for (i = 0; i < ARRAY_SIZE(words); i++)
        if (PyUnicode_Check(type) &&
            PyUnicode_Compare(type, asgi_word(cycle, words[i])) == 0)
            return words[i];
    return ASGI_WORD_COUNT;
}

static int take(struct cycle *cycle, PyObject *message)
{
    PyObject *type = asgi_value(cycle, message, ASGI_TYPE);

    if (!type) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_KeyError, "type");
        return -1;
    }
    if (cycle->is_socket) {
        int rc = PyUnicode_Check(type) ? asgi_socket_take(cycle, message, type)
                                       : 1;

        if (rc <= 0)
            return rc;
    }
    switch ((int)word_of(cycle, type)) {
    case ASGI_DENIAL_BODY:
    case ASGI_RESPONSE_BODY:
        return on_body(cycle, message);
    case ASGI_DENIAL_START:
    case ASGI_RESPONSE_START:
        return on_start(cycle, message);
    case ASGI_RESPONSE_PATHSEND:
        return on_pathsend(cycle, message);
    case ASGI_RESPONSE_TRAILERS:
        return on_trailers(cycle, message);
    case ASGI_RESPONSE_HINT:
        return on_hint(cycle, message);
    case ASGI_RESPONSE_INFORMATIONAL:
        return on_informational(cycle, message);
    default:
        return misplaced(type, "it is unknown");
    }
}

static int client_gone(void)
{
    PyErr_SetString(PyExc_OSError, "the client has disconnected");
    return -1;
}

int asgi_send(struct cycle *cycle, PyObject *message, bool *ret_taken)
{
    *ret_taken = true;
    if (!PyDict_Check(message)) {
        PyErr_Format(PyExc_TypeError, "an ASGI message must be a dict, not %R",
                     (PyObject *)Py_TYPE(message));
        return -1;
    }
    if (cycle->gone)
        return client_gone();
    if (cycle->stage == ASGI_COMPLETE || !asgi_is_running(cycle)) {
        PyObject *type = asgi_value(cycle, message, ASGI_TYPE);

        return misplaced(type ? type : Py_None, "the response is complete");
    }
    if (exchange_is_cancelled(&cycle->writer)) {
        say_gone(cycle);
        return client_gone();
    }
    if (!asgi_rest_is_empty(cycle)) {
        *ret_taken = false;
        return 1;
    }
    if (take(cycle, message) < 0)
        return -1;
    if (cycle->stage == ASGI_STARTED)
        return 0; /* the head waits for the first of the body */
    switch (asgi_push(cycle)) {
    case 0:
        return 0;
    case 1:
        return 1;
    default:
        return client_gone();
    }
}

/* A 500 page if nothing left yet, else the response is cut off. */
static void put_error(struct cycle *cycle)
{
    struct exchange_writer *writer = &cycle->writer;
    char date[HTTP_DATE_LEN];
    char *to;
    int64_t room;
    int n;

    exchange_rewind(writer);
    http_date(date, time(NULL));
    room = exchange_room(writer, &to);
    n = room < 0 ? -1
                 : http_error_response(to, (size_t)room, 500, BYTES(""),
                                       BYTES(""), date);
    if (n < 0) {
        break_off(cycle);
        return;
    }
    writer->x->status = 500;
    writer->x->out_flags |= EXCHANGE_OUT_CLOSE;
    if (cycle->no_body) /* HEAD: only through the empty line */
        n = (int)((char *)memmem(to, (size_t)n, "\r\n\r\n", 4) - to) + 4;
    exchange_wrote(writer, (uint32_t)n);
}

void asgi_fail(struct cycle *cycle)
{
    if (!asgi_is_running(cycle))
        return;
    if (exchange_is_cancelled(&cycle->writer))
        cycle->gone = true;
    if (!cycle->gone && cycle->stage >= ASGI_SENDING)
        break_off(cycle);
    else if (!cycle->gone)
        put_error(cycle);
    cycle->gone = true; /* what else there was to send is not wanted */
    asgi_rest_drop(cycle);
    asgi_complete(cycle);
}
