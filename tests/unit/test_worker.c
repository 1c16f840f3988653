/* SPDX-License-Identifier: MIT */
/* Requests and responses through a real worker and real sockets. */
#include "talk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void keeps_alive_and_closes(void **state)
{
    struct talk *site = talk_start(state);
    int fd = talk_dial(site);

    for (int i = 0; i < 3; i++) {
        talk_say(fd, GET("/"));
        assert_string_equal(talk_hear_response(site, fd), "Hello, World!");
        talk_assert_has(site, "Connection: keep-alive\r\n");
    }
    talk_say(fd, "GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    talk_hear_end(site, fd);
    talk_assert_has(site, "Connection: close\r\n");
    close(fd);
    fd = talk_dial(site);
    talk_say(fd, "GET / HTTP/1.0\r\n\r\n");
    talk_hear_end(site, fd);
    talk_assert_has(site, "\r\n\r\nHello, World!");
    close(fd);
}

static void one_byte_at_a_time(void **state)
{
    struct talk *site = talk_start(state);
    static const char request[] = "POST /echo HTTP/1.1\r\nHost: t\r\n"
                                  "Content-Length: 5\r\n\r\nabcde" GET("/");
    int fd = talk_dial(site);

    for (const char *at = request; *at; at++) {
        talk_say_bytes(fd, at, 1);
        talk_pause_ms(1);
    }
    assert_string_equal(talk_hear_response(site, fd), "abcde");
    assert_string_equal(talk_hear_response(site, fd), "Hello, World!");
    close(fd);
}

static void pipelined_in_order(void **state)
{
    struct talk *site = talk_start(state);
    char requests[16384] = "";
    char *at = requests;
    int fd = talk_dial(site);

    for (int i = 1; i <= 200; i++)
        at += snprintf(at, sizeof(requests) - (size_t)(at - requests),
                       "GET /size/%d HTTP/1.1\r\nHost: t\r\n\r\n", i);
    talk_say(fd, requests);
    for (size_t i = 1; i <= 200; i++)
        assert_int_equal(strlen(talk_hear_response(site, fd)), i);
    shutdown(fd, SHUT_WR);
    talk_hear_end(site, fd);
    assert_int_equal(site->length, 0);
    close(fd);
}

static char *pattern(size_t n)
{
    char *bytes = malloc(n + 1);

    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)('a' + (i * 2654435761U >> 7) % 26);
    bytes[n] = 0;
    return bytes;
}

static void say_length(int fd, const char *extra, size_t n)
{
    char head[256];

    snprintf(head, sizeof(head),
             "POST /echo HTTP/1.1\r\nHost: t\r\n%sContent-Length: %zu\r\n\r\n",
             extra, n);
    talk_say(fd, head);
}

static void say_chunked(int fd, const char *bytes, size_t n)
{
    char line[32];

    talk_say(fd, "POST /echo HTTP/1.1\r\nHost: t\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n");
    while (n > 0) {
        size_t piece = n > 50000 ? 50000 : n;

        snprintf(line, sizeof(line), "%zx\r\n", piece);
        talk_say(fd, line);
        talk_say_bytes(fd, bytes, piece);
        talk_say(fd, "\r\n");
        bytes += piece;
        n -= piece;
    }
    talk_say(fd, "0\r\n\r\n");
}

static void bodies_of_all_sizes(void **state)
{
    static const size_t sizes[] = {0,      1,       1000,          1984,
                                   2000,   16384,   65536,         65537,
                                   300000, 1 << 20, (1 << 20) + 1, 5 << 20};
    struct talk *site = talk_start(state);
    int fd = talk_dial(site);

    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        char *body = pattern(sizes[i]);

        say_length(fd, "", sizes[i]);
        talk_say_bytes(fd, body, sizes[i]);
        assert_string_equal(talk_hear_response(site, fd), body);
        say_chunked(fd, body, sizes[i]);
        assert_string_equal(talk_hear_response(site, fd), body);
        free(body);
    }
    close(fd);
}

static void large_body_behind_a_slow_request(void **state)
{
    struct talk *site = talk_start(state);
    char *body = pattern(3 << 20);
    int fd = talk_dial(site);

    talk_say(fd, GET("/sleep/300"));
    if (fork() == 0) { /* it must be possible to write without reading */
        say_length(fd, "", 3 << 20);
        talk_say_bytes(fd, body, 3 << 20);
        talk_say(fd, GET("/"));
        _exit(0);
    }
    assert_string_equal(talk_hear_response(site, fd), "slept");
    assert_string_equal(talk_hear_response(site, fd), body);
    assert_string_equal(talk_hear_response(site, fd), "Hello, World!");
    close(fd);
    wait(NULL);
    free(body);
}

static void expect_asked_and_answered(void **state)
{
    struct talk *site = talk_start(state);
    static const char expect[] = "Expect: 100-continue\r\n";
    char *body = pattern(200000);
    int fd = talk_dial(site);

    for (int i = 0; i < 2; i++) {
        say_length(fd, expect, 200000);
        talk_hear_until(site, fd, "\r\n\r\n");
        assert_string_equal(site->answer, "HTTP/1.1 100 Continue\r\n\r\n");
        talk_say_bytes(fd, body, 200000);
        assert_string_equal(talk_hear_response(site, fd), body);
    }
    free(body);
    /* The body comes at once: nobody has to be asked. */
    talk_say(fd, "POST /echo HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
                 "Content-Length: 3\r\n\r\nabc");
    talk_hear_until(site, fd, "abc");
    talk_assert_status(site, 200);
    close(fd);
}

static void expect_denied(void **state)
{
    struct talk *site = talk_start(state);
    int fd = talk_dial(site);

    talk_say(fd, "POST /deny HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
                 "Content-Length: 100000\r\n\r\n");
    talk_hear_end(site, fd);
    talk_assert_status(site, 403);
    talk_assert_has(site, "Connection: close     \r\n");
    close(fd);
}

static void expect_and_leave(void **state)
{
    struct talk *site = talk_start(state);
    int fd = talk_dial(site);

    say_length(fd, "Expect: 100-continue\r\n", 1000);
    talk_hear_until(site, fd, "\r\n\r\n");
    talk_say(fd, "not all");
    shutdown(fd, SHUT_WR);
    talk_hear_end(site, fd);
    talk_assert_status(site, 400);
    close(fd);
}

static void half_closed_is_answered(void **state)
{
    struct talk *site = talk_start(state);
    int fd = talk_dial(site);

    talk_say(fd, GET("/sleep/50") GET("/"));
    shutdown(fd, SHUT_WR);
    assert_string_equal(talk_hear_response(site, fd), "slept");
    assert_string_equal(talk_hear_response(site, fd), "Hello, World!");
    talk_hear_end(site, fd);
    assert_int_equal(site->length, 0);
    close(fd);
}

static void streams_and_files(void **state)
{
    struct talk *site = talk_start(state);
    int fd = talk_dial(site);
    const char *body;

    for (int i = 0; i < 2; i++) {
        talk_say(fd, GET("/stream/300"));
        talk_hear_until(site, fd, "\r\n0\r\n\r\n");
        talk_say(fd, GET("/file/1000000"));
        body = talk_hear_response(site, fd);
        for (uint64_t at = 0; at < 1000000; at += 8)
            assert_memory_equal(body + at, &at, 8);
        talk_say(fd, GET("/file/0"));
        talk_hear_response(site, fd);
    }
    close(fd);
}

static void slow_reader_gets_all(void **state)
{
    struct talk *site = *state;
    int fd;

    site->options.conn.send_timeout_ms = 300;
    talk_start(state);
    fd = talk_dial(site);
    talk_say(fd, GET("/size/8000000"));
    talk_hear_until(site, fd, "\r\n\r\n");
    for (size_t part = 1; part <= 8; part++) {
        talk_hear(site, fd, part * 900000);
        talk_pause_ms(150);
    }
    talk_hear(site, fd, site->length + 8000000 - 7200000);
    close(fd);
}

static void long_heads(void **state)
{
    struct talk *site = talk_start(state);
    char *head = calloc(1, 70000);
    char *at = stpcpy(head, "GET / HTTP/1.1\r\nHost: t\r\n");
    int fd = talk_dial(site);

    for (int i = 0; i < 9; i++) { /* 54,000 bytes: more than one chunk */
        memset(at, 'a', 6000);
        memcpy(at, "X-Name: ", 8);
        memcpy(at + 5998, "\r\n", 2);
        at += 6000;
    }
    memcpy(at, "\r\n", 2);
    talk_say(fd, head);
    assert_string_equal(talk_hear_response(site, fd), "Hello, World!");
    talk_say(fd, head);
    assert_string_equal(talk_hear_response(site, fd), "Hello, World!");
    close(fd);
    free(head);
}

static void access_log_lines(void **state)
{
    static const char answered[] =
        "127.0.0.1 - me \"GET /a%20b%0a?x=\\\"1 HTTP/1.1\" 200 13 \"-\" "
        "\"a\\\\\\\"b\" echo GET /a b\\x0a|x=\\\"1|HTTP/1.1|7    |%-\n";
    static const char failed[] = "\n127.0.0.1 - - \"GET /die HTTP/1.1\" 502 ";
    static const char refused[] =
        "\n127.0.0.1 - - \"GET /re\\\"fused HTTP/9\" 400 ";
    struct talk *site = *state;
    char *log;
    int fd;

    site->options.access_log_fd = site->access_fd;
    site->options.access_log_format =
        "%(h)s %(l)s %(u)s \"%(r)s\" %(s)s %(b)s \"%(f)s\" \"%(a)s\" "
        "%({server}o)s %(m)s %(U)s|%(q)s|%(H)s|%({x-id}i)-5s|%%%(zz)s";
    talk_start(state);
    fd = talk_dial(site);
    talk_say(fd, "GET /a%20b%0a?x=\"1 HTTP/1.1\r\nHost: t\r\n"
                 "User-Agent: a\\\"b\r\nX-Id: 7\r\n"
                 "Authorization: Basic bWU6c2VjcmV0\r\n\r\n");
    talk_hear_response(site, fd);
    talk_say(fd, GET("/die"));
    talk_hear_response(site, fd);
    talk_say(fd, "GET /re\"fused HTTP/9\r\n\r\n");
    talk_hear_end(site, fd);
    close(fd);
    for (int i = 0; i < 100; i++) {
        log = talk_text_of(site->access_fd);
        if (strstr(log, " 400 "))
            break;
        talk_pause_ms(20);
    }
    assert_memory_equal(log, answered, sizeof(answered) - 1);
    assert_non_null(strstr(log, failed));
    assert_non_null(strstr(log, refused));
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, talk_set_up, talk_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keeps_alive_and_closes),
        TEST(one_byte_at_a_time),
        TEST(pipelined_in_order),
        TEST(bodies_of_all_sizes),
        TEST(large_body_behind_a_slow_request),
        TEST(expect_asked_and_answered),
        TEST(expect_denied),
        TEST(expect_and_leave),
        TEST(half_closed_is_answered),
        TEST(streams_and_files),
        TEST(slow_reader_gets_all),
        TEST(long_heads),
        TEST(access_log_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
