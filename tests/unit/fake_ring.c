/* SPDX-License-Identifier: MIT */
#include "fake_ring.h"

#include "core/ring_backend.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* A growing string. */
struct text {
    char *p;
    size_t n;
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
    struct op ops[OPS_MAX];
    struct sock socks[SOCKETS_MAX];
    uint32_t sock_count;
    struct other others[OTHERS_MAX];
    uint32_t other_count;
    char *buffers;
    bool *buffer_used;
    uint32_t buffers_free;
};

static struct fake *fake_of(const struct ring *ring)
{
    return (struct fake *)(uintptr_t)ring;
}

/* xorshift64*: a number below n. */
static uint64_t below(struct fake *fake, uint64_t n)
{
    uint64_t x = fake->random;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    fake->random = x;
    return (x * 0x2545f4914f6cdd1dULL >> 32) % n;
}

/* True once in n times, if the fault is wanted at all. */
static bool strikes(struct fake *fake, uint32_t fault, uint64_t n)
{
    return (fake->config.faults & fault) && below(fake, n) == 0;
}

static void append(struct text *text, const void *p, size_t n)
{
    if (n == 0)
        return;
    text->p = realloc(text->p, text->n + n);
    must(text->p != NULL);
    memcpy(text->p + text->n, p, n);
    text->n += n;
}

static bool is_sock(int fd)
{
    return fd >= FIRST_FD && fd < FIRST_FD + SOCKETS_MAX;
}

static struct sock *sock_of(struct fake *fake, int fd)
{
    must(is_sock(fd) && (uint32_t)(fd - FIRST_FD) < fake->sock_count);
    return &fake->socks[fd - FIRST_FD];
}

static struct other *other_of(struct fake *fake, int fd)
{
    uint32_t i = 0;

    must(!is_sock(fd));
    while (i < fake->other_count && fake->others[i].fd != fd)
        i++;
    must(i < OTHERS_MAX);
    if (i == fake->other_count)
        fake->others[fake->other_count++] = (struct other){.fd = fd};
    return &fake->others[i];
}

static struct op *find(struct fake *fake, uint64_t token)
{
    for (size_t i = 0; i < OPS_MAX; i++) {
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
    if (is_sock(new->fd))
        must(!sock_of(fake, new->fd)->closing);
    for (size_t i = 0; i < OPS_MAX; i++) {
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
    fake->ops[i] = *template;
    fake->ops[i].used = true;
    fake->ops[i].order = fake->order++;
}

/* Whether something can happen to the operation now. */
static bool is_playable(struct fake *fake, const struct op *op)
{
    struct sock *sock = is_sock(op->fd) ? sock_of(fake, op->fd) : NULL;

    if (op->cancelled)
        return true;
    switch (op->kind) {
    case ACCEPT:
        return other_of(fake, op->fd)->queued > 0;
    case POLL:
        return other_of(fake, op->fd)->ready;
    case RECV:
    case RECV_INTO:
        return sock->reset || sock->ended || sock->taken < sock->input.n;
    case SEND:
        return sock->reset || sock->shut || !sock->stalled;
    case READ:
    case WRITE:
        return true;
    }
    return false;
}

/* The last event of an operation. */
static bool finish(struct op *op, struct ring_event *event, int32_t result)
{
    *event =
        (struct ring_event){.token = op->token, .result = result, .buffer = -1};
    op->used = false;
    return true;
}

static void break_connection(struct fake *fake, struct sock *sock)
{
    if (strikes(fake, FAKE_RING_RESET, 50))
        sock->reset = true;
}

static bool play_accept(struct fake *fake, struct op *op,
                        struct ring_event *event)
{
    struct other *listener = other_of(fake, op->fd);
    int fd;

    if (op->cancelled)
        return finish(op, event, -ECANCELED);
    if (strikes(fake, FAKE_RING_RESET, 10))
        return finish(op, event, below(fake, 2) ? -EMFILE : -ECONNABORTED);
    fd = listener->queue[0];
    listener->queued--;
    memmove(listener->queue, listener->queue + 1,
            listener->queued * sizeof(int));
    return finish(op, event, fd);
}

/* How much of what is there comes now. */
static size_t piece_of(struct fake *fake, size_t there, size_t room)
{
    size_t n = min_u64(there, room);

    if (n > 1 && strikes(fake, FAKE_RING_SHORT, 2))
        n = 1 + below(fake, n - 1);
    return n;
}

/* The end of a receive, or 1 when there are bytes. */
static int32_t input_state(const struct op *op, const struct sock *sock)
{
    if (op->cancelled)
        return -ECANCELED;
    if (sock->reset)
        return -ECONNRESET;
    return sock->taken < sock->input.n ? 1 : 0;
}

static int32_t take_buffer(struct fake *fake)
{
    uint32_t i = (uint32_t)below(fake, fake->config.buffers);

    if (fake->buffers_free == 0 || strikes(fake, FAKE_RING_NOBUFS, 10))
        return -1;
    while (fake->buffer_used[i])
        i = (i + 1) % fake->config.buffers;
    fake->buffer_used[i] = true;
    fake->buffers_free--;
    return (int32_t)i;
}

static bool play_recv(struct fake *fake, struct op *op,
                      struct ring_event *event)
{
    struct sock *sock = sock_of(fake, op->fd);
    int32_t buffer;
    size_t n;
    char *to;

    break_connection(fake, sock);
    if (input_state(op, sock) != 1)
        return finish(op, event, input_state(op, sock));
    buffer = take_buffer(fake);
    if (buffer < 0)
        return finish(op, event, -ENOBUFS);

    to = fake->buffers + (size_t)buffer * fake->config.buffer_bytes;
    n = piece_of(fake, sock->input.n - sock->taken, fake->config.buffer_bytes);
    memcpy(to, sock->input.p + sock->taken, n);
    sock->taken += n;
    *event = (struct ring_event){
        .token = op->token,
        .result = (int32_t)n,
        .flags = RING_MORE,
        .buffer = buffer,
        .data = to,
    };
    if (strikes(fake, FAKE_RING_ENDING, 8)) {
        event->flags = 0;
        op->used = false;
    }
    return true;
}

static bool play_recv_into(struct fake *fake, struct op *op,
                           struct ring_event *event)
{
    struct sock *sock = sock_of(fake, op->fd);
    size_t n;

    break_connection(fake, sock);
    if (input_state(op, sock) != 1)
        return finish(op, event, input_state(op, sock));
    n = piece_of(fake, sock->input.n - sock->taken, op->memory.iov_len);
    memcpy(op->memory.iov_base, sock->input.p + sock->taken, n);
    sock->taken += n;
    return finish(op, event, (int32_t)n);
}

static size_t total_of(const struct op *op)
{
    size_t total = 0;

    for (uint32_t i = 0; i < op->count; i++)
        total += op->iov[i].iov_len;
    return total;
}

/* The next bytes, at most n, out of the lent pieces. */
static void send_bytes(struct op *op, struct sock *sock, size_t n)
{
    size_t skip = op->sent;

    op->sent += n;
    for (uint32_t i = 0; i < op->count && n > 0; i++) {
        size_t len = op->iov[i].iov_len;
        size_t take;

        if (skip >= len) {
            skip -= len;
            continue;
        }
        take = min_u64(len - skip, n);
        append(&sock->output, (char *)op->iov[i].iov_base + skip, take);
        n -= take;
        skip = 0;
    }
}

/* No event when only a part has been sent. */
static bool play_send(struct fake *fake, struct op *op,
                      struct ring_event *event)
{
    struct sock *sock = sock_of(fake, op->fd);
    size_t total = total_of(op);
    int32_t error = 0;

    break_connection(fake, sock);
    if (op->cancelled)
        error = -ECANCELED;
    else if (sock->reset || sock->shut)
        error = sock->shut ? -EPIPE : -ECONNRESET;
    if (error != 0)
        return finish(op, event, op->sent > 0 ? (int32_t)op->sent : error);

    if (op->sent < total)
        send_bytes(op, sock, piece_of(fake, total - op->sent, total));
    if (op->sent < total)
        return false;
    return finish(op, event, (int32_t)total);
}

static bool play_file(struct fake *fake, struct op *op,
                      struct ring_event *event)
{
    size_t n = op->memory.iov_len;
    ssize_t rc;

    if (op->cancelled)
        return finish(op, event, -ECANCELED);
    n = piece_of(fake, n, n);
    if (op->kind == READ)
        rc = pread(op->fd, op->memory.iov_base, n, (off_t)op->offset);
    else
        rc = pwrite(op->fd, op->memory.iov_base, n, (off_t)op->offset);
    return finish(op, event, rc < 0 ? -errno : (int32_t)rc);
}

static bool play_poll(struct fake *fake, struct op *op,
                      struct ring_event *event)
{
    if (op->cancelled)
        return finish(op, event, -ECANCELED);
    other_of(fake, op->fd)->ready = false;
    if (strikes(fake, FAKE_RING_ENDING, 8))
        return finish(op, event, POLLIN);
    *event = (struct ring_event){
        .token = op->token,
        .result = POLLIN,
        .flags = RING_MORE,
        .buffer = -1,
    };
    return true;
}

/* Returns whether there is an event. */
static bool play(struct fake *fake, struct op *op, struct ring_event *event)
{
    switch (op->kind) {
    case ACCEPT:
        return play_accept(fake, op, event);
    case RECV:
        return play_recv(fake, op, event);
    case RECV_INTO:
        return play_recv_into(fake, op, event);
    case SEND:
        return play_send(fake, op, event);
    case READ:
    case WRITE:
        return play_file(fake, op, event);
    case POLL:
        return play_poll(fake, op, event);
    }
    return false;
}

/* The first one that can go on; or any, if the order is to be mixed. */
static struct op *choose(struct fake *fake)
{
    struct op *chosen = NULL;
    uint64_t count = 0;

    for (size_t i = 0; i < OPS_MAX; i++) {
        struct op *op = &fake->ops[i];

        if (!op->used || !is_playable(fake, op))
            continue;
        count++;
        if (fake->config.faults & FAKE_RING_MIXED
                ? below(fake, count) == 0
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
    while (n < max && !strikes(fake, FAKE_RING_LATE, 3)) {
        op = choose(fake);
        if (op == NULL)
            break;
        op->order = fake->order++; /* those that repeat take turns */
        n += play(fake, op, &events[n]);
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
    other_of(fake_of(ring), event_fd)->notified++;
    other_of(fake_of(ring), event_fd)->ready = true;
}

static void fake_cancel(struct ring *ring, uint64_t token)
{
    struct op *op = find(fake_of(ring), token);

    if (op != NULL)
        op->cancelled = true;
}

static void fake_shutdown(struct ring *ring, int fd, int how)
{
    struct sock *sock = sock_of(fake_of(ring), fd);

    must(!sock->closing);
    sock->shut = true;
    if (how == SHUT_RDWR)
        sock->ended = true;
}

static void fake_close(struct ring *ring, int fd)
{
    struct fake *fake = fake_of(ring);

    for (size_t i = 0; i < OPS_MAX; i++)
        must(!fake->ops[i].used || fake->ops[i].fd != fd);
    if (!is_sock(fd))
        return;
    must(!sock_of(fake, fd)->closing);
    sock_of(fake, fd)->closing = true;
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
    struct other *listener = other_of(fake, listen_fd);
    int fd = FIRST_FD + (int)fake->sock_count;

    must(fake->sock_count < SOCKETS_MAX && listener->queued < QUEUE_MAX);
    fake->sock_count++;
    listener->queue[listener->queued++] = fd;
    return fd;
}

void fake_ring_feed(struct ring *ring, int fd, struct bytes bytes)
{
    append(&sock_of(fake_of(ring), fd)->input, bytes.p, bytes.n);
}

void fake_ring_end(struct ring *ring, int fd)
{
    sock_of(fake_of(ring), fd)->ended = true;
}

void fake_ring_reset(struct ring *ring, int fd)
{
    sock_of(fake_of(ring), fd)->reset = true;
}

void fake_ring_stall(struct ring *ring, int fd, bool stalled)
{
    sock_of(fake_of(ring), fd)->stalled = stalled;
}

void fake_ring_ring(struct ring *ring, int fd)
{
    other_of(fake_of(ring), fd)->ready = true;
}

struct bytes fake_ring_sent(const struct ring *ring, int fd)
{
    const struct sock *sock = sock_of(fake_of(ring), fd);

    return (struct bytes){sock->output.p, sock->output.n};
}

bool fake_ring_is_shut(const struct ring *ring, int fd)
{
    const struct sock *sock = sock_of(fake_of(ring), fd);

    return sock->shut || sock->closed;
}

bool fake_ring_is_closed(const struct ring *ring, int fd)
{
    return sock_of(fake_of(ring), fd)->closed;
}

uint32_t fake_ring_notified(const struct ring *ring, int fd)
{
    return other_of(fake_of(ring), fd)->notified;
}

uint32_t fake_ring_inflight(const struct ring *ring)
{
    const struct fake *fake = fake_of(ring);
    uint32_t n = 0;

    for (size_t i = 0; i < OPS_MAX; i++)
        n += fake->ops[i].used;
    return n;
}

bool fake_ring_can_go_on(const struct ring *ring)
{
    struct fake *fake = fake_of(ring);

    for (size_t i = 0; i < OPS_MAX; i++) {
        if (fake->ops[i].used && is_playable(fake, &fake->ops[i]))
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
