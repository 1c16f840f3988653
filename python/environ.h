/* SPDX-License-Identifier: MIT */
/*
 * environ - makes the environ of a request, as Gunicorn's users know it.
 *
 * Starts from a copy of a template that already has every key a request
 * always sets, so the copy is one memory block that rarely grows. Strings
 * that come again and again (methods, hosts, addresses, targets, user agents)
 * are kept and found by one comparison with the last one.
 */
#ifndef GCORN_PYTHON_ENVIRON_H
#define GCORN_PYTHON_ENVIRON_H

#include "names.h"
#include "core/board.h"
#include "core/http.h"

struct arena;
struct exchange;

#define ENVIRON_PORTS 256

/* Keys set for each request: id, key. */
#define ENVIRON_KEYS(X)                                                        \
    X(REQUEST_METHOD, "REQUEST_METHOD")                                        \
    X(QUERY_STRING, "QUERY_STRING")                                            \
    X(RAW_URI, "RAW_URI")                                                      \
    X(SERVER_PROTOCOL, "SERVER_PROTOCOL")                                      \
    X(REMOTE_ADDR, "REMOTE_ADDR")                                              \
    X(REMOTE_PORT, "REMOTE_PORT")                                              \
    X(SERVER_NAME, "SERVER_NAME")                                              \
    X(SERVER_PORT, "SERVER_PORT")                                              \
    X(PATH_INFO, "PATH_INFO")                                                  \
    X(SCRIPT_NAME, "SCRIPT_NAME")                                              \
    X(INPUT, "wsgi.input")                                                     \
    X(URL_SCHEME, "wsgi.url_scheme")                                           \
    X(EARLY_HINTS, "wsgi.early_hints")

enum environ_key {
#define X(id, key) ENVIRON_##id,
    ENVIRON_KEYS(X)
#undef X
        ENVIRON_KEY_COUNT,
};

struct environ_listener {
    PyObject *name; /* NULL for a Unix socket: from Host */
    PyObject *port;
};

struct environ_maker {
    PyObject *template;
    PyObject *key[ENVIRON_KEY_COUNT];
    PyObject *field_key[HTTP_NAME_COUNT];
    PyObject *last[ENVIRON_KEY_COUNT]; /* values seen last */
    PyObject *last_field[HTTP_NAME_COUNT];
    PyObject *raw_path; /* the undecoded path of last[ENVIRON_PATH_INFO] */
    PyObject *empty;
    PyObject *http;
    PyObject *https;
    PyObject *script_name;
    PyObject *port[ENVIRON_PORTS];
    uint16_t port_number[ENVIRON_PORTS];
    struct names names;
    struct environ_listener listener[BOARD_LISTENERS_MAX];
};

struct environ_config {
    const struct board *board;
    PyObject *errors;       /* wsgi.errors */
    PyObject *file_wrapper; /* wsgi.file_wrapper */
    bool multithread;
    bool multiprocess;
};

/* With the GIL. 0, or -1 with an exception set. */
int environ_init(struct environ_maker *maker,
                 const struct environ_config *config);
void environ_done(struct environ_maker *maker);

/*
 * With the GIL. A new dict, or NULL with an exception set: ValueError when
 * the exchange is not consistent or the path does not begin with SCRIPT_NAME.
 */
PyObject *environ_make(struct environ_maker *maker, const struct arena *arena,
                       const struct exchange *x, PyObject *input,
                       PyObject *early_hints);
#endif
