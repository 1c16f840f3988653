/* SPDX-License-Identifier: MIT */
/*
 * gate - a few clients of the master: of its admin address, of its control
 * socket. It reads what they say, hands it to a function, and writes what that
 * answers. It never blocks, holds a bounded number of clients and of bytes for
 * each, and lets nobody stay who says nothing.
 *
 * It does not know what is said: see admin.c and control.c.
 */
#ifndef GCORN_WORKERS_GATE_H
#define GCORN_WORKERS_GATE_H

#include "core/base.h"
#include "core/bytes.h"

#define GATE_CLIENTS 32
#define GATE_IN_MAX 65536 /* a longer message ends the conversation */

struct gate_client {
    int fd;            /* -1: none */
    uint64_t heard_ns; /* when it last said or took something */
    char *in;
    size_t in_len;
    char *out;
    size_t out_len;
    size_t out_done;
    bool ended;    /* says no more */
    bool over;     /* to be closed when all is written */
    uint64_t note; /* the function's own; 0 at first */
};

/*
 * Looks at all that a client said and has not been used. Returns how much of
 * it is used now, 0 when more has to come or to happen (it is asked again
 * every turn), or -1: this client is to be closed.
 */
typedef int64_t gate_take_fn(void *context, struct gate_client *client,
                             struct bytes said);

struct gate {
    int listen_fd; /* -1: closed; lent */
    int epoll_fd;  /* readable when there is something to do */
    uint64_t patience_ns;
    gate_take_fn *take;
    void *context;
    struct gate_client clients[GATE_CLIENTS];
};

/* A listening socket. Returns 0 or -errno. */
int gate_open(struct gate *gate, int listen_fd);

/* Does all that can be done now. */
void gate_turn(struct gate *gate, uint64_t now);

/* When to turn again, if nothing happens before; UINT64_MAX: never. */
uint64_t gate_due(const struct gate *gate);

/* For the function: an answer. What does not fit ends the conversation. */
void gate_say(struct gate_client *client, const void *text, size_t len);

/* Also in a child: everything but the listening socket. */
void gate_close(struct gate *gate);
#endif
