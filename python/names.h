/* SPDX-License-Identifier: MIT */
/*
 * names - field names that are not well known, as some client spells them, and
 * the object that stands for them in environ or scope, remembered.
 *
 * A table of fixed size: a name that comes drives out another with its hash.
 * Nothing is interned, since clients choose these. With the GIL.
 */
#ifndef GCORN_PYTHON_NAMES_H
#define GCORN_PYTHON_NAMES_H

#include "internal.h"
#include "core/bytes.h"

#define NAMES_REMEMBERED 256

struct names {
    struct {
        PyObject *spelling; /* bytes */
        PyObject *object;
    } name[NAMES_REMEMBERED];
};

/* A new reference, or NULL with an exception. */
typedef PyObject *names_make_fn(struct bytes spelling);

/* The same, from memory or made. */
PyObject *names_get(struct names *names, struct bytes spelling,
                    names_make_fn *make);

void names_done(struct names *names);
#endif
