/* SPDX-License-Identifier: MIT */
/*
 * wsgi - calls a WSGI application (PEP 3333) for one exchange and writes its
 * response there.
 *
 * A struct wsgi belongs to one interpreter and is shared by its threads under
 * the GIL: interned names, the environ every request starts from, types.
 */
#ifndef GCORN_PYTHON_WSGI_H
#define GCORN_PYTHON_WSGI_H

#include "response.h"

struct wsgi;

struct wsgi_config {
    struct board *board;
    bool multithread;
    bool multiprocess;
    const struct waits *waits; /* NULL: as threads do */
    PyObject *late;   /* what --timeout-soft raises: 504, not 500; borrowed */
    PyObject *killed; /* what ends a greenlet: no error; borrowed, or NULL */
};

/* With the GIL. NULL with an exception set. */
struct wsgi *wsgi_new(const struct wsgi_config *config, PyObject *application);
void wsgi_free(struct wsgi *wsgi);

/*
 * With the GIL. Answers and finishes the exchange exactly once, whatever the
 * application does; no exception leaves it, but SystemExit and
 * KeyboardInterrupt make it return false: the interpreter is to end.
 *
 * The response is the caller's storage, like the writer. Where greenlets run,
 * neither may be on the stack: that moves while others run.
 */
bool wsgi_serve(struct wsgi *wsgi, struct response *response,
                struct exchange_writer *writer);
#endif
