/* SPDX-License-Identifier: MIT */
/*
 * The fake ring under an echo server: whatever it plays, bytes arrive once and
 * in order, and nothing is left behind. The server is also an example of how
 * ring.h is to be used.
 */
#include "fake_ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LISTENER 5
#define DOORBELL 6
#define CONNS 6
#define INPUT_BYTES 3000
#define TURNS 200000
#define SEEDS 300

enum { ACCEPT = 1, RECV = 2, SEND = 3, POLL = 4 };

struct conn {
    int fd;
    bool receiving;
    bool sending;
    bool over; /* end of stream, or broken */
    bool closed;
    char waiting[INPUT_BYTES * 2];
    size_t waiting_n;
    char lent[INPUT_BYTES * 2];
    struct iovec iov[2];
};

struct server {
    struct ring *ring;
    struct conn conns[CONNS];
    uint32_t count;
    uint32_t wakes;
    bool accepting;
};

static uint64_t token_of(uint64_t op, uint64_t conn)
{
    return op << 32 | conn;
}

/* In two pieces, the first of one byte. */
static void start_send(struct server *server, struct conn *conn)
{
    size_t n = conn->waiting_n;

    if (conn->sending || n == 0)
        return;
    memcpy(conn->lent, conn->waiting, n);
    conn->waiting_n = 0;
    conn->iov[0] = (struct iovec){conn->lent, 1};
    conn->iov[1] = (struct iovec){conn->lent + 1, n - 1};
    conn->sending = true;
    ring_send(server->ring, conn->fd, conn->iov, 2,
              token_of(SEND, (uint64_t)(conn - server->conns)));
}

static void start_recv(struct server *server, struct conn *conn)
{
    if (conn->over || conn->receiving)
        return;
    conn->receiving = true;
    ring_recv(server->ring, conn->fd,
              token_of(RECV, (uint64_t)(conn - server->conns)));
}

static void settle(struct server *server, struct conn *conn)
{
    start_send(server, conn);
    start_recv(server, conn);
    if (!conn->over || conn->sending || conn->receiving || conn->closed)
        return;
    ring_close(server->ring, conn->fd);
    conn->closed = true;
}

static void on_accept(struct server *server, const struct ring_event *event)
{
    server->accepting = false;
    if (event->result < 0)
        return;
    server->conns[server->count].fd = event->result;
    settle(server, &server->conns[server->count++]);
}

static void on_recv(struct server *server, struct conn *conn,
                    const struct ring_event *event)
{
    conn->receiving = (event->flags & RING_MORE) != 0;
    if (event->result > 0) {
        memcpy(conn->waiting + conn->waiting_n, event->data,
               (size_t)event->result);
        conn->waiting_n += (size_t)event->result;
        ring_buffer_put(server->ring, event->buffer);
    } else if (event->result != -ENOBUFS) {
        conn->over = true;
    }
    settle(server, conn);
}

static void on_send(struct server *server, struct conn *conn, int32_t result)
{
    size_t total = conn->iov[0].iov_len + conn->iov[1].iov_len;

    conn->sending = false;
    memset(conn->lent, '!', sizeof(conn->lent));
    if (result != (int32_t)total) {
        conn->over = true;
        conn->waiting_n = 0;
        if (conn->receiving)
            ring_cancel(server->ring,
                        token_of(RECV, (uint64_t)(conn - server->conns)));
    }
    settle(server, conn);
}

static void on_event(struct server *server, const struct ring_event *event)
{
    struct conn *conn = &server->conns[event->token & 0xffffffff];

    switch (event->token >> 32) {
    case ACCEPT:
        on_accept(server, event);
        break;
    case RECV:
        on_recv(server, conn, event);
        break;
    case SEND:
        on_send(server, conn, event->result);
        break;
    case POLL:
        server->wakes++;
        if (!(event->flags & RING_MORE) && event->result != -ECANCELED)
            ring_poll(server->ring, DOORBELL, token_of(POLL, 0));
        break;
    default:
        fail();
    }
}

static void turn(struct server *server)
{
    struct ring_event events[4];
    int n;

    if (!server->accepting && server->count < CONNS) {
        ring_accept(server->ring, LISTENER, token_of(ACCEPT, 0));
        server->accepting = true;
    }
    n = ring_wait(server->ring, events, 4, UINT64_MAX);
    assert_in_range(n, 0, 4);
    for (int i = 0; i < n; i++)
        on_event(server, &events[i]);
}

/* Until nothing can happen any more. */
static void run(struct server *server)
{
    int turns = 0;

    do {
        turn(server);
        assert_true(++turns < TURNS);
    } while (fake_ring_can_go_on(server->ring) ||
             (!server->accepting && server->count < CONNS));
}

static struct ring *new_ring(uint64_t seed, uint32_t faults)
{
    struct fake_ring_config config = {
        .seed = seed,
        .faults = faults,
        .buffers = 3,
        .buffer_bytes = 100,
    };

    return fake_ring_new(&config);
}

static void make_input(char input[INPUT_BYTES], uint64_t seed)
{
    for (size_t i = 0; i < INPUT_BYTES; i++)
        input[i] = (char)((i * 31 + i / 256 * 17 + seed) % 255);
}

/* Returns what the clients got, added up, after checking it. */
static size_t echo(uint64_t seed, uint32_t faults)
{
    struct server *server = calloc(1, sizeof(*server));
    char input[INPUT_BYTES];
    size_t total = 0;
    int fds[CONNS];

    make_input(input, seed);
    server->ring = new_ring(seed, faults);
    for (int i = 0; i < CONNS; i++) {
        fds[i] = fake_ring_connect(server->ring, LISTENER);
        fake_ring_feed(server->ring, fds[i], (struct bytes){input, 1000});
    }
    run(server);
    for (int i = 0; i < CONNS; i++) {
        fake_ring_feed(server->ring, fds[i],
                       (struct bytes){input + 1000, INPUT_BYTES - 1000});
        fake_ring_end(server->ring, fds[i]);
    }
    run(server);
    turn(server); /* what was closed last */
    for (int i = 0; i < CONNS; i++) {
        struct bytes sent = fake_ring_sent(server->ring, fds[i]);

        assert_true(sent.n <= INPUT_BYTES);
        assert_memory_equal(sent.p, input, sent.n);
        assert_true(fake_ring_is_closed(server->ring, fds[i]));
        total += sent.n;
    }
    assert_null(fake_ring_leftover(server->ring));
    ring_free(server->ring);
    free(server);
    return total;
}

static void test_echo_without_faults(void **state)
{
    (void)state;
    assert_int_equal(echo(1, 0), CONNS * INPUT_BYTES);
}

static void test_echo_loses_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++)
        assert_int_equal(echo(seed, FAKE_RING_KIND), CONNS * INPUT_BYTES);
}

static void test_echo_with_broken_connections(void **state)
{
    size_t total = 0;

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++)
        total += echo(seed, FAKE_RING_ALL);
    assert_in_range(total, 1, (size_t)SEEDS * CONNS * INPUT_BYTES - 1);
}

static void test_same_seed_same_run(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 5; seed++)
        assert_int_equal(echo(seed, FAKE_RING_ALL), echo(seed, FAKE_RING_ALL));
}

static void test_stalled_client(void **state)
{
    struct server *server = calloc(1, sizeof(*server));
    int fd;

    (void)state;
    server->ring = new_ring(3, 0);
    server->count = CONNS - 1; /* one connection is enough */
    fd = fake_ring_connect(server->ring, LISTENER);
    fake_ring_stall(server->ring, fd, true);
    fake_ring_feed(server->ring, fd, BYTES("hello"));
    run(server);
    assert_int_equal(fake_ring_sent(server->ring, fd).n, 0);
    assert_int_equal(fake_ring_inflight(server->ring), 2);
    assert_string_equal(fake_ring_leftover(server->ring),
                        "an operation is still running");
    fake_ring_stall(server->ring, fd, false);
    run(server);
    assert_memory_equal(fake_ring_sent(server->ring, fd).p, "hello", 5);
    fake_ring_reset(server->ring, fd);
    run(server);
    turn(server);
    assert_true(fake_ring_is_closed(server->ring, fd));
    assert_null(fake_ring_leftover(server->ring));
    ring_free(server->ring);
    free(server);
}

static void test_doorbell(void **state)
{
    struct server *server = calloc(1, sizeof(*server));

    (void)state;
    server->ring = new_ring(4, FAKE_RING_ALL);
    server->count = CONNS;
    ring_poll(server->ring, DOORBELL, token_of(POLL, 0));
    run(server);
    assert_int_equal(server->wakes, 0);
    for (uint32_t i = 1; i <= 20; i++) {
        fake_ring_ring(server->ring, DOORBELL);
        run(server);
        assert_int_equal(server->wakes, i);
    }
    ring_notify(server->ring, LISTENER);
    assert_int_equal(fake_ring_notified(server->ring, LISTENER), 1);
    ring_cancel(server->ring, token_of(POLL, 0));
    run(server);
    assert_null(fake_ring_leftover(server->ring));
    ring_free(server->ring);
    free(server);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo_without_faults),
        cmocka_unit_test(test_echo_loses_nothing),
        cmocka_unit_test(test_echo_with_broken_connections),
        cmocka_unit_test(test_same_seed_same_run),
        cmocka_unit_test(test_stalled_client),
        cmocka_unit_test(test_doorbell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
