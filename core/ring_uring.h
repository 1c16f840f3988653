/* SPDX-License-Identifier: MIT */
/*
 * ring_uring - the inside of the io_uring backend: ring_uring.c runs it,
 * ring_uring_open.c sets it up. Everything that knows liburing is in these.
 *
 * The submission queue is filled and published here instead of through
 * io_uring_get_sqe() and io_uring_submit(): those differ between liburing 2.3
 * and later ones, and 2.3 cannot pass IORING_ENTER_NO_IOWAIT.
 */
#ifndef GCORN_CORE_RING_URING_H
#define GCORN_CORE_RING_URING_H

#include "ring_backend.h"

#include <liburing.h>

#define RING_URING_GROUP 0 /* of the receive buffers */
#define RING_URING_ACCEPTS 64
#define RING_URING_NO_EVENT UINT64_MAX

/* A listening socket, and the operation that waits for a connection on it. */
struct accept_op {
    uint64_t token; /* RING_URING_NO_EVENT: none */
    int fd;
};

struct uring {
    struct ring ring;
    struct io_uring io;
    uint32_t sq_entries;
    uint32_t cq_entries;
    uint32_t sq_tail; /* published by enter() */
    uint32_t enter_flags;
    uint32_t wait_flags;
    int broken; /* -errno of an enter that cannot be repeated */
    struct accept_op accepts[RING_URING_ACCEPTS];
    uint32_t accept_count;

    /* One per submission entry, and one for the spare: lent till submitted. */
    struct msghdr *messages;
    struct io_uring_sqe spare; /* written to when the ring is broken */

    struct io_uring_buf_ring *offered; /* shared with the kernel */
    char *buffers;
    size_t mapped_bytes;
    uint32_t buffer_count;
    uint32_t buffer_bytes;
    uint32_t buffers_free;
    uint32_t put_back; /* written behind the tail, not yet published */
};

extern const struct ring_ops ring_uring_ops;

static inline struct uring *ring_uring_of(struct ring *ring)
{
    return (struct uring *)(void *)ring;
}
#endif
