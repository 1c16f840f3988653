/* SPDX-License-Identifier: MIT */
/*
 * ring - asynchronous I/O for one worker, completion style. One contract, two
 * backends (io_uring, epoll), and a fake one for tests.
 *
 * A ring belongs to the thread that opened it. An operation is submitted with
 * a token (anything but UINT64_MAX; no two at a time the same) that comes
 * back, once or (where "repeats" is said) until the event lacks RING_MORE.
 * Memory given to an operation is lent until its last event. Submissions
 * reach the kernel at the latest when ring_wait() is called, all in one system
 * call; nothing calls back.
 *
 * Sockets are blocking ones and stay the caller's: the ring never closes a
 * descriptor except by ring_close(), which must come after the last event of
 * every other operation on it. A descriptor reads for one operation at a time
 * (listening sockets: any number).
 */
#ifndef GCORN_CORE_RING_H
#define GCORN_CORE_RING_H

#include "base.h"

#include <sys/socket.h>
#include <sys/uio.h>

enum ring_backend { RING_AUTO, RING_URING, RING_EPOLL };

/* 0 in a number means the default. */
struct ring_config {
    enum ring_backend backend;
    uint32_t submit_entries;     /* 256 */
    uint32_t completion_entries; /* 2048 */
    uint32_t buffers;            /* receive buffers, a power of two: 256 */
    uint32_t buffer_bytes;       /* 8192 */
};

#define RING_MORE 0x01 /* the operation goes on: more events will come */

struct ring_event {
    uint64_t token;
    int32_t result;   /* bytes, a descriptor, 0, or -errno */
    uint16_t flags;   /* RING_MORE */
    int32_t buffer;   /* ring_recv: the buffer's number, or -1 */
    const char *data; /* ring_recv: its bytes; valid until ring_buffer_put() */
};

struct ring;

/*
 * Opens a ring in the calling thread. Returns 0; -EINVAL; -ENOMEM; or, when
 * the asked for backend cannot be had, its -errno. RING_AUTO never fails for
 * want of io_uring; ring_why() then tells why epoll was taken.
 */
int ring_open(struct ring **ret_ring, const struct ring_config *config);

/* Cancels nothing and waits for nothing: for the end of the process. */
void ring_free(struct ring *ring);

/* "io_uring" or "epoll". */
const char *ring_name(const struct ring *ring);

/* Why io_uring was not taken, or "". */
const char *ring_why(const struct ring *ring);

#define RING_WHY_BYTES 160
/* The same for an error of ring_open() with RING_URING. */
void ring_explain(int error, char text[RING_WHY_BYTES]);

/*
 * One connection; result: the descriptor, CLOEXEC, TCP_NODELAY not set;
 * -EAGAIN: another process was faster. At most 64 at a time. Makes the
 * listening socket non-blocking. A process that dies takes no connection of
 * the queue along.
 */
void ring_accept(struct ring *ring, int listen_fd, uint64_t token);

/*
 * Receives into the ring's buffers; repeats. result > 0: bytes in
 * event.buffer, which the caller puts back once; 0: end of stream; -ENOBUFS:
 * no buffer was free, nothing is lost, start again later; other -errno: the
 * connection is gone. An event with bytes may lack RING_MORE too: start again.
 */
void ring_recv(struct ring *ring, int fd, uint64_t token);

/* Receives at most len bytes into the caller's memory; once. */
void ring_recv_into(struct ring *ring, int fd, void *to, size_t len,
                    uint64_t token);

/*
 * Sends all of it, at most 2 GiB. The result is the total; a smaller number
 * or -errno means that the connection failed or the send was cancelled. At
 * most one send per socket is in flight. The iovec array is lent too.
 */
void ring_send(struct ring *ring, int fd, const struct iovec *iov,
               uint32_t count, uint64_t token);

/* Files. A short result is possible. */
void ring_read(struct ring *ring, int fd, void *to, size_t len, uint64_t offset,
               uint64_t token);
void ring_write(struct ring *ring, int fd, const void *from, size_t len,
                uint64_t offset, uint64_t token);

/* Readable descriptor (eventfd, socket); repeats; the ring never reads it. */
void ring_poll(struct ring *ring, int fd, uint64_t token);

/*
 * Adds 1 to an eventfd, in the same system call as everything else. The
 * eventfd must be EFD_NONBLOCK: the kernel hands writes to a blocking one to
 * a helper thread (26 instead of 0.23 us).
 */
void ring_notify(struct ring *ring, int event_fd);

/*
 * Ends the operation with this token: its last event comes with -ECANCELED,
 * or with what it had achieved. The cancel itself has no event.
 */
void ring_cancel(struct ring *ring, uint64_t token);

/*
 * Half-close (SHUT_WR) or both (SHUT_RDWR), at once: a send that is still in
 * flight fails. No event.
 */
void ring_shutdown(struct ring *ring, int fd, int how);

/* No event. */
void ring_close(struct ring *ring, int fd);

/* Gives a receive buffer back. */
void ring_buffer_put(struct ring *ring, int32_t buffer);

/* Buffers the kernel may fill now. */
uint32_t ring_buffers_free(const struct ring *ring);

/*
 * Submits what is queued and returns up to max events. With none ready it
 * waits until one comes or timeout_ns has passed (0: does not wait;
 * UINT64_MAX: for ever). Returns the number of events; 0 on timeout, on a
 * signal, and at times for no reason; or -errno when the ring itself is
 * broken.
 */
int ring_wait(struct ring *ring, struct ring_event *events, uint32_t max,
              uint64_t timeout_ns);

/* Hands what is queued to the kernel and takes no events. */
void ring_submit(struct ring *ring);

/* True when ring_wait() would return events without waiting. */
bool ring_has_events(const struct ring *ring);
#endif
