/* SPDX-License-Identifier: MIT */
/*
 * ring_backend - what a backend of ring.h provides. For the backends, ring.c
 * and the fake ring of the tests; nobody else includes this.
 */
#ifndef GCORN_CORE_RING_BACKEND_H
#define GCORN_CORE_RING_BACKEND_H

#include "ring.h"

/* Each function as its namesake in ring.h. */
struct ring_ops {
    const char *name;
    void (*free)(struct ring *ring);
    void (*accept)(struct ring *ring, int listen_fd, uint64_t token);
    void (*recv)(struct ring *ring, int fd, uint64_t token);
    void (*recv_into)(struct ring *ring, int fd, void *to, size_t len,
                      uint64_t token);
    void (*send)(struct ring *ring, int fd, const struct iovec *iov,
                 uint32_t count, uint64_t token);
    void (*read)(struct ring *ring, int fd, const struct iovec *to,
                 uint64_t offset, uint64_t token);
    void (*write)(struct ring *ring, int fd, const struct iovec *from,
                  uint64_t offset, uint64_t token);
    void (*poll)(struct ring *ring, int fd, uint64_t token);
    void (*notify)(struct ring *ring, int event_fd);
    void (*cancel)(struct ring *ring, uint64_t token);
    void (*shutdown)(struct ring *ring, int fd, int how);
    void (*close)(struct ring *ring, int fd);
    void (*buffer_put)(struct ring *ring, int32_t buffer);
    uint32_t (*buffers_free)(const struct ring *ring);
    int (*wait)(struct ring *ring, struct ring_event *events, uint32_t max,
                uint64_t timeout_ns);
    void (*submit)(struct ring *ring);
    bool (*has_events)(const struct ring *ring);
};

/* The first member of each backend's own struct. */
struct ring {
    const struct ring_ops *ops;
    char why[RING_WHY_BYTES];
};

/* The config has no zeros any more. */
int ring_uring_open(struct ring **ret_ring, const struct ring_config *config);
int ring_epoll_open(struct ring **ret_ring, const struct ring_config *config);

/*
 * Tries everything the server needs on a fresh ring, for at most a second,
 * and leaves it as it was. Returns 0, or -ENOTSUP when something behaves
 * otherwise than ring.h says.
 */
int ring_check(struct ring *ring);
#endif
