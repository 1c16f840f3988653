/* SPDX-License-Identifier: MIT */
/*
 * The io_uring backend. Everything that knows liburing is in this file.
 *
 * The submission queue is filled and published here instead of through
 * io_uring_get_sqe() and io_uring_submit(): those differ between liburing 2.3
 * and later ones, and 2.3 cannot pass IORING_ENTER_NO_IOWAIT.
 */
#include "ring_backend.h"

#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Newer than liburing 2.3; the values are the kernel's ABI. */
#define ENTER_NO_IOWAIT (1U << 7)
#define FEATURE_NO_IOWAIT (1U << 17)

#define GROUP 0 /* of the receive buffers */
#define NO_EVENT UINT64_MAX
#define SUBMIT_TRIES 64

struct uring {
    struct ring ring;
    struct io_uring io;
    uint32_t sq_entries;
    uint32_t cq_entries;
    uint32_t sq_tail; /* published by enter() */
    uint32_t enter_flags;
    uint32_t wait_flags;
    int broken; /* -errno of an enter that cannot be repeated */

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

static const uint64_t notify_one = 1;

static struct uring *uring_of(struct ring *ring)
{
    return (struct uring *)(void *)ring;
}

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

static void uring_accept(struct ring *ring, int listen_fd, uint64_t token)
{
    struct io_uring_sqe *sqe = sqe_get(uring_of(ring), token);

    /*
     * One shot: a multishot accept on a shared socket takes every connection
     * for one worker, and those wait when it is busy.
     */
    io_uring_prep_accept(sqe, listen_fd, NULL, NULL, SOCK_CLOEXEC);
}

static void uring_recv(struct ring *ring, int fd, uint64_t token)
{
    struct io_uring_sqe *sqe = sqe_get(uring_of(ring), token);

    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
}

static void uring_recv_into(struct ring *ring, int fd, void *to, size_t len,
                            uint64_t token)
{
    io_uring_prep_recv(sqe_get(uring_of(ring), token), fd, to,
                       min_u64(len, INT32_MAX), 0);
}

/*
 * The kernel copies the msghdr when it takes the entry, so it may live beside
 * the entry. MSG_WAITALL makes it continue short sends by itself.
 */
static void uring_send(struct ring *ring, int fd, const struct iovec *iov,
                       uint32_t count, uint64_t token)
{
    struct uring *uring = uring_of(ring);
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

    io_uring_prep_read(sqe_get(uring_of(ring), token), fd, to->iov_base, len,
                       offset);
}

static void uring_write(struct ring *ring, int fd, const struct iovec *from,
                        uint64_t offset, uint64_t token)
{
    uint32_t len = (uint32_t)min_u64(from->iov_len, INT32_MAX);

    io_uring_prep_write(sqe_get(uring_of(ring), token), fd, from->iov_base, len,
                        offset);
}

static void uring_poll(struct ring *ring, int fd, uint64_t token)
{
    io_uring_prep_poll_multishot(sqe_get(uring_of(ring), token), fd, POLLIN);
}

static void uring_notify(struct ring *ring, int event_fd)
{
    struct io_uring_sqe *sqe = sqe_get(uring_of(ring), NO_EVENT);

    io_uring_prep_write(sqe, event_fd, &notify_one, sizeof(notify_one), 0);
    silence(sqe);
}

static void uring_cancel(struct ring *ring, uint64_t token)
{
    struct io_uring_sqe *sqe = sqe_get(uring_of(ring), NO_EVENT);

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
    struct io_uring_sqe *sqe = sqe_get(uring_of(ring), NO_EVENT);

    io_uring_prep_close(sqe, fd);
    silence(sqe);
}

static char *buffer_at(const struct uring *uring, uint32_t buffer)
{
    return uring->buffers + (size_t)buffer * uring->buffer_bytes;
}

static void uring_buffer_put(struct ring *ring, int32_t buffer)
{
    struct uring *uring = uring_of(ring);

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

static uint32_t reap(struct uring *uring, struct ring_event *events,
                     uint32_t max)
{
    uint32_t head = *uring->io.cq.khead;
    uint32_t tail = io_uring_smp_load_acquire(uring->io.cq.ktail);
    uint32_t n = 0;

    for (; head != tail && n < max; head++) {
        const struct io_uring_cqe *cqe =
            &uring->io.cq.cqes[head & (uring->cq_entries - 1)];

        if (cqe->user_data == NO_EVENT)
            continue;
        events[n] = (struct ring_event){
            .token = cqe->user_data,
            .result = cqe->res,
            .flags = cqe->flags & IORING_CQE_F_MORE ? RING_MORE : 0,
            .buffer = -1,
        };
        if (cqe->flags & IORING_CQE_F_BUFFER)
            take_buffer(uring, cqe, &events[n]);
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
    struct uring *uring = uring_of(ring);
    int rc = sq_queued(uring) > 0 ? enter(uring, 0, 0, NULL) : 0;

    if (!is_passing(rc))
        uring->broken = rc;
}

static int uring_wait(struct ring *ring, struct ring_event *events,
                      uint32_t max, uint64_t timeout_ns)
{
    struct uring *uring = uring_of(ring);
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
    struct uring *uring = uring_of(ring);

    io_uring_queue_exit(&uring->io);
    if (uring->offered != NULL)
        munmap(uring->offered, uring->mapped_bytes);
    free(uring->messages);
    free(uring);
}

static const struct ring_ops uring_ops = {
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

/*
 * DEFER_TASKRUN (Linux 6.1) halves the CPU time of a request and never
 * interrupts other calls; without it epoll is better. NO_SQARRAY and others
 * that liburing 2.3 does not know corrupt its ring: never add them here.
 * Rings count against RLIMIT_MEMLOCK (again since about 6.14), for all
 * processes of the user together, so a smaller one may still be had.
 */
static int set_up(struct uring *uring, const struct ring_config *config)
{
    uint32_t sq = config->submit_entries;
    uint32_t cq = config->completion_entries;
    struct io_uring_params params;
    int rc;

    for (;;) {
        params = (struct io_uring_params){
            .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                     IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP |
                     IORING_SETUP_CQSIZE | IORING_SETUP_TASKRUN_FLAG |
                     IORING_SETUP_R_DISABLED,
            .cq_entries = cq,
        };
        rc = io_uring_queue_init_params(sq, &uring->io, &params);
        if (rc != -ENOMEM || cq <= 256)
            break;
        cq /= 2;
        sq = sq > 64 ? sq / 2 : sq;
    }
    uring->sq_entries = params.sq_entries;
    uring->cq_entries = params.cq_entries;
    return rc;
}

static int check_features(struct uring *uring)
{
    uint32_t needed = IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE |
                      IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP;

    uring->wait_flags = IORING_ENTER_GETEVENTS;
    /* Else an idle worker's core shows 100 % iowait (Linux 6.1.39 - 6.14). */
    if (uring->io.features & FEATURE_NO_IOWAIT)
        uring->wait_flags |= ENTER_NO_IOWAIT;
    return (uring->io.features & needed) == needed ? 0 : -EINVAL;
}

/* The list of offered buffers and the buffers, in one mapping of our own. */
static int map_buffers(struct uring *uring, const struct ring_config *config)
{
    size_t list = config->buffers * sizeof(struct io_uring_buf);
    size_t total;

    list = (list + 4095) / 4096 * 4096;
    total = list + (size_t)config->buffers * config->buffer_bytes;
    uring->offered = mmap(NULL, total, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (uring->offered == MAP_FAILED) {
        uring->offered = NULL;
        return -ENOMEM;
    }
    /* A forked child that maps it would keep the connections open. */
    madvise(uring->offered, total, MADV_DONTFORK);
    uring->buffers = (char *)uring->offered + list;
    uring->mapped_bytes = total;
    uring->buffer_count = config->buffers;
    uring->buffer_bytes = config->buffer_bytes;
    return 0;
}

/* io_uring_setup_buf_ring() came with liburing 2.4. */
static int offer_buffers(struct uring *uring)
{
    struct io_uring_buf_reg reg = {
        .ring_addr = (uint64_t)(uintptr_t)uring->offered,
        .ring_entries = uring->buffer_count,
        .bgid = GROUP,
    };
    int rc = io_uring_register_buf_ring(&uring->io, &reg, 0);

    if (rc != 0)
        return rc;
    io_uring_buf_ring_init(uring->offered);
    for (uint32_t i = 0; i < uring->buffer_count; i++)
        uring_buffer_put(&uring->ring, (int32_t)i);
    return 0;
}

static const uint8_t allowed_ops[] = {
    IORING_OP_ACCEPT,   IORING_OP_RECV,         IORING_OP_SEND,
    IORING_OP_SENDMSG,  IORING_OP_READ,         IORING_OP_WRITE,
    IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL, IORING_OP_CLOSE,
};

static const uint8_t allowed_registers[] = {
    IORING_REGISTER_ENABLE_RINGS,
    IORING_REGISTER_RING_FDS,
    IORING_REGISTER_IOWQ_MAX_WORKERS,
};

/*
 * Least privilege: a ring taken over by an attacker opens no files. Where the
 * kernel refuses, the ring is as good as without. Raw, since liburing 2.3
 * declares the function and does not export it.
 */
static void restrict_ring(struct uring *uring)
{
    struct io_uring_restriction
        list[ARRAY_SIZE(allowed_ops) + ARRAY_SIZE(allowed_registers) + 1] = {
            {.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
             .sqe_flags = IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS}};
    uint32_t n = 1;

    for (size_t i = 0; i < ARRAY_SIZE(allowed_ops); i++, n++) {
        list[n].opcode = IORING_RESTRICTION_SQE_OP;
        list[n].sqe_op = allowed_ops[i];
    }
    for (size_t i = 0; i < ARRAY_SIZE(allowed_registers); i++, n++) {
        list[n].opcode = IORING_RESTRICTION_REGISTER_OP;
        list[n].register_op = allowed_registers[i];
    }
    io_uring_register((unsigned)uring->io.ring_fd, IORING_REGISTER_RESTRICTIONS,
                      list, n);
}

/* Makes the calling thread the ring's only issuer. */
static int enable(struct uring *uring)
{
    uint32_t helpers[2] = {2, 2}; /* threads for reads from cold files */
    int rc = io_uring_register((unsigned)uring->io.ring_fd,
                               IORING_REGISTER_ENABLE_RINGS, NULL, 0);

    if (rc != 0)
        return rc;
    io_uring_register_iowq_max_workers(&uring->io, helpers); /* may fail */
    if (io_uring_register_ring_fd(&uring->io) == 1)
        uring->enter_flags = IORING_ENTER_REGISTERED_RING;
    io_uring_ring_dontfork(&uring->io);
    return 0;
}

/*
 * Entries are submitted in the order they lie in. Newer versions of liburing
 * (2.9 does) set NO_SQARRAY unasked where the kernel has it (6.6): then there
 * is no array, and the kernel takes entries in that order anyway.
 */
static void index_entries(struct uring *uring)
{
    for (uint32_t i = 0; uring->io.sq.array && i < uring->sq_entries; i++)
        uring->io.sq.array[i] = i;
}

static int prepare(struct uring *uring, const struct ring_config *config)
{
    int rc = check_features(uring);

    if (rc != 0)
        return rc;
    uring->messages = calloc(uring->sq_entries + 1, sizeof(struct msghdr));
    if (uring->messages == NULL)
        return -ENOMEM;
    index_entries(uring);
    rc = map_buffers(uring, config);
    if (rc != 0)
        return rc;
    rc = offer_buffers(uring);
    if (rc != 0)
        return rc;
    restrict_ring(uring);
    return enable(uring);
}

int ring_uring_open(struct ring **ret_ring, const struct ring_config *config)
{
    struct uring *uring = calloc(1, sizeof(*uring));
    int rc;

    if (uring == NULL)
        return -ENOMEM;
    uring->ring.ops = &uring_ops;
    rc = set_up(uring, config);
    if (rc != 0) {
        free(uring);
        return rc;
    }
    rc = prepare(uring, config);
    if (rc != 0)
        uring_free(&uring->ring);
    else
        *ret_ring = &uring->ring;
    return rc;
}
