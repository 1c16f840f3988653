/* SPDX-License-Identifier: MIT */
/*
 * Operations and descriptors. Registration is lazy: a descriptor stays
 * registered for what nobody waits for any more until that becomes ready once.
 * So a keep-alive connection costs no epoll_ctl() per request.
 */
#include "ring_epoll.h"

#include <fcntl.h>
#include <unistd.h>

#define WINDOW 16 /* pieces of a response handed to the kernel at once */

static struct op **bucket_of(struct epoll *epoll, uint64_t token)
{
    return &epoll->buckets[token * 0x9e3779b97f4a7c15ULL >>
                           (64 - RING_EPOLL_BUCKET_BITS)];
}

struct op **ring_epoll_find(struct epoll *epoll, uint64_t token)
{
    struct op **at = bucket_of(epoll, token);

    while (*at != NULL && (*at)->token != token)
        at = &(*at)->hash_next;
    return at;
}

static void emit(struct events *events, const struct ring_event *event)
{
    must(events->count < events->max);
    events->at[events->count++] = *event;
}

static uint32_t events_of(const struct op *op)
{
    switch (op->kind) {
    case OP_ACCEPT:
        return EPOLLIN | EPOLLEXCLUSIVE;
    case OP_POLL:
        return EPOLLIN | EPOLLET;
    case OP_RECV:
    case OP_RECV_INTO:
        return EPOLLIN | EPOLLRDHUP;
    case OP_SEND:
        return EPOLLOUT;
    case OP_READ:
    case OP_WRITE:
        break;
    }
    return 0;
}

static uint32_t wanted_of(const struct watch *watch)
{
    uint32_t wanted = 0;

    for (const struct op *op = watch->waiting; op != NULL; op = op->fd_next)
        wanted |= events_of(op);
    return wanted;
}

static int control(struct epoll *epoll, int how, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};

    return epoll_ctl(epoll->fd, how, fd, &event) == 0 ? 0 : -errno;
}

/* The kernel may know more or less than we do: the number was used before. */
static int register_fd(struct epoll *epoll, int fd, uint32_t wanted)
{
    struct watch *watch = &epoll->watches[fd];
    int rc;

    watch->events = wanted;
    if (wanted == 0)
        return control(epoll, EPOLL_CTL_DEL, fd, 0);
    if (wanted & EPOLLEXCLUSIVE) { /* cannot be modified */
        control(epoll, EPOLL_CTL_DEL, fd, 0);
        return control(epoll, EPOLL_CTL_ADD, fd, wanted);
    }
    rc = control(epoll, EPOLL_CTL_MOD, fd, wanted);
    if (rc == -ENOENT)
        rc = control(epoll, EPOLL_CTL_ADD, fd, wanted);
    return rc;
}

/*
 * A listening socket is registered only while somebody accepts: workers that
 * share it take turns, and a busy one is not asked.
 */
static void leave(struct epoll *epoll, struct op *op)
{
    struct watch *watch = &epoll->watches[op->fd];
    struct op **at = &watch->waiting;

    while (*at != op)
        at = &(*at)->fd_next;
    *at = op->fd_next;
    op->waiting = false;
    if (op->kind == OP_ACCEPT && watch->waiting == NULL)
        register_fd(epoll, op->fd, 0);
}

static void finish(struct epoll *epoll, struct op *op, int32_t result)
{
    if (op->waiting)
        leave(epoll, op);
    *ring_epoll_find(epoll, op->token) = op->hash_next;
    op->result = result;
    op_list_add(&epoll->done, op);
}

/*
 * Accepting must not block when another worker was faster. io_uring does not
 * mind the flag, so workers with both backends may share a socket.
 */
static void make_nonblocking(struct watch *watch, int fd)
{
    int flags;

    if (watch->nonblocking)
        return;
    flags = fcntl(fd, F_GETFL);
    if (flags >= 0)
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    watch->nonblocking = true;
}

/* Waits until the descriptor is ready. */
static void await(struct epoll *epoll, struct op *op)
{
    struct watch *watch = ring_epoll_watch(epoll, op->fd);
    bool first;
    int rc = 0;

    if (watch == NULL) {
        finish(epoll, op, op->fd < 0 ? -EBADF : -EMFILE);
        return;
    }
    if (op->kind == OP_ACCEPT)
        make_nonblocking(watch, op->fd);
    first = watch->waiting == NULL;
    op->waiting = true;
    op->fd_next = watch->waiting;
    watch->waiting = op;
    if (first || (events_of(op) & ~watch->events) != 0)
        rc = register_fd(epoll, op->fd, wanted_of(watch));
    if (rc != 0)
        finish(epoll, op, rc);
}

static bool is_not_ready(ssize_t rc)
{
    return rc < 0 && (errno == EAGAIN || errno == EINTR);
}

static int32_t result_of(ssize_t rc)
{
    return rc < 0 ? -errno : (int32_t)rc;
}

/* The pieces that follow the first `sent` bytes. Returns how many. */
static uint32_t rest_of(const struct op *op, struct iovec rest[WINDOW])
{
    size_t skip = op->sent;
    uint32_t n = 0;

    for (uint32_t i = 0; i < op->count && n < WINDOW; i++) {
        struct iovec piece = op->iov[i];

        if (skip >= piece.iov_len) {
            skip -= piece.iov_len;
            continue;
        }
        piece.iov_base = (char *)piece.iov_base + skip;
        piece.iov_len -= skip;
        skip = 0;
        rest[n++] = piece;
    }
    return n;
}

/* For one piece send() has less to look at than sendmsg(). */
static ssize_t send_pieces(int fd, struct iovec *pieces, uint32_t count)
{
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL;

    if (count == 1)
        return send(fd, pieces->iov_base, pieces->iov_len, flags);
    return sendmsg(fd, &message, flags);
}

/* Returns whether all that the socket can take now has been given to it. */
static bool send_rest(struct op *op, ssize_t *ret_rc)
{
    struct iovec rest[WINDOW];
    uint32_t count = rest_of(op, rest);
    size_t given = 0;

    for (uint32_t i = 0; i < count; i++)
        given += rest[i].iov_len;
    *ret_rc = send_pieces(op->fd, rest, count);
    if (*ret_rc > 0)
        op->sent += (size_t)*ret_rc;
    return *ret_rc < 0 || (size_t)*ret_rc < given || count == 0;
}

static size_t total_of(const struct op *op)
{
    size_t total = 0;

    for (uint32_t i = 0; i < op->count; i++)
        total += op->iov[i].iov_len;
    return total;
}

/* What a send that ends early has achieved. */
static int32_t partial_of(const struct op *op, int32_t error)
{
    return op->sent > 0 ? (int32_t)op->sent : error;
}

static void try_send(struct epoll *epoll, struct op *op)
{
    size_t total = total_of(op);
    bool full;
    ssize_t rc;

    do {
        full = send_rest(op, &rc);
    } while (!full && op->sent < total);

    if (rc < 0 && !is_not_ready(rc))
        finish(epoll, op, partial_of(op, -errno));
    else if (op->sent == total)
        finish(epoll, op, (int32_t)total);
    else if (!op->waiting)
        await(epoll, op);
}

static void try_recv_into(struct epoll *epoll, struct op *op)
{
    ssize_t rc = recv(op->fd, op->memory.iov_base, op->memory.iov_len,
                      MSG_DONTWAIT);

    if (!is_not_ready(rc))
        finish(epoll, op, result_of(rc));
    else if (!op->waiting)
        await(epoll, op);
}

/* Files are always ready; a cold one holds up the worker. */
static void do_file(struct epoll *epoll, struct op *op)
{
    size_t len = min_u64(op->memory.iov_len, INT32_MAX);
    ssize_t rc;

    do {
        if (op->kind == OP_READ)
            rc = pread(op->fd, op->memory.iov_base, len, (off_t)op->offset);
        else
            rc = pwrite(op->fd, op->memory.iov_base, len, (off_t)op->offset);
    } while (rc < 0 && errno == EINTR);
    finish(epoll, op, result_of(rc));
}

/* A new descriptor: whatever we knew of that number is out of date. */
static void try_accept(struct epoll *epoll, struct op *op)
{
    int fd = accept4(op->fd, NULL, NULL, SOCK_CLOEXEC);
    struct watch *watch = ring_epoll_watch(epoll, fd);

    if (is_not_ready(fd))
        return;
    if (fd >= 0 && watch == NULL) {
        close(fd);
        finish(epoll, op, -EMFILE);
        return;
    }
    if (fd >= 0) {
        must(watch->waiting == NULL);
        *watch = (struct watch){0};
    }
    finish(epoll, op, result_of(fd));
}

static void try_recv(struct epoll *epoll, struct op *op, struct events *events)
{
    struct ring_event event = {.token = op->token, .flags = RING_MORE};
    ssize_t rc;

    if (epoll->free_count == 0) {
        finish(epoll, op, -ENOBUFS);
        return;
    }
    event.buffer = epoll->free[epoll->free_count - 1];
    event.data = epoll->buffers + (size_t)event.buffer * epoll->buffer_bytes;
    rc = recv(op->fd, epoll->buffers + (event.data - epoll->buffers),
              epoll->buffer_bytes, MSG_DONTWAIT);
    if (rc > 0) {
        event.result = (int32_t)rc;
        epoll->free_count--;
        emit(events, &event);
    } else if (!is_not_ready(rc)) {
        finish(epoll, op, result_of(rc));
    }
}

/* At most one of the operations on a descriptor repeats: one event directly. */
static void go_on(struct epoll *epoll, struct op *op, uint32_t ready,
                  struct events *events)
{
    struct ring_event event = {
        .token = op->token,
        .result = (int32_t)(ready & (EPOLLIN | EPOLLERR | EPOLLHUP)),
        .flags = RING_MORE,
        .buffer = -1,
    };

    switch (op->kind) {
    case OP_ACCEPT:
        try_accept(epoll, op);
        break;
    case OP_RECV:
        try_recv(epoll, op, events);
        break;
    case OP_RECV_INTO:
        try_recv_into(epoll, op);
        break;
    case OP_SEND:
        try_send(epoll, op);
        break;
    case OP_POLL:
        emit(events, &event);
        break;
    case OP_READ:
    case OP_WRITE:
        break;
    }
}

void ring_epoll_start(struct epoll *epoll, struct op *op)
{
    if (op->cancelled) {
        finish(epoll, op, -ECANCELED);
        return;
    }
    switch (op->kind) {
    case OP_SEND:
        try_send(epoll, op);
        break;
    case OP_RECV_INTO:
        try_recv_into(epoll, op);
        break;
    case OP_READ:
    case OP_WRITE:
        do_file(epoll, op);
        break;
    case OP_ACCEPT:
    case OP_RECV:
    case OP_POLL:
        await(epoll, op);
        break;
    }
}

void ring_epoll_end(struct epoll *epoll, struct op *op)
{
    must(op->waiting);
    finish(epoll, op, partial_of(op, -ECANCELED));
}

void ring_epoll_ready(struct epoll *epoll, const struct epoll_event *ready,
                      struct events *events)
{
    struct watch *watch = &epoll->watches[ready->data.fd];
    uint32_t trouble = ready->events & (EPOLLERR | EPOLLHUP);
    bool used = false;
    struct op *next;

    for (struct op *op = watch->waiting; op != NULL; op = next) {
        next = op->fd_next;
        if (trouble == 0 && (ready->events & events_of(op)) == 0)
            continue;
        used = true;
        go_on(epoll, op, ready->events, events);
    }
    if (!used && watch->events != 0)
        register_fd(epoll, ready->data.fd, wanted_of(watch));
}
