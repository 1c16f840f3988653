/* SPDX-License-Identifier: MIT */
/*
 * ring_epoll - the inside of the epoll backend: readiness made to look like
 * completion. For ring_epoll.c and ring_epoll_op.c only.
 *
 *   submitted ──▶ queued ──ring_wait()──▶ started ──▶ done ──▶ last event
 *                                            │          ▲
 *                                            ▼          │
 *                                   waiting on its descriptor
 */
#ifndef GCORN_CORE_RING_EPOLL_H
#define GCORN_CORE_RING_EPOLL_H

#include "pool.h"
#include "ring_backend.h"

#include <sys/epoll.h>

#define RING_EPOLL_BUCKET_BITS 12
#define RING_EPOLL_READY 256

enum op_kind {
    OP_ACCEPT,
    OP_RECV,
    OP_RECV_INTO,
    OP_SEND,
    OP_READ,
    OP_WRITE,
    OP_POLL,
};

/* One operation, from its start to its last event. */
struct op {
    struct op *next;    /* in the queue, then in the list of the done */
    struct op *fd_next; /* of those that wait on one descriptor */
    struct op *hash_next;
    uint64_t token;
    enum op_kind kind;
    int fd;
    bool waiting;
    bool cancelled;
    int32_t result;
    struct iovec memory;     /* OP_RECV_INTO, OP_READ, OP_WRITE */
    const struct iovec *iov; /* OP_SEND */
    uint32_t count;
    size_t sent;
    uint64_t offset;
};

/* What the ring knows of a descriptor. */
struct watch {
    struct op *waiting;
    uint32_t events;  /* registered for; 0: not registered */
    bool nonblocking; /* a listening socket, made so here */
};

struct op_list {
    struct op *first;
    struct op **end;
};

struct epoll {
    struct ring ring;
    int fd;
    int broken;
    struct pool ops;
    struct watch *watches; /* by descriptor */
    uint32_t watch_count;
    struct op_list queue;
    struct op_list done;
    struct op *buckets[1 << RING_EPOLL_BUCKET_BITS]; /* running, by token */

    struct epoll_event ready[RING_EPOLL_READY];
    int ready_count;
    int ready_next;

    char *buffers;
    uint32_t buffer_count;
    uint32_t buffer_bytes;
    uint32_t free_count;
    int32_t free[]; /* last in, first out: that memory is in the cache */
};

/* Where ring_wait() puts events. */
struct events {
    struct ring_event *at;
    uint32_t max;
    uint32_t count;
};

static inline void op_list_init(struct op_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

static inline void op_list_add(struct op_list *list, struct op *op)
{
    op->next = NULL;
    *list->end = op;
    list->end = &op->next;
}

/* What is known of a descriptor, or NULL for a number that is too large. */
static inline struct watch *ring_epoll_watch(struct epoll *epoll, int fd)
{
    if (fd < 0 || (uint32_t)fd >= epoll->watch_count)
        return NULL;
    return &epoll->watches[fd];
}

/* The place that points to the operation with this token, or to NULL. */
struct op **ring_epoll_find(struct epoll *epoll, uint64_t token);

/* Does the operation, or makes it wait on its descriptor. */
void ring_epoll_start(struct epoll *epoll, struct op *op);

/* Ends an operation that waits, with what it has achieved. */
void ring_epoll_end(struct epoll *epoll, struct op *op);

/* Goes on with what waits on a descriptor. Needs room for one event. */
void ring_epoll_ready(struct epoll *epoll, const struct epoll_event *ready,
                      struct events *events);
#endif
