/* SPDX-License-Identifier: MIT */
/*
 * waits - how the WSGI bridge waits for a worker: a thread sleeps with the GIL
 * released; a greenlet lets the hub run others meanwhile (green_request.c).
 *
 * With the GIL. The functions return 0, or -1 with an exception set, and may
 * return early: the caller looks again.
 */
#ifndef GCORN_PYTHON_WAITS_H
#define GCORN_PYTHON_WAITS_H

#include "internal.h"
#include "core/bytes.h"

struct exchange_writer;

struct waits {
    /*
     * After -EAGAIN of the writer: until there is room. Of *data, which is to
     * be written next, it drops what it has stored elsewhere instead; NULL
     * when what comes next are no bytes.
     */
    int (*for_room)(struct exchange_writer *writer, struct bytes *data);
    /* Until the body is complete, or more of one that streams is there. */
    int (*for_body)(struct exchange_writer *writer);
    /* What was written leaves now. 0, or -errno: no exception. */
    int (*flush)(struct exchange_writer *writer);
};

extern const struct waits waits_of_threads;
#endif
