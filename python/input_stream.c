/* SPDX-License-Identifier: MIT */
#include "input_stream.h"

#include "core/exchange_stream.h"
#include "core/exchange_writer.h"

#define GROW_BYTES 65536U

/* What is collected for one call. */
struct gathered {
    PyObject *bytes; /* larger than what is in it */
    size_t len;
};

static enum exchange_body_state state_of(const struct exchange_writer *writer)
{
    return (enum exchange_body_state)atomic_load_explicit(
        &writer->x->body_state, memory_order_acquire);
}

static int fail(const struct input_stream *stream)
{
    PyErr_SetString(stream->failure,
                    "the client did not send the whole request body");
    return -1;
}

void input_stream_clear(struct input_stream *stream)
{
    Py_CLEAR(stream->unread);
    stream->pos = 0;
}

int input_stream_ready(const struct input_stream *stream)
{
    struct exchange_writer *writer;

    while ((writer = *stream->place) != NULL) {
        switch (state_of(writer)) {
        case EXCHANGE_BODY_COMPLETE:
        case EXCHANGE_BODY_STREAMING:
            return 0;
        case EXCHANGE_BODY_FAILED:
            return fail(stream);
        case EXCHANGE_BODY_PENDING:
        case EXCHANGE_BODY_WANTED:
            break;
        }
        if (exchange_is_cancelled(writer))
            return fail(stream);
        exchange_body_want(writer);
        if (stream->waits->for_body(writer) < 0)
            return -1;
    }
    return 0;
}

/*
 * Waits for bytes. How many there are, 0 at the end, -1 with an exception. The
 * state is read before what is left is: COMPLETE means that no more comes.
 */
static int64_t await_bytes(const struct input_stream *stream)
{
    struct exchange_writer *writer;

    while ((writer = *stream->place) != NULL) {
        enum exchange_body_state state = state_of(writer);
        size_t n = exchange_stream_left(writer->x);

        if (n > 0 || state == EXCHANGE_BODY_COMPLETE)
            return (int64_t)n;
        if (state == EXCHANGE_BODY_FAILED || exchange_is_cancelled(writer))
            return fail(stream);
        if (stream->waits->for_body(writer) < 0)
            return -1;
    }
    return 0;
}

/* There is something unread: 1; 0 at the end; -1 with an exception. */
static int fill(struct input_stream *stream)
{
    int64_t n = await_bytes(stream);
    const struct exchange_writer *writer;
    owned PyObject *bytes = NULL;

    /* Another one that reads may have been first. */
    if (n < 0 || stream->unread)
        return n < 0 ? -1 : 1;
    if (n == 0)
        return 0;
    bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)n);
    if (!bytes)
        return -1;
    writer = *stream->place;
    if (!exchange_stream_peek(writer->arena, writer->x, 0,
                              PyBytes_AS_STRING(bytes), (size_t)n)) {
        PyErr_SetString(PyExc_OSError, "damaged exchange");
        return -1;
    }
    if (exchange_stream_drop(writer->x, (size_t)n))
        exchange_nudge(*stream->place);
    stream->unread = give(&bytes);
    stream->pos = 0;
    return 1;
}

static struct bytes unread(const struct input_stream *stream)
{
    size_t size = (size_t)PyBytes_GET_SIZE(stream->unread);

    return (struct bytes){PyBytes_AS_STRING(stream->unread) + stream->pos,
                          size - stream->pos};
}

static int add(struct gathered *to, struct bytes piece)
{
    size_t have = to->bytes ? (size_t)PyBytes_GET_SIZE(to->bytes) : 0;

    if (!to->bytes)
        to->bytes = PyBytes_FromStringAndSize(
            NULL, (Py_ssize_t)max_u64(piece.n, GROW_BYTES));
    else if (piece.n > have - to->len)
        _PyBytes_Resize(&to->bytes,
                        (Py_ssize_t)(have + max_u64(have, piece.n)));
    if (!to->bytes)
        return -1;
    memcpy(PyBytes_AS_STRING(to->bytes) + to->len, piece.p, piece.n);
    to->len += piece.n;
    return 0;
}

static void advance(struct input_stream *stream, size_t n)
{
    stream->pos += n;
    if (stream->pos == (size_t)PyBytes_GET_SIZE(stream->unread))
        input_stream_clear(stream);
}

/* One piece of what is asked for: 1 when that was all, 0, or -1. */
static int take(struct input_stream *stream, struct gathered *to, uint64_t n,
                bool line)
{
    struct bytes piece = unread(stream);
    const char *end;

    piece.n = min_u64(piece.n, n - to->len);
    end = line ? memchr(piece.p, '\n', piece.n) : NULL;
    if (end)
        piece.n = (size_t)(end - piece.p) + 1;
    if (add(to, piece) < 0)
        return -1;
    advance(stream, piece.n);
    return end != NULL || to->len == n;
}

PyObject *input_stream_read(struct input_stream *stream, uint64_t n, bool line)
{
    struct gathered to = {NULL, 0};
    int going = n > 0 ? 0 : 1;

    while (going == 0) {
        int more = stream->unread ? 1 : fill(stream);

        going = more == 1 ? take(stream, &to, n, line) : more < 0 ? -1 : 1;
    }
    if (going < 0 || !to.bytes) {
        Py_CLEAR(to.bytes);
        return going < 0 ? NULL : PyBytes_FromStringAndSize(NULL, 0);
    }
    _PyBytes_Resize(&to.bytes, (Py_ssize_t)to.len);
    return to.bytes;
}
