/* SPDX-License-Identifier: MIT */
/*
 * fake_ring - a ring without a kernel, for tests of what uses core/ring.h.
 *
 * The test plays the clients: they connect, send, stop reading, reset. The
 * ring plays the completions, as badly as its faults allow, out of a seed: the
 * same seed gives the same run. It never sleeps: ring_wait() returns 0 when
 * nothing can happen, whatever the timeout.
 *
 * It reads and writes lent memory at the last moment, so that memory taken
 * back too early is found by the address sanitizer, and it aborts when the
 * contract of ring.h is broken: a token used twice, a descriptor closed under
 * a running operation or used after that, two sends at a time on a socket, a
 * buffer given back twice.
 *
 * Descriptors of connections are numbers from 1 << 20 up, with nothing behind
 * them: a system call on one fails with EBADF. Files are real.
 */
#ifndef GCORN_TESTS_FAKE_RING_H
#define GCORN_TESTS_FAKE_RING_H

#include "core/bytes.h"
#include "core/ring.h"

#define FAKE_RING_LATE 0x01   /* completions take their time */
#define FAKE_RING_SHORT 0x02  /* receives and file operations in pieces */
#define FAKE_RING_MIXED 0x04  /* in another order than submitted */
#define FAKE_RING_ENDING 0x08 /* repeating operations end without a reason */
#define FAKE_RING_NOBUFS 0x10 /* no receive buffer, now and then */
#define FAKE_RING_RESET 0x20  /* connections break, accepts fail */
#define FAKE_RING_KIND 0x1f   /* all that must not cost a connection */
#define FAKE_RING_ALL 0x3f

struct fake_ring_config {
    uint64_t seed;
    uint32_t faults;
    uint32_t buffers;
    uint32_t buffer_bytes;
};

/* ring_free() frees it. */
struct ring *fake_ring_new(const struct fake_ring_config *config);

/* A client connects. Returns the descriptor that an accept will bring. */
int fake_ring_connect(struct ring *ring, int listen_fd);

/* The client sends. The bytes are copied. */
void fake_ring_feed(struct ring *ring, int fd, struct bytes bytes);

/* The client sends no more. */
void fake_ring_end(struct ring *ring, int fd);

void fake_ring_reset(struct ring *ring, int fd);

enum fake_ring_op {
    FAKE_RING_ACCEPT,
    FAKE_RING_RECV,
    FAKE_RING_RECV_INTO,
    FAKE_RING_SEND,
    FAKE_RING_READ,
};

/*
 * The next operations of this kind on a descriptor (-1: on any), so many of
 * them, fail with this error as soon as they could succeed. One kind at a time.
 */
void fake_ring_fail(struct ring *ring, int fd, enum fake_ring_op op, int error,
                    uint32_t times);

/* The client stops reading, or goes on. */
void fake_ring_stall(struct ring *ring, int fd, bool stalled);

/* Somebody makes a polled descriptor readable. */
void fake_ring_ring(struct ring *ring, int fd);

/* Everything the client has received; valid until the next ring_wait(). */
struct bytes fake_ring_sent(const struct ring *ring, int fd);

/* The client sees the end of the stream. */
bool fake_ring_is_shut(const struct ring *ring, int fd);
bool fake_ring_is_closed(const struct ring *ring, int fd);

/* How often ring_notify() was called for this descriptor. */
uint32_t fake_ring_notified(const struct ring *ring, int fd);

/* Operations that have not had their last event. */
uint32_t fake_ring_inflight(const struct ring *ring);

/* False: nothing happens until the test does something. */
bool fake_ring_can_go_on(const struct ring *ring);

/* What was left behind ("a connection is still open"), or NULL. */
const char *fake_ring_leftover(const struct ring *ring);
#endif
