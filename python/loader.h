/* SPDX-License-Identifier: MIT */
/*
 * loader - finds the application and prepares the interpreter for it; the
 * C side of loader.py. Everything is called with the GIL and logs what goes
 * wrong; no exception is left set.
 */
#ifndef GCORN_PYTHON_LOADER_H
#define GCORN_PYTHON_LOADER_H

#include "internal.h"

/* Exit codes of a process that cannot serve, as Gunicorn's. */
#define LOADER_BOOT_ERROR 3
#define LOADER_LOAD_ERROR 4

struct loader {
    PyObject *names; /* owned: the namespace of loader.py */
};

/* After Python has started. 0 or -EINVAL. */
int loader_init(struct loader *loader);

/* A source that is compiled in, run in a namespace of its own: a new
 * reference to that, or NULL with an exception. */
PyObject *loader_run_source(const char *source, const char *name);

/* An object with these methods in C, for such a source: a new reference. The
 * methods stay where they are, and are bound to self. */
PyObject *loader_engine(PyMethodDef *methods, size_t count, PyObject *self);

/*
 * When the settings are known: sys.path (chdir, and before it the comma list
 * pythonpath), stacks shown in the log. 0 or -EINVAL.
 */
int loader_prepare(const struct loader *loader, const char *chdir,
                   const char *pythonpath, int log_fd);

/* NAME=VALUE for a PasteDeploy file; false with an exception. */
bool loader_paste_global(const struct loader *loader, const char *text);

/* "module:expression", or "config:FILE#NAME". 0 and a new reference, or the
 * exit code (3, 4). */
int loader_load(const struct loader *loader, const char *uri,
                PyObject **ret_application);

/* The same, but when it fails there is an application too, which says why. */
int loader_explain(const struct loader *loader, const char *uri,
                   PyObject **ret_application);

/* "is_asgi", "is_asgi2" or "is_wsgi", as far as that can be told. */
bool loader_says(const struct loader *loader, const char *question,
                 PyObject *application);

/*
 * Asks a WSGI application for the path, as a client would. 0, or the exit
 * code: it answered with a server error, or raised.
 */
int loader_warm_up(const struct loader *loader, PyObject *application,
                   const char *path);

/* Before forking: everything loaded so far is made cheap to share. */
void loader_settle(const struct loader *loader);

/* Before every fork: no buffered output is left to be written twice. */
void loader_flush(const struct loader *loader);

/*
 * Runs serve() in count Python threads and returns when all have returned.
 * When an exception ends that earlier (a signal handler of the application
 * raised, no thread could be started) it calls stop() and logs the traceback.
 */
void loader_run_threads(const struct loader *loader, uint32_t count,
                        PyObject *serve, PyObject *stop);

/* A daemon thread that runs it. False when there can be none: logged. */
bool loader_start_thread(const struct loader *loader, PyObject *target);

/* The class of what --timeout-soft raises; borrowed. */
PyObject *loader_request_timeout(const struct loader *loader);

/* Logs the exception that is set, with its traceback, and clears it. */
void loader_log_exception(const struct loader *loader, const char *title);
#endif
