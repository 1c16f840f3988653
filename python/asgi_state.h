/* SPDX-License-Identifier: MIT */
/*
 * asgi_state - what the files of asgi share: an interpreter's application and
 * event loop, and a cycle, which is one request being served. For asgi*.c and
 * wait_asyncio.c only. Everything is called with the GIL, in the thread of the
 * event loop, and nothing waits.
 *
 * A cycle is the coroutine that a task runs. It drives the application's, and
 * is told by that through receive() and send(), which return awaitables that
 * are mostly done already. When the response is complete the exchange is let
 * go, though the application may go on (background tasks).
 */
#ifndef GCORN_PYTHON_ASGI_STATE_H
#define GCORN_PYTHON_ASGI_STATE_H

#include "asgi_scope.h"
#include "host.h"
#include "stamp.h"

#include "core/exchange_loop.h"
#include "core/exchange_writer.h"

/* Words of messages: id, text. */
#define ASGI_WORDS(X)                                                          \
    X(TYPE, "type")                                                            \
    X(STATUS, "status")                                                        \
    X(HEADERS, "headers")                                                      \
    X(TRAILERS, "trailers")                                                    \
    X(BODY, "body")                                                            \
    X(MORE_BODY, "more_body")                                                  \
    X(MORE_TRAILERS, "more_trailers")                                          \
    X(PATH, "path")                                                            \
    X(LINKS, "links")                                                          \
    X(HTTP_REQUEST, "http.request")                                            \
    X(HTTP_DISCONNECT, "http.disconnect")                                      \
    X(RESPONSE_START, "http.response.start")                                   \
    X(RESPONSE_BODY, "http.response.body")                                     \
    X(RESPONSE_PATHSEND, "http.response.pathsend")                             \
    X(RESPONSE_TRAILERS, "http.response.trailers")                             \
    X(RESPONSE_HINT, "http.response.early_hint")                               \
    X(RESPONSE_INFORMATIONAL, "http.response.informational")                   \
    X(CODE, "code")                                                            \
    X(REASON, "reason")                                                        \
    X(TEXT, "text")                                                            \
    X(BYTES, "bytes")                                                          \
    X(SUBPROTOCOL, "subprotocol")                                              \
    X(WS_CONNECT, "websocket.connect")                                         \
    X(WS_RECEIVE, "websocket.receive")                                         \
    X(WS_DISCONNECT, "websocket.disconnect")                                   \
    X(WS_ACCEPT, "websocket.accept")                                           \
    X(WS_SEND, "websocket.send")                                               \
    X(WS_CLOSE, "websocket.close")                                             \
    X(DENIAL_START, "websocket.http.response.start")                           \
    X(DENIAL_BODY, "websocket.http.response.body")

enum asgi_word {
#define X(id, text) ASGI_##id,
    ASGI_WORDS(X)
#undef X
        ASGI_WORD_COUNT,
};

struct cycle;

struct asgi {
    const struct host *host;
    struct board_interp *self;
    struct exchange_loop loop;
    PyObject *application;
    struct scope_maker scopes;
    PyTypeObject *cycle_type;
    PyTypeObject *await_type;
    PyObject *word[ASGI_WORD_COUNT];
    PyObject *done; /* an awaitable that is done with None */
    PyObject *event_loop;
    PyObject *call_soon;
    PyObject *call_later;
    PyObject *create_future;
    PyObject *task_type;
    PyObject *cancelled; /* asyncio.CancelledError */
    PyObject *task_keywords;
    PyObject *create_task;     /* of the loop, if it has a task factory */
    PyObject *check;           /* the callable that is called once a turn */
    PyObject *draining_future; /* set when no more requests are taken */
    PyObject *stopped;         /* future: draining, and no cycle runs */
    struct cycle **cycles;     /* by worker and slot; borrowed */
    struct cycle *dirty;       /* owned list: has something to publish */
    uint64_t max_requests;
    uint32_t active;     /* cycles whose application runs */
    uint32_t sockets;    /* of those: accepted WebSockets */
    uint32_t limit;      /* worker_connections */
    bool limits_sockets; /* because it was set */
    uint64_t close_ns;   /* draining: when those not yet quiet are closed */
    double patience_s;   /* with those whose clients have left; < 0: any */
    struct stamp stamp;
    bool checking; /* check is going to be called */
    bool starved;  /* the arena had no chunk */
    bool draining;
};

/* Kept free behind the application's fields for Connection and framing. */
#define ASGI_TAIL_BYTES 128
#define ASGI_SEGMENTS 6

/* What could not be written yet, in this order. */
struct asgi_rest {
    struct bytes segment[ASGI_SEGMENTS];
    uint32_t count;
    uint32_t next;
    PyObject *keep[2]; /* what the segments point into */
    int fd;            /* then this file, unless -1 */
    uint64_t file_len;
    bool last; /* then the response is complete */
    char line[ASGI_TAIL_BYTES + 32];
};

enum asgi_stage {
    ASGI_WAITS,    /* no response yet */
    ASGI_STARTED,  /* its head is known and held back */
    ASGI_SENDING,  /* body */
    ASGI_TRAILING, /* body over, trailers announced */
    ASGI_COMPLETE,
};

struct asgi_await;

struct cycle {
    PyObject_HEAD struct asgi *asgi;
    struct exchange_writer writer; /* x is NULL when it was let go */
    uint32_t worker;
    uint32_t slot;
    PyObject *coroutine; /* the application's; NULL: not begun, or over */
    PyObject *task;      /* owned while the application runs */
    struct asgi_await *waiting; /* list; borrowed */
    struct cycle *next_dirty;
    struct asgi_rest rest;
    PyObject *big_head; /* a head that no chunk holds */
    uint64_t body_pos;
    int64_t length; /* Content-Length of the application, or -1 */
    uint64_t sent;
    int status;
    PyObject *message;    /* bytes of a WebSocket's, as far as they came */
    uint16_t closed_code; /* 0: not closed */
    bool is_socket;
    bool is_open;  /* counted in asgi->sockets */
    uint8_t stage; /* enum asgi_stage */
    bool begun;
    bool body_over; /* receive() has returned the last of the body */
    bool trailers;
    bool chunked;
    bool no_body;
    bool keep_alive;
    bool cut;
    bool gone; /* the client is */
    bool is_dirty;
};

/* asgi_cycle.c */
int asgi_cycle_types(struct asgi *asgi);
/* Takes over the writer. 0, or -1 when it was answered without a task. */
int asgi_cycle_start(struct asgi *asgi, const struct exchange_writer *writer);
/* An exchange_loop_fn; context is the struct asgi. */
void asgi_cycle_changed(void *context, uint32_t worker, uint32_t slot);
/* The exchange is let go. */
void asgi_cycle_release(struct cycle *cycle);
/* Something is to be published at the end of the turn. */
void asgi_cycle_dirty(struct cycle *cycle);

/* asgi_await.c: what receive() and send() return. */
int asgi_await_types(struct asgi *asgi);
PyObject *asgi_await_receive(struct cycle *cycle);
PyObject *asgi_await_send(struct cycle *cycle, PyObject *message);
/* The application waits for a message. */
bool asgi_await_receives(const struct cycle *cycle);
/* Wakes those that can go on. */
void asgi_await_wake(struct cycle *cycle);

/* asgi_input.c: a new reference to the next message, or NULL: without an
 * exception there is none yet. */
PyObject *asgi_receive(struct cycle *cycle);

/* asgi_output.c: 0: done, 1: has to wait (asgi_push() later, and `taken` tells
 * whether the message was taken), -1 with an exception. */
int asgi_send(struct cycle *cycle, PyObject *message, bool *ret_taken);
/* Goes on with the rest. 0, 1, or -1 without an exception: client gone. */
int asgi_push(struct cycle *cycle);
bool asgi_rest_is_empty(const struct cycle *cycle);
void asgi_rest_drop(struct cycle *cycle);
/* The application is over: what is missing of the response. */
void asgi_fail(struct cycle *cycle);
/* Writes everything there is and lets go of the exchange. */
void asgi_complete(struct cycle *cycle);

void asgi_rest_add(struct cycle *cycle, struct bytes segment);
/* A response without a body, after asgi_head(). */
void asgi_rest_finish(struct cycle *cycle);

/* asgi_socket.c: WebSockets. */
bool asgi_socket_asked(const struct exchange_writer *writer);
PyObject *asgi_socket_receive(struct cycle *cycle);
/* 0; 1: not a message of a WebSocket; -1 with an exception. */
int asgi_socket_take(struct cycle *cycle, PyObject *given, PyObject *type);
void asgi_socket_close(struct cycle *cycle, uint32_t code);
/* All that came was dealt with, as far as can be seen from here. */
bool asgi_socket_is_quiet(const struct cycle *cycle);

/* asgi_head.c: 0, or -1 with an exception set. */
int asgi_head(struct cycle *cycle, long status, PyObject *headers);
/* Framing; the text for rest.line. */
size_t asgi_head_tail(struct cycle *cycle, int64_t total, char *line,
                      uint32_t *ret_connection_off);
/* "name: value" lines into a new bytes object. */
PyObject *asgi_head_lines(struct cycle *cycle, struct bytes first,
                          PyObject *headers);

/* wait_asyncio.c: check will be called in the next turn of the loop. */
void asgi_check_soon(struct asgi *asgi);

/* Accepted, and not closed yet. */
static inline bool asgi_socket_is_open(const struct cycle *cycle)
{
    return cycle->is_socket && cycle->writer.x && cycle->status == 101;
}

static inline bool asgi_is_running(const struct cycle *cycle)
{
    return cycle->writer.x != NULL;
}

static inline PyObject *asgi_word(const struct cycle *cycle,
                                  enum asgi_word word)
{
    return cycle->asgi->word[word];
}

/* A borrowed value of a message, or NULL; an exception if so. */
static inline PyObject *asgi_value(const struct cycle *cycle, PyObject *message,
                                   enum asgi_word word)
{
    return PyDict_GetItemWithError(message, cycle->asgi->word[word]);
}
#endif
