/* SPDX-License-Identifier: MIT */
/* One suite for ring.h, run on both backends. */
#include "core/ring_backend.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_NS (10 * NS_PER_S)
#define BUFFERS 8
#define BUFFER_BYTES 64

enum { ACCEPT = 1, RECV, SEND, POLL, FILE_OP, OTHER };

struct fixture {
    struct ring *ring;
    struct ring_event event; /* the last one waited for */
    int near;                /* a connection's two ends: ours */
    int far;                 /* and the peer's */
};

static int open_ring(struct fixture *f, enum ring_backend backend)
{
    struct ring_config config = {
        .backend = backend,
        .submit_entries = 8,
        .completion_entries = 16,
        .buffers = BUFFERS,
        .buffer_bytes = BUFFER_BYTES,
    };

    return ring_open(&f->ring, &config);
}

static void connect_pair(struct fixture *f)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    f->near = pair[0];
    f->far = pair[1];
}

static int set_up_with(void **state, enum ring_backend backend)
{
    struct fixture *f = calloc(1, sizeof(*f));

    *state = f;
    if (f == NULL || open_ring(f, backend) != 0)
        return -1;
    connect_pair(f);
    return 0;
}

static int set_up_uring(void **state)
{
    return set_up_with(state, RING_URING);
}

static int set_up_epoll(void **state)
{
    return set_up_with(state, RING_EPOLL);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    close(f->near);
    close(f->far);
    ring_free(f->ring);
    free(f);
    return 0;
}

/* The next event, which must have this token; its result. */
static int32_t next(struct fixture *f, uint64_t token)
{
    uint64_t end = now_ns() + PATIENCE_NS;
    int n = 0;

    while (n == 0 && now_ns() < end)
        n = ring_wait(f->ring, &f->event, 1, PATIENCE_NS);
    assert_int_equal(n, 1);
    assert_int_equal(f->event.token, token);
    return f->event.result;
}

static bool has_more(const struct fixture *f)
{
    return (f->event.flags & RING_MORE) != 0;
}

static void assert_nothing(struct fixture *f)
{
    struct ring_event event;

    for (int i = 0; i < 3; i++)
        assert_int_equal(ring_wait(f->ring, &event, 1, 0), 0);
    assert_false(ring_has_events(f->ring));
}

static void put(struct fixture *f, const char *text)
{
    assert_int_equal(write(f->far, text, strlen(text)), strlen(text));
}

/* The last event brought this text; its buffer goes back. */
static void assert_text(struct fixture *f, const char *text)
{
    assert_int_equal(f->event.result, strlen(text));
    assert_memory_equal(f->event.data, text, strlen(text));
    ring_buffer_put(f->ring, f->event.buffer);
}

static void expect_text(struct fixture *f, const char *text)
{
    next(f, RECV);
    assert_text(f, text);
}

static void test_recv_repeats(void **state)
{
    struct fixture *f = *state;

    ring_recv(f->ring, f->near, RECV);
    assert_nothing(f);
    put(f, "first");
    expect_text(f, "first");
    assert_true(has_more(f));
    put(f, "second");
    expect_text(f, "second");
    assert_true(has_more(f));
    assert_int_equal(ring_buffers_free(f->ring), BUFFERS);
}

static void test_recv_end_of_stream(void **state)
{
    struct fixture *f = *state;

    ring_recv(f->ring, f->near, RECV);
    put(f, "last");
    shutdown(f->far, SHUT_WR);
    expect_text(f, "last");
    assert_int_equal(next(f, RECV), 0);
    assert_false(has_more(f));
    assert_int_equal(f->event.buffer, -1);
    assert_nothing(f);
}

/* Nothing may be lost and nothing come twice when buffers run out. */
static void test_recv_without_buffers(void **state)
{
    struct fixture *f = *state;
    char sent[BUFFERS * BUFFER_BYTES * 2];
    int32_t held[BUFFERS * 2];
    size_t got = 0;
    int n = 0;

    for (size_t i = 0; i < sizeof(sent); i++)
        sent[i] = (char)(i * 7 + i / 256);
    assert_int_equal(write(f->far, sent, sizeof(sent)), sizeof(sent));
    ring_recv(f->ring, f->near, RECV);
    while (next(f, RECV) > 0) {
        assert_memory_equal(f->event.data, sent + got, f->event.result);
        got += (size_t)f->event.result;
        held[n++] = f->event.buffer;
        if (!has_more(f)) /* may happen at any time: go on */
            ring_recv(f->ring, f->near, RECV);
    }
    assert_int_equal(f->event.result, -ENOBUFS);
    assert_false(has_more(f));
    assert_int_equal(n, BUFFERS);
    assert_int_equal(ring_buffers_free(f->ring), 0);

    while (n > 0)
        ring_buffer_put(f->ring, held[--n]);
    ring_recv(f->ring, f->near, RECV);
    while (got < sizeof(sent)) {
        assert_true(next(f, RECV) > 0);
        assert_memory_equal(f->event.data, sent + got, f->event.result);
        got += (size_t)f->event.result;
        ring_buffer_put(f->ring, f->event.buffer);
        if (!has_more(f))
            ring_recv(f->ring, f->near, RECV);
    }
    assert_int_equal(ring_buffers_free(f->ring), BUFFERS);
}

static void test_recv_into(void **state)
{
    struct fixture *f = *state;
    char body[16] = {0};

    ring_recv_into(f->ring, f->near, body, 4, RECV);
    assert_nothing(f);
    put(f, "abcdefgh");
    assert_int_equal(next(f, RECV), 4);
    assert_false(has_more(f));
    assert_string_equal(body, "abcd");
    ring_recv_into(f->ring, f->near, body, sizeof(body), RECV);
    assert_int_equal(next(f, RECV), 4);
    assert_string_equal(body, "efgh");
    shutdown(f->far, SHUT_WR);
    ring_recv_into(f->ring, f->near, body, sizeof(body), RECV);
    assert_int_equal(next(f, RECV), 0);
}

/* How a large body is read: the repeating receive makes way, and returns. */
static void test_recv_switch(void **state)
{
    struct fixture *f = *state;
    char body[8] = {0};

    ring_recv(f->ring, f->near, RECV);
    put(f, "head");
    expect_text(f, "head");
    ring_cancel(f->ring, RECV);
    assert_int_equal(next(f, RECV), -ECANCELED);
    assert_false(has_more(f));
    put(f, "body");
    assert_nothing(f);
    ring_recv_into(f->ring, f->near, body, sizeof(body), OTHER);
    assert_int_equal(next(f, OTHER), 4);
    put(f, "head 2");
    ring_recv(f->ring, f->near, RECV);
    expect_text(f, "head 2");
    assert_true(has_more(f));
}

static void test_cancel_and_resume_in_one_turn(void **state)
{
    struct fixture *f = *state;
    char body[8] = {0};

    ring_recv(f->ring, f->near, RECV);
    assert_nothing(f);
    ring_cancel(f->ring, RECV);
    ring_recv_into(f->ring, f->near, body, sizeof(body), OTHER);
    assert_int_equal(next(f, RECV), -ECANCELED);
    put(f, "body");
    assert_int_equal(next(f, OTHER), 4);
    assert_string_equal(body, "body");
}

static void test_cancel_unknown(void **state)
{
    struct fixture *f = *state;

    ring_cancel(f->ring, OTHER);
    assert_nothing(f);
}

static void test_connection_reset(void **state)
{
    struct fixture *f = *state;

    /* Closing a socket with unread data resets the connection. */
    assert_int_equal(write(f->near, "unread", 6), 6);
    ring_recv(f->ring, f->near, RECV);
    assert_nothing(f);
    close(f->far);
    f->far = -1;
    assert_true(next(f, RECV) == -ECONNRESET || f->event.result == 0);
    assert_false(has_more(f));
    assert_nothing(f);
}

static void test_send_pieces(void **state)
{
    struct fixture *f = *state;
    struct iovec iov[3] = {
        {(char[]){'a', 'b'}, 2}, {(char[]){'x'}, 0}, {(char[]){'c'}, 1}};
    char got[8] = {0};

    ring_send(f->ring, f->near, iov, 3, SEND);
    assert_int_equal(next(f, SEND), 3);
    assert_false(has_more(f));
    assert_int_equal(read(f->far, got, sizeof(got)), 3);
    assert_string_equal(got, "abc");
    ring_send(f->ring, f->near, iov, 1, SEND);
    assert_int_equal(next(f, SEND), 2);
}

/* More sends in one turn than the submission queue has entries. */
static void test_send_many(void **state)
{
    enum { MANY = 100 };
    struct fixture *f = *state;
    struct ring_event events[MANY];
    struct iovec iov[2] = {{(char[]){'a'}, 1}, {(char[]){'b'}, 1}};
    int pairs[MANY][2];
    int done = 0;

    for (int i = 0; i < MANY; i++) {
        socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]);
        ring_send(f->ring, pairs[i][0], iov, 2, 1000 + (uint64_t)i);
    }
    while (done < MANY) {
        int n = ring_wait(f->ring, events, MANY, PATIENCE_NS);

        assert_true(n > 0);
        for (int i = 0; i < n; i++)
            assert_int_equal(events[i].result, 2);
        done += n;
    }
    assert_int_equal(done, MANY);
    for (int i = 0; i < MANY; i++) {
        char got[4] = {0};

        assert_int_equal(read(pairs[i][1], got, sizeof(got)), 2);
        assert_string_equal(got, "ab");
        ring_close(f->ring, pairs[i][0]);
        close(pairs[i][1]);
    }
    assert_nothing(f);
}

/* Reads len bytes slowly, while the ring sends; checks their pattern. */
static void drain_pattern(struct fixture *f, size_t len)
{
    static char piece[100000];
    struct ring_event event;
    size_t got = 0;
    int sent = 0;

    while (got < len) {
        ssize_t n;

        sent += ring_wait(f->ring, &event, 1, 0);
        n = recv(f->far, piece, sizeof(piece), MSG_DONTWAIT);
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal((unsigned char)piece[i],
                             (unsigned char)((got + (size_t)i) % 251));
        got += n > 0 ? (size_t)n : 0;
    }
    if (sent == 0)
        next(f, SEND);
    else
        f->event = event;
    assert_int_equal(f->event.result, len);
}

static void test_send_to_slow_reader(void **state)
{
    enum { LEN = 4 << 20, PIECES = 40 };
    struct fixture *f = *state;
    struct iovec iov[PIECES];
    char *body = malloc(LEN);

    assert_non_null(body);
    for (size_t i = 0; i < LEN; i++)
        body[i] = (char)(i % 251);
    for (size_t i = 0; i < PIECES; i++) {
        size_t from = LEN / PIECES * i;

        iov[i].iov_base = body + from;
        iov[i].iov_len = i == PIECES - 1 ? LEN - from : LEN / PIECES;
    }
    ring_send(f->ring, f->near, iov, PIECES, SEND);
    drain_pattern(f, LEN);
    assert_nothing(f);
    free(body);
}

static void test_send_cancelled_underway(void **state)
{
    enum { LEN = 4 << 20 };
    struct fixture *f = *state;
    struct iovec iov = {calloc(1, LEN), LEN};

    ring_send(f->ring, f->near, &iov, 1, SEND);
    assert_nothing(f);
    ring_cancel(f->ring, SEND);
    assert_in_range(next(f, SEND), 1, LEN - 1);
    assert_nothing(f);
    free(iov.iov_base);
}

/* No SIGPIPE either. */
static void test_send_to_nobody(void **state)
{
    struct fixture *f = *state;
    struct iovec iov = {(char[]){'a'}, 1};

    close(f->far);
    f->far = -1;
    ring_send(f->ring, f->near, &iov, 1, SEND);
    assert_int_equal(next(f, SEND), -EPIPE);
}

static void test_send_while_receiving(void **state)
{
    enum { LEN = 1 << 20 };
    struct fixture *f = *state;
    struct iovec iov = {malloc(LEN), LEN};

    for (size_t i = 0; i < LEN; i++)
        ((char *)iov.iov_base)[i] = (char)(i % 251);
    ring_recv(f->ring, f->near, RECV);
    ring_send(f->ring, f->near, &iov, 1, SEND);
    assert_nothing(f);
    put(f, "pipelined");
    expect_text(f, "pipelined");
    drain_pattern(f, LEN);
    put(f, "again");
    expect_text(f, "again");
    free(iov.iov_base);
}

static int listen_local(struct sockaddr_in *address)
{
    socklen_t len = sizeof(*address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    *address = (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    assert_int_equal(bind(fd, (struct sockaddr *)address, len), 0);
    assert_int_equal(listen(fd, 16), 0);
    getsockname(fd, (struct sockaddr *)address, &len);
    return fd;
}

static int connect_local(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(
        connect(fd, (const struct sockaddr *)address, sizeof(*address)), 0);
    return fd;
}

static void test_accept(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in address;
    int listener = listen_local(&address);

    for (int i = 0; i < 3; i++) {
        int peer;
        int fd;

        ring_accept(f->ring, listener, ACCEPT);
        assert_nothing(f);
        peer = connect_local(&address);
        fd = next(f, ACCEPT);
        assert_true(fd > 0);
        assert_false(has_more(f));
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
        ring_close(f->ring, fd);
        assert_nothing(f);
        close(peer);
    }
    ring_close(f->ring, listener);
    assert_nothing(f);
}

/* What is not asked for stays in the backlog. */
static void test_accept_one_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in address;
    int listener = listen_local(&address);
    int peers[3];

    for (int i = 0; i < 3; i++)
        peers[i] = connect_local(&address);
    ring_accept(f->ring, listener, ACCEPT);
    ring_close(f->ring, next(f, ACCEPT));
    assert_nothing(f);
    ring_accept(f->ring, listener, ACCEPT);
    ring_accept(f->ring, listener, OTHER);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ring_wait(f->ring, &f->event, 1, PATIENCE_NS), 1);
        ring_close(f->ring, f->event.result);
    }
    ring_accept(f->ring, listener, ACCEPT);
    assert_nothing(f);
    ring_cancel(f->ring, ACCEPT);
    assert_int_equal(next(f, ACCEPT), -ECANCELED);
    for (int i = 0; i < 3; i++)
        close(peers[i]);
    ring_close(f->ring, listener);
    assert_nothing(f);
}

static void test_close_tells_the_peer(void **state)
{
    struct fixture *f = *state;
    char byte;

    ring_recv(f->ring, f->near, RECV);
    assert_nothing(f);
    ring_cancel(f->ring, RECV);
    next(f, RECV);
    ring_close(f->ring, f->near);
    assert_nothing(f);
    f->near = -1;
    assert_int_equal(read(f->far, &byte, 1), 0);
}

/* A new connection often has the number of one that was just closed. */
static void test_number_reuse(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 5; i++) {
        int old = f->near;

        ring_recv(f->ring, f->near, RECV);
        put(f, "hello");
        expect_text(f, "hello");
        shutdown(f->far, SHUT_WR);
        assert_int_equal(next(f, RECV), 0);
        ring_close(f->ring, f->near);
        assert_nothing(f);
        close(f->far);
        connect_pair(f);
        assert_int_equal(f->near, old);
    }
}

static void test_shutdown(void **state)
{
    struct fixture *f = *state;
    char byte;

    ring_recv(f->ring, f->near, RECV);
    assert_nothing(f);
    ring_shutdown(f->ring, f->near, SHUT_WR);
    assert_int_equal(read(f->far, &byte, 1), 0);
    put(f, "still heard");
    expect_text(f, "still heard");
    ring_shutdown(f->ring, f->near, SHUT_RDWR);
    assert_int_equal(next(f, RECV), 0);
    assert_false(has_more(f));
}

static void test_poll_and_notify(void **state)
{
    struct fixture *f = *state;
    int fd = eventfd(0, EFD_NONBLOCK);
    uint64_t count = 0;

    ring_poll(f->ring, fd, POLL);
    assert_nothing(f);
    for (int i = 0; i < 3; i++) { /* it is never read, and wakes each time */
        ring_notify(f->ring, fd);
        assert_true(next(f, POLL) > 0);
        assert_true(has_more(f));
        assert_nothing(f);
    }
    assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
    assert_int_equal(count, 3);
    ring_cancel(f->ring, POLL);
    assert_int_equal(next(f, POLL), -ECANCELED);
    ring_close(f->ring, fd);
    assert_nothing(f);
}

static void test_poll_finds_what_was_there(void **state)
{
    struct fixture *f = *state;
    int fd = eventfd(1, EFD_NONBLOCK);

    ring_poll(f->ring, fd, POLL);
    assert_true(next(f, POLL) > 0);
    assert_nothing(f);
    ring_cancel(f->ring, POLL);
    next(f, POLL);
    ring_close(f->ring, fd);
    assert_nothing(f);
}

/* The wake-up comes from a process that shares nothing but the eventfd. */
static void test_wakes_up_from_sleep(void **state)
{
    struct fixture *f = *state;
    int fd = eventfd(0, EFD_NONBLOCK);
    uint64_t one = 1;
    pid_t pid;

    ring_poll(f->ring, fd, POLL);
    assert_nothing(f);
    pid = fork();
    if (pid == 0)
        _exit(write(fd, &one, sizeof(one)) != sizeof(one));
    assert_true(next(f, POLL) > 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    ring_cancel(f->ring, POLL);
    next(f, POLL);
    ring_close(f->ring, fd);
    assert_nothing(f);
}

static void test_files(void **state)
{
    struct fixture *f = *state;
    int fd = memfd_create("test", MFD_CLOEXEC);
    char got[8] = {0};

    ring_write(f->ring, fd, "hello", 5, 10, FILE_OP);
    assert_int_equal(next(f, FILE_OP), 5);
    ring_read(f->ring, fd, got, 3, 12, FILE_OP);
    assert_int_equal(next(f, FILE_OP), 3);
    assert_string_equal(got, "llo");
    ring_read(f->ring, fd, got, 3, 15, FILE_OP);
    assert_int_equal(next(f, FILE_OP), 0);
    ring_read(f->ring, -1, got, 3, 0, FILE_OP);
    assert_int_equal(next(f, FILE_OP), -EBADF);
    ring_close(f->ring, fd);
    assert_nothing(f);
}

static void test_timeout(void **state)
{
    struct fixture *f = *state;
    uint64_t begin = now_ns();

    ring_recv(f->ring, f->near, RECV);
    /* It may come back early for no reason, but never with an event. */
    do
        assert_int_equal(ring_wait(f->ring, &f->event, 1, 20 * NS_PER_MS), 0);
    while (now_ns() - begin < 20 * NS_PER_MS);
}

static void on_alarm(int number)
{
    (void)number;
}

static void test_signal_ends_the_wait(void **state)
{
    struct fixture *f = *state;
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct sigaction before;

    sigaction(SIGALRM, &action, &before);
    ring_recv(f->ring, f->near, RECV);
    assert_nothing(f);
    ualarm(20000, 0);
    assert_int_equal(ring_wait(f->ring, &f->event, 1, UINT64_MAX), 0);
    sigaction(SIGALRM, &before, NULL);
    put(f, "go on");
    expect_text(f, "go on");
}

/* More completions than their queue has room for: none may be lost. */
static void test_completions_overflow(void **state)
{
    enum { MANY = 200 };
    struct fixture *f = *state;
    struct ring_event event;
    char seen[MANY] = {0};
    char bytes[MANY];
    int fd = memfd_create("test", MFD_CLOEXEC);

    assert_int_equal(ftruncate(fd, 4096), 0);
    for (uint64_t i = 0; i < MANY; i++)
        ring_read(f->ring, fd, &bytes[i], 1, i, 1000 + i);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(ring_wait(f->ring, &event, 1, PATIENCE_NS), 1);
        assert_in_range(event.token, 1000, 1000 + MANY - 1);
        assert_int_equal(seen[event.token - 1000]++, 0);
        assert_int_equal(event.result, 1);
    }
    ring_close(f->ring, fd);
    assert_nothing(f);
}

static void test_survives_bad_descriptors(void **state)
{
    struct fixture *f = *state;
    struct iovec iov = {(char[]){'a'}, 1};
    char byte;

    ring_recv(f->ring, -1, RECV);
    assert_true(next(f, RECV) < 0);
    ring_recv_into(f->ring, 1 << 30, &byte, 1, RECV);
    assert_true(next(f, RECV) < 0);
    ring_send(f->ring, -1, &iov, 1, SEND);
    assert_true(next(f, SEND) < 0);
    ring_accept(f->ring, f->near, ACCEPT);
    put(f, "not a listener");
    assert_true(next(f, ACCEPT) < 0);
    ring_close(f->ring, -1);
    assert_nothing(f);
}

static void test_check_leaves_no_trace(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(ring_check(f->ring), 0);
    assert_nothing(f);
    assert_int_equal(ring_buffers_free(f->ring), BUFFERS);
}

/* As inherited from a service manager, or shared with an epoll worker. */
static void test_accept_on_nonblocking(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in address;
    int listener = listen_local(&address);
    int peer;

    fcntl(listener, F_SETFL, O_NONBLOCK);
    ring_accept(f->ring, listener, ACCEPT);
    assert_nothing(f);
    peer = connect_local(&address);
    ring_close(f->ring, next(f, ACCEPT));
    ring_close(f->ring, listener);
    assert_nothing(f);
    close(peer);
}

#define RING_TESTS(X)                                                          \
    X(test_recv_repeats)                                                       \
    X(test_recv_end_of_stream)                                                 \
    X(test_recv_without_buffers)                                               \
    X(test_recv_into)                                                          \
    X(test_recv_switch)                                                        \
    X(test_cancel_and_resume_in_one_turn)                                      \
    X(test_cancel_unknown)                                                     \
    X(test_connection_reset)                                                   \
    X(test_send_pieces)                                                        \
    X(test_send_many)                                                          \
    X(test_send_to_slow_reader)                                                \
    X(test_send_cancelled_underway)                                            \
    X(test_send_to_nobody)                                                     \
    X(test_send_while_receiving)                                               \
    X(test_accept)                                                             \
    X(test_accept_one_at_a_time)                                               \
    X(test_accept_on_nonblocking)                                              \
    X(test_close_tells_the_peer)                                               \
    X(test_number_reuse)                                                       \
    X(test_shutdown)                                                           \
    X(test_poll_and_notify)                                                    \
    X(test_poll_finds_what_was_there)                                          \
    X(test_wakes_up_from_sleep)                                                \
    X(test_files)                                                              \
    X(test_timeout)                                                            \
    X(test_signal_ends_the_wait)                                               \
    X(test_completions_overflow)                                               \
    X(test_survives_bad_descriptors)                                           \
    X(test_check_leaves_no_trace)

static const struct CMUnitTest uring_tests[] = {
#define X(name) cmocka_unit_test_setup_teardown(name, set_up_uring, tear_down),
    RING_TESTS(X)
#undef X
};

static const struct CMUnitTest epoll_tests[] = {
#define X(name) cmocka_unit_test_setup_teardown(name, set_up_epoll, tear_down),
    RING_TESTS(X)
#undef X
};

/* Where io_uring is forbidden its half is left out, and says so. */
static int run_uring_tests(void)
{
    struct ring_config config = {.backend = RING_URING};
    char why[RING_WHY_BYTES];
    struct ring *ring;
    int rc = ring_open(&ring, &config);

    if (rc != 0) {
        ring_explain(rc, why);
        print_message("io_uring tests skipped: %s\n", why);
        return 0;
    }
    ring_free(ring);
    return cmocka_run_group_tests_name("io_uring", uring_tests, NULL, NULL);
}

int main(void)
{
    int failed = run_uring_tests();

    failed += cmocka_run_group_tests_name("epoll", epoll_tests, NULL, NULL);
    return failed;
}
