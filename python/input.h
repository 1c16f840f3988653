/* SPDX-License-Identifier: MIT */
/*
 * input - wsgi.input: the request body as a file-like object, read where it
 * lies (shared memory or spool), or as it comes (input_stream.h). It knows
 * where the body ends, so reading to the end is always safe.
 */
#ifndef GCORN_PYTHON_INPUT_H
#define GCORN_PYTHON_INPUT_H

#include "waits.h"

struct input_kit {
    const struct waits *waits;
    PyTypeObject *type;
    PyObject *failure; /* raised when the body breaks off: an OSError */
    PyObject *spare;
};

/* All with the GIL. 0, or -1 with an exception set. */
int input_kit_init(struct input_kit *kit, const struct waits *waits);
void input_kit_done(struct input_kit *kit);

/* A new reference for one request, or NULL with an exception set. */
PyObject *input_new(struct input_kit *kit, struct exchange_writer *writer);

/* Takes the reference back. An input the application kept reads as empty. */
void input_end(struct input_kit *kit, PyObject *input);
#endif
