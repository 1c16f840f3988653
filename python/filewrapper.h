/* SPDX-License-Identifier: MIT */
/*
 * filewrapper - wsgi.file_wrapper (PEP 3333, optional file handling): an
 * iterator over blocks of a file-like object. When it is returned to the
 * server as it is and wraps a real file, the file's bytes never pass through
 * Python.
 */
#ifndef GCORN_PYTHON_FILEWRAPPER_H
#define GCORN_PYTHON_FILEWRAPPER_H

#include "internal.h"

struct filewrapper_kit {
    PyTypeObject *type;
    PyObject *plain[3]; /* io types whose descriptor holds just their bytes */
};

/* All with the GIL. 0, or -1 with an exception set. */
int filewrapper_kit_init(struct filewrapper_kit *kit);
void filewrapper_kit_done(struct filewrapper_kit *kit);

static inline bool filewrapper_is(const struct filewrapper_kit *kit,
                                  PyObject *object)
{
    return Py_IS_TYPE(object, kit->type);
}

/*
 * The rest of the wrapped file as a range of a descriptor. True: *ret_fd
 * (still the file object's), *ret_off and *ret_len are set; false: not a real
 * file, or nothing left of it: iterate.
 */
bool filewrapper_range(const struct filewrapper_kit *kit, PyObject *wrapper,
                       int *ret_fd, uint64_t *ret_off, uint64_t *ret_len);
#endif
