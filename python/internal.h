/* SPDX-License-Identifier: MIT */
/*
 * internal - the only include of Python.h in gcorn, and what the files of
 * python/ share: owned references, and what differs between 3.11 and 3.13.
 *
 * Public C API only. Every function says whether it is called with the GIL.
 */
#ifndef GCORN_PYTHON_INTERNAL_H
#define GCORN_PYTHON_INTERNAL_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "core/base.h"

/* The one place that drops references. */
static inline void ref_drop(PyObject **ref)
{
    Py_XDECREF(*ref);
}

/* A reference that is dropped at the end of its scope unless given away. */
#define owned __attribute__((cleanup(ref_drop)))

static inline PyObject *give(PyObject **ref)
{
    PyObject *object = *ref;

    *ref = NULL;
    return object;
}

/* With the GIL. The exception that is set, cleared: a new reference, or NULL
 * when none is set. */
static inline PyObject *exception_take(void)
{
#if PY_VERSION_HEX >= 0x030c0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (value && traceback)
        PyException_SetTraceback(value, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
#endif
}
#endif
