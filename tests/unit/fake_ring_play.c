/* SPDX-License-Identifier: MIT */
#include "fake_ring_play.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* xorshift64* */
uint64_t fake_below(struct fake *fake, uint64_t n)
{
    uint64_t x = fake->random;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    fake->random = x;
    return (x * 0x2545f4914f6cdd1dULL >> 32) % n;
}

bool fake_strikes(struct fake *fake, uint32_t fault, uint64_t n)
{
    return (fake->config.faults & fault) && fake_below(fake, n) == 0;
}

void fake_append(struct text *text, const void *p, size_t n)
{
    if (n == 0)
        return;
    if (text->n + n > text->room) {
        text->room = (text->n + n) * 2;
        text->p = realloc(text->p, text->room);
        must(text->p != NULL);
    }
    memcpy(text->p + text->n, p, n);
    text->n += n;
}

bool fake_is_sock(int fd)
{
    return fd >= FIRST_FD && fd < FIRST_FD + SOCKETS_MAX;
}

struct sock *fake_sock(struct fake *fake, int fd)
{
    must(fake_is_sock(fd) && (uint32_t)(fd - FIRST_FD) < fake->sock_count);
    return &fake->socks[fd - FIRST_FD];
}

struct other *fake_other(struct fake *fake, int fd)
{
    uint32_t i = 0;

    must(!fake_is_sock(fd));
    while (i < fake->other_count && fake->others[i].fd != fd)
        i++;
    must(i < OTHERS_MAX);
    if (i == fake->other_count)
        fake->others[fake->other_count++] = (struct other){.fd = fd};
    return &fake->others[i];
}

bool fake_is_playable(struct fake *fake, const struct op *op)
{
    struct sock *sock = fake_is_sock(op->fd) ? fake_sock(fake, op->fd) : NULL;

    if (op->cancelled)
        return true;
    switch (op->kind) {
    case ACCEPT:
        return fake_other(fake, op->fd)->queued > 0;
    case POLL:
        return fake_other(fake, op->fd)->ready;
    case RECV:
    case RECV_INTO:
        must(sock);
        return sock->reset || sock->ended || sock->taken < sock->input.n;
    case SEND:
        must(sock);
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
    if (fake_strikes(fake, FAKE_RING_RESET, 50))
        sock->reset = true;
}

static bool play_accept(struct fake *fake, struct op *op,
                        struct ring_event *event)
{
    struct other *listener = fake_other(fake, op->fd);
    int fd;

    if (op->cancelled)
        return finish(op, event, -ECANCELED);
    if (fake_strikes(fake, FAKE_RING_RESET, 10))
        return finish(op, event, fake_below(fake, 2) ? -EMFILE : -ECONNABORTED);
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

    if (n > 1 && fake_strikes(fake, FAKE_RING_SHORT, 2))
        n = 1 + fake_below(fake, n - 1);
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
    uint32_t i = (uint32_t)fake_below(fake, fake->config.buffers);

    if (fake->buffers_free == 0 || fake_strikes(fake, FAKE_RING_NOBUFS, 10))
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
    struct sock *sock = fake_sock(fake, op->fd);
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
    if (fake_strikes(fake, FAKE_RING_ENDING, 8)) {
        event->flags = 0;
        op->used = false;
    }
    return true;
}

static bool play_recv_into(struct fake *fake, struct op *op,
                           struct ring_event *event)
{
    struct sock *sock = fake_sock(fake, op->fd);
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
        fake_append(&sock->output, (char *)op->iov[i].iov_base + skip, take);
        n -= take;
        skip = 0;
    }
}

/* No event when only a part has been sent. */
static bool play_send(struct fake *fake, struct op *op,
                      struct ring_event *event)
{
    struct sock *sock = fake_sock(fake, op->fd);
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
    fake_other(fake, op->fd)->ready = false;
    if (fake_strikes(fake, FAKE_RING_ENDING, 8))
        return finish(op, event, POLLIN);
    *event = (struct ring_event){
        .token = op->token,
        .result = POLLIN,
        .flags = RING_MORE,
        .buffer = -1,
    };
    return true;
}

static bool is_to_fail(struct fake *fake, const struct op *op)
{
    struct failure *failure = &fake->failure;

    if (failure->left == 0 || op->cancelled || failure->kind != op->kind ||
        (failure->fd >= 0 && failure->fd != op->fd))
        return false;
    failure->left--;
    return true;
}

bool fake_play(struct fake *fake, struct op *op, struct ring_event *event)
{
    if (is_to_fail(fake, op))
        return finish(op, event, fake->failure.error);
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
