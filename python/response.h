/* SPDX-License-Identifier: MIT */
/*
 * response - what a WSGI application answers, put on the wire: start_response,
 * write, early hints, framing.
 *
 * The head is built in the exchange's first chunk when start_response is
 * called and stays invisible, and replaceable, until the first body bytes are
 * known; head and a small body then leave as one run of bytes.
 *
 * Everything is called with the GIL and waits as response_kit.waits does.
 */
#ifndef GCORN_PYTHON_RESPONSE_H
#define GCORN_PYTHON_RESPONSE_H

#include "stamp.h"
#include "waits.h"
#include "core/bytes.h"

enum responder_kind {
    RESPONDER_START,
    RESPONDER_WRITE,
    RESPONDER_HINTS,
    RESPONDER_KINDS,
};

/* Per interpreter: types, callables to use again, the stamp. */
struct response_kit {
    const struct waits *waits;
    PyTypeObject *responder_type;
    PyObject *spare[RESPONDER_KINDS];
    struct stamp stamp;
};

struct response {
    struct response_kit *kit;
    struct exchange_writer *writer;
    PyObject *responder[RESPONDER_KINDS];
    PyObject *big_head; /* bytes, when the head is too large for a chunk */
    int64_t length;     /* Content-Length of the application, or -1 */
    uint64_t sent;      /* body bytes taken from the application */
    int status;
    int fault;      /* what an application that raises is answered with */
    bool started;   /* start_response was called */
    bool head_sent; /* the head is fixed: framing chosen */
    bool chunked;
    bool no_body; /* HEAD, 204, 304 */
    bool keep_alive;
    bool cut;  /* more than Content-Length came: logged once */
    bool gone; /* nobody waits for it: stop, no error */
    bool quit; /* the application asked the interpreter to end */
};

/* 0, or -1 with an exception set. */
int response_kit_init(struct response_kit *kit, const struct waits *waits);
void response_kit_done(struct response_kit *kit);

/* 0, or -1 with an exception set; response_end() is due in both cases. */
int response_begin(struct response *response, struct response_kit *kit,
                   struct exchange_writer *writer);

/* The callables stop working; those the application kept say so. */
void response_end(struct response *response);

/*
 * Fixes the head. total is the length of the whole body when it is known,
 * else -1. 0, or -1: with an exception, or without one when response->gone.
 */
int response_head(struct response *response, int64_t total);

/* One piece of the body; the head must be fixed. Results as above. */
int response_body(struct response *response, struct bytes piece);

/*
 * After an error of exchange_room() and its like: waits for room (0), or says
 * why there will be none (-1: exception, or response->gone).
 */
int response_wait(struct response *response, int64_t why);

/* What was written leaves now. */
int response_flush(struct response *response);

/* A file range instead of bytes; the head must be fixed, not chunked. What
 * Content-Length does not cover is not sent. */
int response_file(struct response *response, int fd, uint64_t off,
                  uint64_t len);

/* Ends the body: last chunk, or finds it too short. */
int response_finish(struct response *response);

/*
 * The application failed: a page that says response->fault if nothing left
 * yet, else the response is cut off so that the client can tell.
 */
void response_fail(struct response *response);
#endif
