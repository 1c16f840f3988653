/* SPDX-License-Identifier: MIT */
/*
 * echo_site - a whole server without Python: a small master that starts a
 * real worker process and interpreters in C, and starts again what dies. For
 * tests and for measuring the C side alone. What it answers:
 *
 *   /           "Hello, World!"            /echo       the request's body
 *   /size/N     N bytes                    /sleep/MS   after MS milliseconds
 *   /stream/N   N pieces, each flushed     /file/N     N bytes of a file
 *   /deny       without reading the body   /broken     cut short
 *   /die        never: dies                /die-late   dies after a part
 *   /die-once   dies, and answers the second time
 */
#ifndef GCORN_TESTS_ECHO_SITE_H
#define GCORN_TESTS_ECHO_SITE_H

#include "workers/worker.h"

#include <sys/types.h>

struct echo_options {
    uint32_t interps; /* 1 to BOARD_INTERPS_PER_WORKER */
    uint32_t slots;   /* exchanges: a multiple of 64 */
    struct ring_config ring;
    struct conn_config conn;
    int access_log_fd; /* -1: off */
    int error_log_fd;
    const char *access_log_format;
    uint16_t port; /* 0: any */
};

struct echo_site {
    struct echo_options options;
    struct board *board;
    int listen_fd;
    uint16_t port;
    pid_t master;
};

/* Sensible timeouts, one interpreter, any port. */
void echo_defaults(struct echo_options *options);

/* Returns 0 or -errno. The server is listening when it returns. */
int echo_start(struct echo_site *site, const struct echo_options *options);

/* Drains it. Returns the worker's exit code, or -1 when it was killed. */
int echo_stop(struct echo_site *site);
#endif
