/* SPDX-License-Identifier: MIT */
/*
 * A short rehearsal before a ring is trusted: kernels, container runtimes and
 * sandboxes exist where io_uring can be opened and then does not work.
 */
#include "ring_backend.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    TOKEN_RECV = 1,
    TOKEN_SEND,
    TOKEN_POLL,
    TOKEN_COUNT,
};

/* The last event of each token, and how many there were. */
struct check {
    struct ring *ring;
    struct ring_event seen[TOKEN_COUNT];
    uint32_t count[TOKEN_COUNT];
    uint64_t end_ns;
};

/* Until the token has had that many events. */
static bool wait_for(struct check *check, uint32_t token, uint32_t count)
{
    struct ring_event events[4];

    while (check->count[token] < count) {
        uint64_t now = now_ns();
        int n;

        if (now >= check->end_ns)
            return false;
        n = ring_wait(check->ring, events, ARRAY_SIZE(events),
                      check->end_ns - now);
        for (int i = 0; i < n; i++) {
            if (events[i].token >= TOKEN_COUNT)
                return false;
            check->seen[events[i].token] = events[i];
            check->count[events[i].token]++;
        }
        if (n < 0)
            return false;
    }
    return true;
}

static bool is_text(const struct ring_event *event, const char *text)
{
    size_t len = strlen(text);

    return event->result == (int32_t)len && event->buffer >= 0 &&
           memcmp(event->data, text, len) == 0;
}

/* Two pieces in one send, as a response's head and body are. */
static bool check_stream(struct check *check, const int sockets[2])
{
    struct iovec iov[2] = {{(char[]){'h', 'e'}, 2}, {(char[]){'l', 'o'}, 2}};
    const struct ring_event *got = &check->seen[TOKEN_RECV];

    ring_recv(check->ring, sockets[0], TOKEN_RECV);
    ring_send(check->ring, sockets[1], iov, 2, TOKEN_SEND);
    if (!wait_for(check, TOKEN_SEND, 1) || !wait_for(check, TOKEN_RECV, 1) ||
        check->seen[TOKEN_SEND].result != 4 || !is_text(got, "helo") ||
        !(got->flags & RING_MORE))
        return false;
    ring_buffer_put(check->ring, got->buffer);
    ring_cancel(check->ring, TOKEN_RECV);
    return wait_for(check, TOKEN_RECV, 2) && got->result == -ECANCELED &&
           !(got->flags & RING_MORE);
}

static bool check_wake(struct check *check, int event_fd)
{
    const struct ring_event *got = &check->seen[TOKEN_POLL];

    ring_poll(check->ring, event_fd, TOKEN_POLL);
    for (uint32_t i = 1; i <= 2; i++) {
        ring_notify(check->ring, event_fd);
        if (!wait_for(check, TOKEN_POLL, i) || !(got->flags & RING_MORE))
            return false;
    }
    ring_cancel(check->ring, TOKEN_POLL);
    return wait_for(check, TOKEN_POLL, 3) && !(got->flags & RING_MORE);
}

/* Closes the sockets in any case; and that too goes through the ring. */
static bool check_sockets(struct check *check, int event_fd)
{
    struct ring_event event;
    int sockets[2];
    bool good;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
        return false;
    good = check_stream(check, sockets) && check_wake(check, event_fd);
    ring_close(check->ring, sockets[0]);
    ring_close(check->ring, sockets[1]);
    return ring_wait(check->ring, &event, 1, 0) == 0 && good;
}

int ring_check(struct ring *ring)
{
    struct check check = {.ring = ring, .end_ns = now_ns() + NS_PER_S};
    int event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    bool good;

    if (event_fd < 0)
        return -errno;
    good = check_sockets(&check, event_fd);
    close(event_fd);
    return good ? 0 : -ENOTSUP;
}
