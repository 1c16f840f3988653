/* SPDX-License-Identifier: MIT */
/*
 * wsgi_stage - an application of tests/apps/wsgi_cases.py behind wsgi_serve(),
 * and a worker, in a thread of its own, that takes what is answered.
 */
#ifndef GCORN_TESTS_WSGI_STAGE_H
#define GCORN_TESTS_WSGI_STAGE_H

#include "core/exchange_worker.h"
#include "python/wsgi.h"

#define V "HTTP/1.1\r\n"
#define H "Host: a\r\n"
#define GET "GET / " V H "\r\n"
#define KEEP "Connection: keep-alive\r\n"
#define CLOSE "Connection: close\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

/* What the worker does besides taking parts. */
enum wsgi_play {
    PLAY_PLAIN,
    PLAY_FULL,        /* takes nothing until the application waits for it */
    PLAY_GONE,        /* the client left before the application was called */
    PLAY_LEAVE,       /* ... once the first part was there */
    PLAY_BODY_LATE,   /* the body comes when it is asked for */
    PLAY_BODY_FAILED, /* and does not come */
    PLAY_STARVED,     /* no chunk is free until the application waits */
};

struct wsgi_case {
    const char *app;
    const char *request; /* NULL: GET */
    /* Without Server and Date; NULL: nothing. A '*' at its end: whatever. */
    const char *answer;
    const char *trace; /* of the application, likewise; NULL: none */
    const char *log;   /* somewhere in the error log; NULL: an empty log */
    uint32_t flags;    /* EXCHANGE_OUT_ */
    enum wsgi_play play;
    uint32_t parse_flags;    /* HTTP_PERMIT_ ... */
    uint32_t drawn;          /* so many bytes of a pattern are the body */
    const char *script_name; /* in the environment; NULL: none */
    uint8_t family;          /* of the peer; 0: AF_INET */
    uint8_t listener;        /* 0: 127.0.0.1:8000, 1: [::1]:8001, 2: Unix */
    bool secure;
    bool fixed; /* Connection cannot be changed later */
    bool ends;  /* the interpreter is to end */
};

struct wsgi_group {
    const char *name;
    const struct wsgi_case *cases;
    size_t count;
};

/*
 * Runs each case as a test of its own: once; then often, when nothing may
 * grow; then with Python short of memory, when nothing may break.
 * The arguments are Python's executable and the folder of wsgi_cases.py.
 * Returns the number of failures.
 */
int wsgi_stage_main(int argc, char **argv, const struct wsgi_group *groups,
                    size_t count);
#endif
