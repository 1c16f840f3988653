/* SPDX-License-Identifier: MIT */
#include "ring_uring.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#define SUBMIT_TRIES 64

static const uint64_t notify_one = 1;

static const struct uring *uring_of_const(const struct ring *ring)
{
    return (const struct uring *)(const void *)ring;
}

static uint32_t sq_queued(const struct uring *uring)
{
    return uring->sq_tail - io_uring_smp_load_acquire(uring->io.sq.khead);
}

static uint32_t cq_ready(const struct uring *uring)
{
    return io_uring_smp_load_acquire(uring->io.cq.ktail) - *uring->io.cq.khead;
}

/* Work waits in the kernel: completions to be made, or that had no room. */
static bool kernel_has_work(const struct uring *uring)
{
    uint32_t flags = IO_URING_READ_ONCE(*uring->io.sq.kflags);

    return (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

static void publish_buffers(struct uring *uring)
{
    if (uring->put_back == 0)
        return;
    io_uring_buf_ring_advance(uring->offered, (int)uring->put_back);
    uring->put_back = 0;
}

/* The one system call: submits all that is queued, and may wait. */
static int enter(struct uring *uring, uint32_t want, uint32_t flags,
                 struct io_uring_getevents_arg *arg)
{
    publish_buffers(uring);
    io_uring_smp_store_release(uring->io.sq.ktail, uring->sq_tail);
    return io_uring_enter2((unsigned)uring->io.enter_ring_fd, sq_queued(uring),
                           want, flags | uring->enter_flags,
                           (sigset_t *)(void *)arg, arg ? sizeof(*arg) : 0);
}

/* EAGAIN: out of memory for a request; EBUSY: for completions. Both pass. */
static bool is_passing(int rc)
{
    return rc >= 0 || rc == -EINTR || rc == -ETIME || rc == -EBUSY ||
           rc == -EAGAIN;
}

/* A turn may submit more than the queue holds. */
static void make_room(struct uring *uring)
{
    for (int i = 0; i < SUBMIT_TRIES && uring->broken == 0; i++) {
        int rc = enter(uring, 0, IORING_ENTER_GETEVENTS, NULL);

        if (!is_passing(rc))
            uring->broken = rc;
        if (sq_queued(uring) < uring->sq_entries)
            return;
    }
    if (uring->broken == 0)
        uring->broken = -EBUSY;
}

static struct io_uring_sqe *sqe_get(struct uring *uring, uint64_t token)
{
    struct io_uring_sqe *sqe = &uring->spare;

    if (unlikely(sq_queued(uring) >= uring->sq_entries))
        make_room(uring);
    if (likely(uring->broken == 0))
        sqe = &uring->io.sq.sqes[uring->sq_tail++ & (uring->sq_entries - 1)];
    /* The prep functions clear all of it in liburing 2.3, less in later ones */
    memset(sqe, 0, sizeof(*sqe));
    sqe->user_data = token;
    return sqe;
}

/* Only a failure posts a completion; wait() knows it by its token. */
static void silence(struct io_uring_sqe *sqe)
{
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

/* Another worker may be faster: then accepting must not block. */
static struct accept_op *accept_op_new(struct uring *uring, int fd)
{
    struct accept_op *op = &uring->accepts[uring->accept_count];
    int flags = fcntl(fd, F_GETFL);

    must(uring->accept_count < RING_URING_ACCEPTS);
    uring->accept_count++;
    if (flags >= 0 && !(flags & O_NONBLOCK))
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    op->fd = fd;
    return op;
}

static struct accept_op *accept_op_of(struct uring *uring, int fd)
{
    for (uint32_t i = 0; i < uring->accept_count; i++)
        if (uring->accepts[i].fd == fd &&
            uring->accepts[i].token == RING_URING_NO_EVENT)
            return &uring->accepts[i];
    return accept_op_new(uring, fd);
}

/*
 * Waits for a connection and leaves it in the queue: with IORING_OP_ACCEPT,
 * a process that is killed takes a last one while the kernel takes its ring
 * apart. One shot, and not all wake: a multishot accept on a shared socket
 * takes every connection for one worker, and those wait when it is busy.
 */
static void uring_accept(struct ring *ring, int listen_fd, uint64_t token)
{
    struct uring *uring = ring_uring_of(ring);

    accept_op_of(uring, listen_fd)->token = token;
    io_uring_prep_poll_add(sqe_get(uring, token), listen_fd,
                           POLLIN | EPOLLEXCLUSIVE);
}

static void uring_recv(struct ring *ring, int fd, uint64_t token)
{
    struct io_uring_sqe *sqe = sqe_get(ring_uring_of(ring), token);

    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = RING_URING_GROUP;
}

static void uring_recv_into(struct ring *ring, int fd, void *to, size_t len,
                            uint64_t token)
{
    io_uring_prep_recv(sqe_get(ring_uring_of(ring), token), fd, to,
                       min_u64(len, INT32_MAX), 0);
}

/*
 * The kernel copies the msghdr when it takes the entry, so it may live beside
 * the entry. MSG_WAITALL makes it continue short sends by itself.
 */
static void uring_send(struct ring *ring, int fd, const struct iovec *iov,
                       uint32_t count, uint64_t token)
{
    struct uring *uring = ring_uring_of(ring);
    struct io_uring_sqe *sqe = sqe_get(uring, token);
    struct msghdr *message = &uring->messages[uring->sq_entries];
    int flags = MSG_NOSIGNAL | MSG_WAITALL;

    if (count == 1) {
        io_uring_prep_send(sqe, fd, iov->iov_base, iov->iov_len, flags);
        return;
    }
    if (sqe != &uring->spare)
        message = &uring->messages[sqe - uring->io.sq.sqes];
    *message = (struct msghdr){
        .msg_iov = (struct iovec *)(uintptr_t)iov,
        .msg_iovlen = count,
    };
    io_uring_prep_sendmsg(sqe, fd, message, (unsigned)flags);
}

static void uring_read(struct ring *ring, int fd, const struct iovec *to,
                       uint64_t offset, uint64_t token)
{
    uint32_t len = (uint32_t)min_u64(to->iov_len, INT32_MAX);

    io_uring_prep_read(sqe_get(ring_uring_of(ring), token), fd, to->iov_base,
                       len, offset);
}

static void uring_write(struct ring *ring, int fd, const struct iovec *from,
                        uint64_t offset, uint64_t token)
{
    uint32_t len = (uint32_t)min_u64(from->iov_len, INT32_MAX);

    io_uring_prep_write(sqe_get(ring_uring_of(ring), token), fd, from->iov_base,
                        len, offset);
}

static void uring_poll(struct ring *ring, int fd, uint64_t token)
{
    io_uring_prep_poll_multishot(sqe_get(ring_uring_of(ring), token), fd,
                                 POLLIN);
}

static void uring_notify(struct ring *ring, int event_fd)
{
    struct io_uring_sqe *sqe = sqe_get(ring_uring_of(ring),
                                       RING_URING_NO_EVENT);

    io_uring_prep_write(sqe, event_fd, &notify_one, sizeof(notify_one), 0);
    silence(sqe);
}

static void uring_cancel(struct ring *ring, uint64_t token)
{
    struct io_uring_sqe *sqe = sqe_get(ring_uring_of(ring),
                                       RING_URING_NO_EVENT);

    io_uring_prep_cancel64(sqe, token, 0);
    silence(sqe);
}

/* Not IORING_OP_SHUTDOWN: the kernel always hands that to a helper thread. */
static void uring_shutdown(struct ring *ring, int fd, int how)
{
    (void)ring;
    shutdown(fd, how); /* ENOTCONN: the peer was faster */
}

static void uring_close(struct ring *ring, int fd)
{
    struct io_uring_sqe *sqe = sqe_get(ring_uring_of(ring),
                                       RING_URING_NO_EVENT);

    io_uring_prep_close(sqe, fd);
    silence(sqe);
}

static char *buffer_at(const struct uring *uring, uint32_t buffer)
{
    return uring->buffers + (size_t)buffer * uring->buffer_bytes;
}

static void uring_buffer_put(struct ring *ring, int32_t buffer)
{
    struct uring *uring = ring_uring_of(ring);

    must(buffer >= 0 && (uint32_t)buffer < uring->buffer_count);
    must(uring->buffers_free < uring->buffer_count);
    io_uring_buf_ring_add(uring->offered, buffer_at(uring, (uint32_t)buffer),
                          uring->buffer_bytes, (unsigned short)buffer,
                          io_uring_buf_ring_mask(uring->buffer_count),
                          (int)uring->put_back++);
    uring->buffers_free++;
}

static uint32_t uring_buffers_free(const struct ring *ring)
{
    return uring_of_const(ring)->buffers_free;
}

/* A buffer goes back once for each completion that names one. */
static void take_buffer(struct uring *uring, const struct io_uring_cqe *cqe,
                        struct ring_event *event)
{
    uint32_t buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;

    must(buffer < uring->buffer_count && uring->buffers_free > 0);
    uring->buffers_free--;
    if (cqe->res <= 0) {
        uring_buffer_put(&uring->ring, (int32_t)buffer);
        return;
    }
    event->buffer = (int32_t)buffer;
    event->data = buffer_at(uring, buffer);
}

/* The listening socket is ready, or the wait was cancelled. */
static void take_connection(struct uring *uring, struct ring_event *event)
{
    for (uint32_t i = 0; i < uring->accept_count; i++) {
        struct accept_op *op = &uring->accepts[i];

        if (likely(op->token != event->token))
            continue;
        op->token = RING_URING_NO_EVENT;
        if (event->result >= 0) {
            int fd = accept4(op->fd, NULL, NULL, SOCK_CLOEXEC);

            event->result = fd < 0 ? -errno : fd;
        }
        return;
    }
}

static uint32_t reap(struct uring *uring, struct ring_event *events,
                     uint32_t max)
{
    uint32_t head = *uring->io.cq.khead;
    uint32_t tail = io_uring_smp_load_acquire(uring->io.cq.ktail);
    uint32_t n = 0;

    for (; head != tail && n < max; head++) {
        const struct io_uring_cqe *cqe =
            &uring->io.cq.cqes[head & (uring->cq_entries - 1)];

        if (cqe->user_data == RING_URING_NO_EVENT)
            continue;
        events[n] = (struct ring_event){
            .token = cqe->user_data,
            .result = cqe->res,
            .flags = cqe->flags & IORING_CQE_F_MORE ? RING_MORE : 0,
            .buffer = -1,
        };
        if (cqe->flags & IORING_CQE_F_BUFFER)
            take_buffer(uring, cqe, &events[n]);
        take_connection(uring, &events[n]);
        n++;
    }
    io_uring_smp_store_release(uring->io.cq.khead, head);
    return n;
}

static int submit_and_wait(struct uring *uring, uint64_t timeout_ns)
{
    struct __kernel_timespec ts = {
        .tv_sec = (long long)(timeout_ns / NS_PER_S),
        .tv_nsec = (long long)(timeout_ns % NS_PER_S),
    };
    struct io_uring_getevents_arg arg = {.ts = (uint64_t)(uintptr_t)&ts};

    if (timeout_ns == 0)
        return enter(uring, 0, IORING_ENTER_GETEVENTS, NULL);
    if (timeout_ns == UINT64_MAX)
        return enter(uring, 1, uring->wait_flags, NULL);
    return enter(uring, 1, uring->wait_flags | IORING_ENTER_EXT_ARG, &arg);
}

/*
 * Completions that are there already are handed out before the kernel is asked
 * for more; but what is queued is always submitted.
 */
static void uring_submit(struct ring *ring)
{
    struct uring *uring = ring_uring_of(ring);
    int rc = sq_queued(uring) > 0 ? enter(uring, 0, 0, NULL) : 0;

    if (!is_passing(rc))
        uring->broken = rc;
}

static int uring_wait(struct ring *ring, struct ring_event *events,
                      uint32_t max, uint64_t timeout_ns)
{
    struct uring *uring = ring_uring_of(ring);
    bool queued = sq_queued(uring) > 0;
    int rc = 0;

    publish_buffers(uring);
    if (cq_ready(uring) > 0)
        timeout_ns = 0;
    if (queued || timeout_ns > 0 ||
        (cq_ready(uring) == 0 && kernel_has_work(uring)))
        rc = submit_and_wait(uring, timeout_ns);
    if (!is_passing(rc))
        uring->broken = rc;
    if (uring->broken != 0)
        return uring->broken;
    return (int)reap(uring, events, max);
}

static bool uring_has_events(const struct ring *ring)
{
    const struct uring *uring = uring_of_const(ring);

    return cq_ready(uring) > 0 || kernel_has_work(uring);
}

static void uring_free(struct ring *ring)
{
    struct uring *uring = ring_uring_of(ring);

    io_uring_queue_exit(&uring->io);
    if (uring->offered != NULL)
        munmap(uring->offered, uring->mapped_bytes);
    free(uring->messages);
    free(uring);
}

const struct ring_ops ring_uring_ops = {
    .name = "io_uring",
    .free = uring_free,
    .accept = uring_accept,
    .recv = uring_recv,
    .recv_into = uring_recv_into,
    .send = uring_send,
    .read = uring_read,
    .write = uring_write,
    .poll = uring_poll,
    .notify = uring_notify,
    .cancel = uring_cancel,
    .shutdown = uring_shutdown,
    .close = uring_close,
    .buffer_put = uring_buffer_put,
    .buffers_free = uring_buffers_free,
    .wait = uring_wait,
    .submit = uring_submit,
    .has_events = uring_has_events,
};
