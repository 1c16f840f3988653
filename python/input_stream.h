/* SPDX-License-Identifier: MIT */
/*
 * input_stream - reads a request body that arrives while the application
 * already runs: waits where wsgi.input would reach the end of what is there.
 *
 * What is read from the exchange frees the window for the client at once; the
 * part that the application did not ask for yet is kept here.
 */
#ifndef GCORN_PYTHON_INPUT_STREAM_H
#define GCORN_PYTHON_INPUT_STREAM_H

#include "waits.h"

struct input_stream {
    /* Looked at again after each wait: once the request is over this is NULL,
     * and the body at its end. */
    struct exchange_writer *const *place;
    const struct waits *waits;
    PyObject *failure; /* raised when the body breaks off; borrowed */
    PyObject *unread;  /* bytes, or NULL */
    size_t pos;        /* of the first that is unread */
};

void input_stream_clear(struct input_stream *stream);

/*
 * With the GIL. Up to n bytes, fewer only at the end of the body or, if `line`,
 * of the line. NULL with an exception set.
 */
PyObject *input_stream_read(struct input_stream *stream, uint64_t n, bool line);

/* 0 when the body may be read; asks for one that is held back and waits until
 * it is there or streams. -1 with an exception when it will never be. */
int input_stream_ready(const struct input_stream *stream);
#endif
