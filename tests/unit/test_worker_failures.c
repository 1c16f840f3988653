/* SPDX-License-Identifier: MIT */
/* What goes wrong around a worker: peers, interpreters, limits, itself. */
#include "talk.h"
#include "core/board.h"
#include "core/board_interp.h"
#include "core/board_worker.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void refused(struct talk *site, const char *request, int status)
{
    int fd = talk_dial(site);

    talk_say(fd, request);
    talk_hear_end(site, fd);
    talk_assert_status(site, status);
    talk_assert_has(site, "Connection: close\r\n");
    close(fd);
}

static void bad_requests(void **state)
{
    struct talk *site = *state;
    char *head = calloc(1, 80000);
    char *at = stpcpy(head, "GET / HTTP/1.1\r\nHost: t\r\n");

    site->options.conn.body_limit_bytes = 1000;
    talk_start(state);
    refused(site, "GET\r\n\r\n", 400);
    refused(site, "GET / HTTP/1.1\r\nHost: t\r\nBad Name: x\r\n\r\n", 400);
    refused(site, "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1001\r\n\r\n",
            413);
    refused(site,
            "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
            "3e9\r\n",
            413);
    refused(site,
            "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
            "zz\r\n",
            400);
    for (int i = 0; i < 12; i++) { /* 72,000 bytes: too much in all */
        memset(at, 'a', 6000);
        memcpy(at, "X-Name: ", 8);
        memcpy(at + 5998, "\r\n", 2);
        at += 6000;
    }
    refused(site, head, 431);
    free(head);
    assert_non_null(strstr(talk_text_of(site->log_fd),
                           "Invalid request from ip=127.0.0.1: "));
}

/* The connection outlives it, unless its answer was already on the way. */
static void interpreter_dies(void **state)
{
    struct talk *site = talk_start(state);
    int fd = talk_dial(site);

    talk_say(fd, GET("/die-once"));
    assert_string_equal(talk_hear_response(site, fd), "second try");
    talk_say(fd, GET("/die") GET("/"));
    talk_hear_response(site, fd);
    talk_assert_status(site, 502);
    assert_string_equal(talk_hear_response(site, fd), "Hello, World!");
    talk_say(fd, "POST /die-once HTTP/1.1\r\nHost: t\r\n"
                 "Content-Length: 3\r\n\r\nabc");
    talk_hear_response(site, fd);
    talk_assert_status(site, 502);
    talk_say(fd, "HEAD /die HTTP/1.1\r\nHost: t\r\n\r\n" GET("/"));
    talk_hear_until(site, fd, "\r\n\r\n");
    talk_assert_status(site, 502);
    assert_string_equal(talk_hear_response(site, fd), "Hello, World!");
    talk_say(fd, GET("/die-late"));
    talk_hear_end(site, fd);
    talk_assert_status(site, 200);
    assert_string_equal(strstr(site->answer, "\r\n\r\n"), "\r\n\r\n");
    close(fd);
}

static void broken_response(void **state)
{
    struct talk *site = talk_start(state);
    int fd = talk_dial(site);

    talk_say(fd, GET("/broken"));
    talk_hear_end(site, fd);
    assert_string_equal(strstr(site->answer, "\r\n\r\n"), "\r\n\r\nshort");
    close(fd);
}

static void reset(int fd)
{
    struct linger none = {1, 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    close(fd);
}

/* The fixture asserts that nothing stays behind. */
static void peers_reset(void **state)
{
    static const char *const requests[] = {
        "GET",
        GET("/sleep/200"),
        GET("/size/50000000"),
        GET("/file/5000000"),
        GET("/stream/100000"),
        "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 9000000\r\n\r\nabc",
        "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n"
        "Expect: 100-continue\r\n\r\n"};
    struct talk *site = talk_start(state);
    int fd;

    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
            fd = talk_dial(site);
            talk_say(fd, requests[i]);
            talk_pause_ms(round * 10);
            reset(fd);
        }
    }
    fd = talk_dial(site);
    talk_say(fd, GET("/"));
    assert_string_equal(talk_hear_response(site, fd), "Hello, World!");
    close(fd);
}

/* Descriptors that nobody fetches any more must not fill their socket. */
static void files_for_nobody(void **state)
{
    struct talk *site = talk_start(state);
    int fd;

    for (int i = 0; i < 40; i++) {
        fd = talk_dial(site);
        talk_say(fd, GET("/file/3000000"));
        talk_pause_ms(i % 8);
        reset(fd);
    }
    fd = talk_dial(site);
    talk_say(fd, GET("/file/1000"));
    talk_hear_response(site, fd);
    talk_assert_status(site, 200);
    close(fd);
}

static void full_answers_503(void **state)
{
    struct talk *site = *state;
    int fds[64];
    int more;

    site->options.slots = 64;
    talk_start(state);
    for (size_t i = 0; i < 64; i++) {
        fds[i] = talk_dial(site);
        talk_say(fds[i], i == 0 ? GET("/sleep/500") : GET("/"));
    }
    talk_pause_ms(100);
    refused(site, "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nabc",
            503);
    talk_assert_has(site, "Retry-After: 1\r\n");
    more = talk_dial(site);
    talk_say(more, GET("/") GET("/"));
    talk_hear_response(site, more);
    talk_assert_status(site, 503);
    talk_hear_response(site, more);
    talk_assert_status(site, 503);
    talk_assert_has(site, "Connection: keep-alive\r\n");
    close(more);
    for (size_t i = 0; i < 64; i++) {
        talk_hear_response(site, fds[i]);
        talk_assert_status(site, 200);
        close(fds[i]);
    }
}

static void overdue_is_504(void **state)
{
    struct talk *site = *state;
    int running, waiting;

    site->options.conn.request_timeout_ms = 300;
    talk_start(state);
    running = talk_dial(site);
    talk_say(running, GET("/sleep/1500"));
    talk_pause_ms(50);
    waiting = talk_dial(site);
    talk_say(waiting, GET("/"));
    talk_hear_response(site, running);
    talk_assert_status(site, 504);
    talk_hear_response(site, waiting);
    talk_assert_status(site, 504);
    close(running);
    close(waiting);
    assert_non_null(strstr(talk_text_of(site->log_fd), "WORKER TIMEOUT (pid:"));
    assert_non_null(strstr(talk_text_of(site->log_fd), ") GET /sleep/1500"));
    assert_true(atomic_load(&board_interp(site->echo.board, 0)->stuck_ns) > 0);
}

static void slow_peers_time_out(void **state)
{
    struct talk *site = *state;
    int idle, head, body, fresh;

    site->options.conn.header_timeout_ms = 200;
    site->options.conn.body_timeout_ms = 200;
    site->options.conn.keepalive_ms = 200;
    site->options.conn.linger_ms = 200;
    talk_start(state);
    idle = talk_dial(site);
    talk_say(idle, GET("/"));
    talk_hear_response(site, idle);
    head = talk_dial(site);
    talk_say(head, "GET / HTT");
    body = talk_dial(site);
    talk_say(body, "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nab");
    fresh = talk_dial(site);
    talk_hear_end(site, idle);
    assert_int_equal(site->length, 0);
    talk_hear_end(site, head);
    talk_assert_status(site, 408);
    talk_hear_end(site, body);
    talk_assert_status(site, 408);
    talk_hear_end(site, fresh);
    assert_int_equal(site->length, 0);
    close(idle);
    close(head);
    close(body);
    close(fresh);
}

static void reader_that_stops_is_closed(void **state)
{
    struct talk *site = *state;
    struct board_worker *worker;
    int fd;

    site->options.conn.send_timeout_ms = 200;
    talk_start(state);
    worker = board_worker(site->echo.board, 0);
    fd = talk_dial(site);
    talk_say(fd, GET("/size/50000000"));
    for (int i = 0; atomic_load(&worker->connections) == 0 && i < 500; i++)
        talk_pause_ms(10);
    for (int i = 0; atomic_load(&worker->connections) > 0 && i < 500; i++)
        talk_pause_ms(10);
    assert_int_equal(atomic_load(&worker->connections), 0);
    close(fd);
}

static void drains(void **state)
{
    struct talk *site = talk_start(state);
    struct board_worker *worker = board_worker(site->echo.board, 0);
    int busy = talk_dial(site);
    int idle = talk_dial(site);
    int queued;

    talk_say(idle, GET("/"));
    talk_hear_response(site, idle);
    talk_say(busy, GET("/sleep/400"));
    talk_pause_ms(50);
    atomic_store(&worker->command, BOARD_COMMAND_DRAIN);
    board_wake_worker(worker);
    queued = talk_dial(site);
    talk_say(queued, GET("/"));
    talk_hear_end(site, idle);
    assert_int_equal(site->length, 0);
    talk_hear_end(site, busy);
    talk_assert_has(site, "Connection: close     \r\n");
    talk_assert_has(site, "\r\n\r\nslept");
    talk_hear_end(site, queued);
    talk_assert_has(site, "\r\n\r\nHello, World!");
    close(idle);
    close(busy);
    close(queued);
    /* echo_site starts it again: it was not echo_site that asked. */
    site->worker_deaths = 1;
    atomic_store(&worker->command, BOARD_COMMAND_NONE);
}

static void worker_dies(void **state)
{
    struct talk *site = talk_start(state);
    struct board_worker *worker = board_worker(site->echo.board, 0);
    int fd = talk_dial(site);

    talk_say(fd, GET("/sleep/300"));
    talk_pause_ms(100);
    kill(atomic_load(&worker->pid), SIGKILL);
    site->worker_deaths = 1;
    close(fd);
    for (int i = 0; i < 20; i++) {
        fd = talk_dial(site);
        talk_say(fd, GET("/"));
        assert_string_equal(talk_hear_response(site, fd), "Hello, World!");
        close(fd);
    }
}

static void connections_are_limited(void **state)
{
    struct talk *site = *state;
    int fds[5];

    site->options.conn.connections_max = 4;
    talk_start(state);
    for (size_t i = 0; i < 4; i++) {
        fds[i] = talk_dial(site);
        talk_say(fds[i], GET("/"));
        talk_hear_response(site, fds[i]);
    }
    fds[4] = talk_dial(site);
    talk_say(fds[4], GET("/"));
    talk_pause_ms(100);
    assert_int_equal(recv(fds[4], site->answer, 1, MSG_DONTWAIT), -1);
    close(fds[0]);
    assert_string_equal(talk_hear_response(site, fds[4]), "Hello, World!");
    for (size_t i = 1; i < 5; i++)
        close(fds[i]);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, talk_set_up, talk_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bad_requests),
        TEST(interpreter_dies),
        TEST(broken_response),
        TEST(peers_reset),
        TEST(files_for_nobody),
        TEST(full_answers_503),
        TEST(overdue_is_504),
        TEST(slow_peers_time_out),
        TEST(reader_that_stops_is_closed),
        TEST(drains),
        TEST(worker_dies),
        TEST(connections_are_limited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
