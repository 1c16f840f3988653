/* SPDX-License-Identifier: MIT */
#include "input.h"

#include "input_stream.h"
#include "core/exchange_request.h"
#include "core/exchange_writer.h"

/* Lines are looked for in windows of this size. */
#define WINDOW_BYTES 65536
/* Copies up to this size keep the GIL: giving it up costs more. */
#define QUICK_BYTES EXCHANGE_RUN_BODY_BYTES

struct input {
    PyObject_HEAD struct exchange_writer *writer; /* NULL after the request */
    uint64_t pos;
    PyObject *window; /* bytes of the body from window_off on, or NULL */
    uint64_t window_off;
    const struct waits *waits;
    struct input_stream
        stream; /* instead of all that, of a body that streams */
};

/* 0 when the body can be read; waits for it when it was held back. */
static int ensure_body(struct input *self)
{
    const struct exchange_writer *writer = self->writer;

    if (!writer || likely(atomic_load_explicit(&writer->x->body_state,
                                               memory_order_acquire) ==
                          EXCHANGE_BODY_COMPLETE))
        return 0;
    return input_stream_ready(&self->stream);
}

static bool is_stream(const struct input *self)
{
    return self->stream.unread ||
           (self->writer &&
            unlikely(self->writer->x->body_kind == EXCHANGE_BODY_STREAM));
}

static uint64_t left(const struct input *self)
{
    const struct exchange_writer *writer = self->writer;

    return writer && self->pos < writer->x->body_bytes
               ? writer->x->body_bytes - self->pos
               : 0;
}

static PyObject *read_bytes(struct input *self, uint64_t n)
{
    owned PyObject *bytes = NULL;
    const struct arena *arena;
    const struct exchange *x;
    int64_t got;

    n = min_u64(n, left(self));
    bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)n);
    if (!bytes || n == 0)
        return give(&bytes);
    arena = self->writer->arena;
    x = self->writer->x;
    if (n <= QUICK_BYTES && x->body_kind <= EXCHANGE_BODY_RUN) {
        got = exchange_body_read(arena, x, self->pos, PyBytes_AS_STRING(bytes),
                                 n);
    } else {
        Py_BEGIN_ALLOW_THREADS got = exchange_body_read(
            arena, x, self->pos, PyBytes_AS_STRING(bytes), n);
        Py_END_ALLOW_THREADS
    }
    if (got != (int64_t)n) {
        errno = got < 0 ? (int)-got : EIO;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    self->pos += n;
    return give(&bytes);
}

/* The optional size argument: None and negative mean "all". */
static int size_of(PyObject *args, const char *format, uint64_t *ret_size)
{
    PyObject *object = Py_None;
    Py_ssize_t size;

    if (!PyArg_ParseTuple(args, format, &object))
        return -1;
    *ret_size = UINT64_MAX;
    if (object == Py_None)
        return 0;
    size = PyNumber_AsSsize_t(object, NULL); /* what is too large is all */
    if (size == -1 && PyErr_Occurred())
        return -1;
    if (size >= 0)
        *ret_size = (uint64_t)size;
    return 0;
}

static PyObject *input_read(PyObject *object, PyObject *args)
{
    struct input *self = (struct input *)object;
    uint64_t size;

    if (size_of(args, "|O:read", &size) < 0 ||
        (size > 0 && ensure_body(self) < 0))
        return NULL;
    if (is_stream(self))
        return input_stream_read(&self->stream, size, false);
    return read_bytes(self, size);
}

/* Makes the window begin at pos unless pos is in it already. */
static int look(struct input *self, struct bytes *ret_seen)
{
    uint64_t pos = self->pos;
    size_t have = self->window ? (size_t)PyBytes_GET_SIZE(self->window) : 0;

    if (pos < self->window_off || pos >= self->window_off + have) {
        PyObject *window = read_bytes(self, WINDOW_BYTES);

        if (!window)
            return -1;
        self->pos = pos;
        Py_XSETREF(self->window, window);
        self->window_off = pos;
        have = (size_t)PyBytes_GET_SIZE(window);
    }
    *ret_seen = (struct bytes){PyBytes_AS_STRING(self->window) +
                                   (pos - self->window_off),
                               have - (pos - self->window_off)};
    return 0;
}

/* The length of the line at pos, at most limit, without moving on. */
static int64_t line_length(struct input *self, uint64_t limit)
{
    uint64_t start = self->pos;
    uint64_t length = 0;
    const char *end = NULL;

    while (!end && length < limit && left(self) > 0) {
        struct bytes seen;

        if (look(self, &seen) < 0)
            return -1;
        seen.n = min_u64(seen.n, limit - length);
        end = memchr(seen.p, '\n', seen.n);
        length += end ? (size_t)(end - seen.p) + 1 : seen.n;
        self->pos = start + length;
    }
    self->pos = start;
    return (int64_t)length;
}

static PyObject *next_line(struct input *self, uint64_t limit)
{
    int64_t length;
    struct bytes seen;

    if (limit > 0 && ensure_body(self) < 0)
        return NULL;
    if (is_stream(self))
        return input_stream_read(&self->stream, limit, true);
    length = line_length(self, limit);
    if (length < 0)
        return NULL;
    if (length > 0 && look(self, &seen) == 0 && seen.n >= (size_t)length) {
        self->pos += (uint64_t)length;
        return PyBytes_FromStringAndSize(seen.p, (Py_ssize_t)length);
    }
    return PyErr_Occurred() ? NULL : read_bytes(self, (uint64_t)length);
}

static PyObject *input_readline(PyObject *object, PyObject *args)
{
    uint64_t size;

    if (size_of(args, "|O:readline", &size) < 0)
        return NULL;
    return next_line((struct input *)object, size);
}

static PyObject *input_readlines(PyObject *object, PyObject *args)
{
    struct input *self = (struct input *)object;
    owned PyObject *lines = PyList_New(0);
    uint64_t hint;
    uint64_t seen = 0;

    if (!lines || size_of(args, "|O:readlines", &hint) < 0)
        return NULL;
    if (hint == 0)
        hint = UINT64_MAX;
    while (seen < hint) {
        owned PyObject *line = next_line(self, UINT64_MAX);

        if (!line)
            return NULL;
        if (PyBytes_GET_SIZE(line) == 0)
            break;
        seen += (uint64_t)PyBytes_GET_SIZE(line);
        if (PyList_Append(lines, line) < 0)
            return NULL;
    }
    return give(&lines);
}

static PyObject *input_next(PyObject *object)
{
    owned PyObject *line = next_line((struct input *)object, UINT64_MAX);

    if (line && PyBytes_GET_SIZE(line) == 0)
        return NULL; /* the end, without an exception: StopIteration */
    return give(&line);
}

static PyObject *input_readable(PyObject *self, PyObject *args)
{
    (void)self;
    (void)args;
    Py_RETURN_TRUE;
}

/* The connection's end is the server's business: closing does nothing. */
static PyObject *input_close(PyObject *self, PyObject *args)
{
    (void)self;
    (void)args;
    Py_RETURN_NONE;
}

/* What libraries look for that take the connection over. */
static PyObject *input_socket(PyObject *self, void *unused)
{
    (void)self;
    (void)unused;
    PyErr_SetString(PyExc_AttributeError,
                    "a WSGI application gets no socket from gcorn: serve "
                    "WebSockets from an ASGI application, with -k asgi");
    return NULL;
}

static void input_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    Py_CLEAR(((struct input *)object)->window);
    input_stream_clear(&((struct input *)object)->stream);
    PyObject_Free(object);
    Py_DECREF(type);
}

int input_kit_init(struct input_kit *kit, const struct waits *waits)
{
    static PyMethodDef methods[] = {
        {"read", input_read, METH_VARARGS, NULL},
        {"readline", input_readline, METH_VARARGS, NULL},
        {"readlines", input_readlines, METH_VARARGS, NULL},
        {"readable", input_readable, METH_NOARGS, NULL},
        {"close", input_close, METH_NOARGS, NULL},
        {NULL, NULL, 0, NULL},
    };
    static PyGetSetDef attributes[] = {
        {"rfile", input_socket, NULL, NULL, NULL},
        {"raw", input_socket, NULL, NULL, NULL},
        {NULL, NULL, NULL, NULL, NULL},
    };
    PyType_Slot slots[] = {
        {Py_tp_dealloc, (void *)input_dealloc},
        {Py_tp_methods, methods},
        {Py_tp_getset, attributes},
        {Py_tp_iter, (void *)PyObject_SelfIter},
        {Py_tp_iternext, (void *)input_next},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "gcorn.input",
        .basicsize = sizeof(struct input),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = slots,
    };

    memset(kit, 0, sizeof(*kit));
    kit->waits = waits;
    kit->type = (PyTypeObject *)PyType_FromSpec(&spec);
    kit->failure = PyErr_NewException("gcorn.BodyBrokenOff", PyExc_OSError,
                                      NULL);
    return kit->type && kit->failure ? 0 : -1;
}

void input_kit_done(struct input_kit *kit)
{
    Py_CLEAR(kit->spare);
    Py_CLEAR(kit->failure);
    Py_CLEAR(kit->type);
}

PyObject *input_new(struct input_kit *kit, struct exchange_writer *writer)
{
    PyObject *object = give(&kit->spare);
    struct input *self;

    if (!object)
        object = (PyObject *)PyObject_New(struct input, kit->type);
    if (!object)
        return NULL;
    self = (struct input *)object;
    self->writer = writer;
    self->pos = self->window_off = 0;
    self->window = NULL;
    self->stream = (struct input_stream){
        .place = &self->writer,
        .waits = kit->waits,
        .failure = kit->failure,
    };
    return object;
}

void input_end(struct input_kit *kit, PyObject *input)
{
    struct input *self = (struct input *)input;

    self->writer = NULL;
    Py_CLEAR(self->window);
    input_stream_clear(&self->stream);
    if (Py_REFCNT(input) == 1 && !kit->spare)
        kit->spare = input;
    else
        Py_DECREF(input);
}
