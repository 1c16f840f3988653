/* SPDX-License-Identifier: MIT */
#include "fake_ring.h"

#include "fake_ring_play.h"

#include <stdlib.h>
#include <string.h>

static struct fake *fake_of(const struct ring *ring)
{
    return (struct fake *)(uintptr_t)ring;
}

static struct op *find(struct fake *fake, uint64_t token)
{
    for (size_t i = 0; i < fake->op_top; i++) {
        if (fake->ops[i].used && fake->ops[i].token == token)
            return &fake->ops[i];
    }
    return NULL;
}

static bool is_reading(enum op_kind kind)
{
    return kind == RECV || kind == RECV_INTO || kind == POLL;
}

/* One read and one send at a time, and none on what is closed. */
static void check_allowed(struct fake *fake, const struct op *new)
{
    must(new->token != UINT64_MAX);
    must(find(fake, new->token) == NULL);
    if (fake_is_sock(new->fd))
        must(!fake_sock(fake, new->fd)->closing);
    for (size_t i = 0; i < fake->op_top; i++) {
        const struct op *op = &fake->ops[i];

        if (!op->used || op->fd != new->fd)
            continue;
        must(op->kind != SEND || new->kind != SEND);
        /* A receive that has been cancelled may still be on its way out. */
        must(!is_reading(op->kind) || !is_reading(new->kind) || op->cancelled);
    }
}

static void submit(struct ring *ring, const struct op *template)
{
    struct fake *fake = fake_of(ring);
    size_t i = 0;

    check_allowed(fake, template);
    while (i < OPS_MAX && fake->ops[i].used)
        i++;
    must(i < OPS_MAX);
    if (i >= fake->op_top)
        fake->op_top = (uint32_t)i + 1;
    fake->ops[i] = *template;
    fake->ops[i].used = true;
    fake->ops[i].order = fake->order++;
}

/* The first one that can go on; or any, if the order is to be mixed. */
static struct op *choose(struct fake *fake)
{
    struct op *chosen = NULL;
    uint64_t count = 0;

    for (size_t i = 0; i < fake->op_top; i++) {
        struct op *op = &fake->ops[i];

        if (!op->used || !fake_is_playable(fake, op))
            continue;
        count++;
        if (fake->config.faults & FAKE_RING_MIXED
                ? fake_below(fake, count) == 0
                : chosen == NULL || op->order < chosen->order)
            chosen = op;
    }
    return chosen;
}

static void close_sockets(struct fake *fake)
{
    for (uint32_t i = 0; i < fake->sock_count; i++)
        fake->socks[i].closed = fake->socks[i].closing;
}

static int fake_wait(struct ring *ring, struct ring_event *events, uint32_t max,
                     uint64_t timeout_ns)
{
    struct fake *fake = fake_of(ring);
    uint32_t n = 0;
    struct op *op;

    (void)timeout_ns;
    close_sockets(fake);
    while (n < max && !fake_strikes(fake, FAKE_RING_LATE, 3)) {
        op = choose(fake);
        if (op == NULL)
            break;
        op->order = fake->order++; /* those that repeat take turns */
        n += fake_play(fake, op, &events[n]);
    }
    return (int)n;
}

static void fake_free(struct ring *ring)
{
    struct fake *fake = fake_of(ring);

    for (uint32_t i = 0; i < fake->sock_count; i++) {
        free(fake->socks[i].input.p);
        free(fake->socks[i].output.p);
    }
    free(fake->buffers);
    free(fake->buffer_used);
    free(fake);
}

static void start(struct ring *ring, enum op_kind kind, int fd, uint64_t token)
{
    submit(ring, &(struct op){.kind = kind, .fd = fd, .token = token});
}

static void fake_accept(struct ring *ring, int fd, uint64_t token)
{
    start(ring, ACCEPT, fd, token);
}

static void fake_recv(struct ring *ring, int fd, uint64_t token)
{
    start(ring, RECV, fd, token);
}

static void fake_poll(struct ring *ring, int fd, uint64_t token)
{
    start(ring, POLL, fd, token);
}

static void fake_recv_into(struct ring *ring, int fd, void *to, size_t len,
                           uint64_t token)
{
    struct op op = {.kind = RECV_INTO, .fd = fd, .token = token};

    op.memory = (struct iovec){to, len};
    submit(ring, &op);
}

static void fake_send(struct ring *ring, int fd, const struct iovec *iov,
                      uint32_t count, uint64_t token)
{
    struct op op = {.kind = SEND, .fd = fd, .token = token};

    op.iov = iov;
    op.count = count;
    submit(ring, &op);
}

static void fake_read(struct ring *ring, int fd, const struct iovec *to,
                      uint64_t offset, uint64_t token)
{
    struct op op = {.kind = READ, .fd = fd, .token = token, .offset = offset};

    op.memory = *to;
    submit(ring, &op);
}

static void fake_write(struct ring *ring, int fd, const struct iovec *from,
                       uint64_t offset, uint64_t token)
{
    struct op op = {.kind = WRITE, .fd = fd, .token = token, .offset = offset};

    op.memory = *from;
    submit(ring, &op);
}

static void fake_notify(struct ring *ring, int event_fd)
{
    fake_other(fake_of(ring), event_fd)->notified++;
    fake_other(fake_of(ring), event_fd)->ready = true;
}

static void fake_cancel(struct ring *ring, uint64_t token)
{
    struct op *op = find(fake_of(ring), token);

    if (op != NULL)
        op->cancelled = true;
}

static void fake_shutdown(struct ring *ring, int fd, int how)
{
    struct sock *sock = fake_sock(fake_of(ring), fd);

    must(!sock->closing);
    sock->shut = true;
    if (how == SHUT_RDWR)
        sock->ended = true;
}

static void fake_close(struct ring *ring, int fd)
{
    struct fake *fake = fake_of(ring);

    for (size_t i = 0; i < fake->op_top; i++)
        must(!fake->ops[i].used || fake->ops[i].fd != fd);
    if (!fake_is_sock(fd))
        return;
    must(!fake_sock(fake, fd)->closing);
    fake_sock(fake, fd)->closing = true;
}

static void fake_buffer_put(struct ring *ring, int32_t buffer)
{
    struct fake *fake = fake_of(ring);
    size_t bytes = fake->config.buffer_bytes;

    must(buffer >= 0 && (uint32_t)buffer < fake->config.buffers);
    must(fake->buffer_used[buffer]);
    fake->buffer_used[buffer] = false;
    fake->buffers_free++;
    /* Who still reads it shall notice. */
    memset(fake->buffers + (size_t)buffer * bytes, '#', bytes);
}

static uint32_t fake_buffers_free(const struct ring *ring)
{
    return fake_of(ring)->buffers_free;
}

static bool fake_has_events(const struct ring *ring)
{
    return fake_ring_can_go_on(ring);
}

static void fake_submit(struct ring *ring)
{
    (void)ring;
}

static const struct ring_ops fake_ops = {
    .name = "fake",
    .free = fake_free,
    .accept = fake_accept,
    .recv = fake_recv,
    .recv_into = fake_recv_into,
    .send = fake_send,
    .read = fake_read,
    .write = fake_write,
    .poll = fake_poll,
    .notify = fake_notify,
    .cancel = fake_cancel,
    .shutdown = fake_shutdown,
    .close = fake_close,
    .buffer_put = fake_buffer_put,
    .buffers_free = fake_buffers_free,
    .wait = fake_wait,
    .submit = fake_submit,
    .has_events = fake_has_events,
};

struct ring *fake_ring_new(const struct fake_ring_config *config)
{
    struct fake *fake = calloc(1, sizeof(*fake));

    must(fake != NULL && config->buffers > 0);
    fake->ring.ops = &fake_ops;
    fake->config = *config;
    fake->random = config->seed * 0x9e3779b97f4a7c15ULL + 1;
    fake->buffers = calloc(config->buffers, config->buffer_bytes);
    fake->buffer_used = calloc(config->buffers, sizeof(bool));
    must(fake->buffers != NULL && fake->buffer_used != NULL);
    fake->buffers_free = config->buffers;
    return &fake->ring;
}

int fake_ring_connect(struct ring *ring, int listen_fd)
{
    struct fake *fake = fake_of(ring);
    struct other *listener = fake_other(fake, listen_fd);
    int fd = FIRST_FD + (int)fake->sock_count;

    must(fake->sock_count < SOCKETS_MAX && listener->queued < QUEUE_MAX);
    fake->sock_count++;
    listener->queue[listener->queued++] = fd;
    return fd;
}

void fake_ring_feed(struct ring *ring, int fd, struct bytes bytes)
{
    fake_append(&fake_sock(fake_of(ring), fd)->input, bytes.p, bytes.n);
}

void fake_ring_end(struct ring *ring, int fd)
{
    fake_sock(fake_of(ring), fd)->ended = true;
}

void fake_ring_reset(struct ring *ring, int fd)
{
    fake_sock(fake_of(ring), fd)->reset = true;
}

void fake_ring_fail(struct ring *ring, int fd, enum fake_ring_op op, int error,
                    uint32_t times)
{
    static const enum op_kind kinds[] = {
        [FAKE_RING_ACCEPT] = ACCEPT,       [FAKE_RING_RECV] = RECV,
        [FAKE_RING_RECV_INTO] = RECV_INTO, [FAKE_RING_SEND] = SEND,
        [FAKE_RING_READ] = READ,
    };

    fake_of(ring)->failure = (struct failure){fd, kinds[op], error, times};
}

void fake_ring_stall(struct ring *ring, int fd, bool stalled)
{
    fake_sock(fake_of(ring), fd)->stalled = stalled;
}

void fake_ring_ring(struct ring *ring, int fd)
{
    fake_other(fake_of(ring), fd)->ready = true;
}

struct bytes fake_ring_sent(const struct ring *ring, int fd)
{
    const struct sock *sock = fake_sock(fake_of(ring), fd);

    return (struct bytes){sock->output.p, sock->output.n};
}

bool fake_ring_is_shut(const struct ring *ring, int fd)
{
    const struct sock *sock = fake_sock(fake_of(ring), fd);

    return sock->shut || sock->closed;
}

bool fake_ring_is_closed(const struct ring *ring, int fd)
{
    return fake_sock(fake_of(ring), fd)->closed;
}

uint32_t fake_ring_notified(const struct ring *ring, int fd)
{
    return fake_other(fake_of(ring), fd)->notified;
}

uint32_t fake_ring_inflight(const struct ring *ring)
{
    const struct fake *fake = fake_of(ring);
    uint32_t n = 0;

    for (size_t i = 0; i < fake->op_top; i++)
        n += fake->ops[i].used;
    return n;
}

bool fake_ring_can_go_on(const struct ring *ring)
{
    struct fake *fake = fake_of(ring);

    for (size_t i = 0; i < fake->op_top; i++) {
        if (fake->ops[i].used && fake_is_playable(fake, &fake->ops[i]))
            return true;
    }
    return false;
}

const char *fake_ring_leftover(const struct ring *ring)
{
    const struct fake *fake = fake_of(ring);

    if (fake_ring_inflight(ring) > 0)
        return "an operation is still running";
    if (fake->buffers_free != fake->config.buffers)
        return "a receive buffer was not given back";
    for (uint32_t i = 0; i < fake->sock_count; i++) {
        if (!fake->socks[i].closing)
            return "a connection is still open";
    }
    return NULL;
}
