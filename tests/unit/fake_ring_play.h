/* SPDX-License-Identifier: MIT */
/*
 * fake_ring_play - the inside of the fake ring: what there is, and what a
 * completion does to it. For fake_ring.c only.
 */
#ifndef GCORN_TESTS_FAKE_RING_PLAY_H
#define GCORN_TESTS_FAKE_RING_PLAY_H

#include "fake_ring.h"

#include "core/ring_backend.h"

#define FIRST_FD (1 << 20)
#define SOCKETS_MAX 256
#define OPS_MAX 1024
#define QUEUE_MAX 64
#define OTHERS_MAX 64

enum op_kind { ACCEPT, RECV, RECV_INTO, SEND, READ, WRITE, POLL };

struct op {
    bool used;
    bool cancelled;
    enum op_kind kind;
    int fd;
    uint64_t token;
    uint64_t order;
    struct iovec memory;
    const struct iovec *iov;
    uint32_t count;
    size_t sent;
    uint64_t offset;
};

/* See fake_ring_fail(). */
struct failure {
    int fd;
    enum op_kind kind;
    int error;
    uint32_t left;
};

/* A growing string. */
struct text {
    char *p;
    size_t n;
    size_t room;
};

/* A connection, both ends of it. */
struct sock {
    struct text input;
    size_t taken; /* of the input */
    struct text output;
    bool ended;
    bool reset;
    bool stalled;
    bool shut;
    bool closing; /* ring_close() was called, ring_wait() was not */
    bool closed;
};

/* Any other descriptor: a listening socket or an eventfd. */
struct other {
    int fd;
    bool ready;
    uint32_t notified;
    int queue[QUEUE_MAX]; /* connections not accepted yet */
    uint32_t queued;
};

struct fake {
    struct ring ring;
    struct fake_ring_config config;
    uint64_t random;
    uint64_t order;
    struct failure failure;
    struct op ops[OPS_MAX];
    uint32_t op_top; /* those from here on were never used */
    struct sock socks[SOCKETS_MAX];
    uint32_t sock_count;
    struct other others[OTHERS_MAX];
    uint32_t other_count;
    char *buffers;
    bool *buffer_used;
    uint32_t buffers_free;
};

/* A number below n. */
uint64_t fake_below(struct fake *fake, uint64_t n);

/* True once in n times, if the fault is wanted at all. */
bool fake_strikes(struct fake *fake, uint32_t fault, uint64_t n);

void fake_append(struct text *text, const void *p, size_t n);

bool fake_is_sock(int fd);
struct sock *fake_sock(struct fake *fake, int fd);
struct other *fake_other(struct fake *fake, int fd);

/* Whether something can happen to the operation now. */
bool fake_is_playable(struct fake *fake, const struct op *op);

/* Lets it happen. Returns whether there is an event. */
bool fake_play(struct fake *fake, struct op *op, struct ring_event *event);
#endif
