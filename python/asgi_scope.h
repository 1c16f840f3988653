/* SPDX-License-Identifier: MIT */
/*
 * asgi_scope - makes the scope of a request (ASGI 3, HTTP and WebSocket).
 *
 * Starts from a copy of a template. Field names are interned bytes; pairs
 * that come again and again are kept and found by one comparison.
 */
#ifndef GCORN_PYTHON_ASGI_SCOPE_H
#define GCORN_PYTHON_ASGI_SCOPE_H

#include "names.h"
#include "core/board.h"
#include "core/http.h"

struct arena;
struct exchange;

#define SCOPE_KEYS(X)                                                          \
    X(TYPE, "type")                                                            \
    X(ASGI, "asgi")                                                            \
    X(HTTP_VERSION, "http_version")                                            \
    X(METHOD, "method")                                                        \
    X(SCHEME, "scheme")                                                        \
    X(PATH, "path")                                                            \
    X(RAW_PATH, "raw_path")                                                    \
    X(QUERY_STRING, "query_string")                                            \
    X(ROOT_PATH, "root_path")                                                  \
    X(HEADERS, "headers")                                                      \
    X(CLIENT, "client")                                                        \
    X(SERVER, "server")                                                        \
    X(EXTENSIONS, "extensions")                                                \
    X(STATE, "state")                                                          \
    X(SUBPROTOCOLS, "subprotocols")

enum scope_key {
#define X(id, key) SCOPE_##id,
    SCOPE_KEYS(X)
#undef X
        SCOPE_KEY_COUNT,
};

struct scope_maker {
    PyObject *key[SCOPE_KEY_COUNT];
    PyObject *http[SCOPE_KEY_COUNT];      /* what every scope has; NULL: not */
    PyObject *websocket[SCOPE_KEY_COUNT]; /* likewise */
    PyObject *field_name[HTTP_NAME_COUNT];
    PyObject *last_pair[HTTP_NAME_COUNT]; /* (name, value) seen last */
    PyObject *last[SCOPE_KEY_COUNT];
    PyObject *last_raw; /* of last[SCOPE_PATH]: bytes */
    PyObject *http_1_0, *http_1_1;
    PyObject *scheme[4]; /* http, https, ws, wss */
    PyObject *root_path;
    PyObject *empty_bytes;
    PyObject *server[BOARD_LISTENERS_MAX];
    PyObject *state;    /* of the lifespan, or NULL */
    struct names names; /* in lower case: bytes */
};

/* With the GIL. 0, or -1 with an exception set. */
int scope_init(struct scope_maker *maker, const struct board *board,
               const char *root_path);
void scope_done(struct scope_maker *maker);

/* With the GIL. A new dict, or NULL with an exception set. */
PyObject *scope_make(struct scope_maker *maker, const struct arena *arena,
                     const struct exchange *x, bool websocket);
#endif
