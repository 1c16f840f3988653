/* SPDX-License-Identifier: MIT */
#include "names.h"

#include <string.h>

/* Longer ones are not remembered. */
#define BYTES_MAX 64

static uint32_t hash_of(struct bytes name)
{
    uint32_t hash = 2166136261u;
    size_t i;

    for (i = 0; i < name.n; i++)
        hash = (hash ^ (uint8_t)name.p[i]) * 16777619u;
    return hash;
}

PyObject *names_get(struct names *names, struct bytes spelling,
                    names_make_fn *make)
{
    uint32_t i = hash_of(spelling) % NAMES_REMEMBERED;
    PyObject *known = names->name[i].spelling;
    owned PyObject *copy = NULL;
    owned PyObject *made = NULL;

    if (known && PyBytes_GET_SIZE(known) == (Py_ssize_t)spelling.n &&
        memcmp(PyBytes_AS_STRING(known), spelling.p, spelling.n) == 0)
        return Py_NewRef(names->name[i].object);
    made = make(spelling);
    if (!made || spelling.n > BYTES_MAX)
        return give(&made);
    copy = PyBytes_FromStringAndSize(spelling.p, (Py_ssize_t)spelling.n);
    if (!copy)
        return NULL;
    Py_XSETREF(names->name[i].spelling, give(&copy));
    Py_XSETREF(names->name[i].object, Py_NewRef(made));
    return give(&made);
}

void names_done(struct names *names)
{
    size_t i;

    for (i = 0; i < NAMES_REMEMBERED; i++) {
        Py_CLEAR(names->name[i].spelling);
        Py_CLEAR(names->name[i].object);
    }
}
