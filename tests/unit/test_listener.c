/* SPDX-License-Identifier: MIT */
/* Addresses, and listening sockets against the real kernel. */
#include "workers/listener.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SLOTS 4
#define CONNECTIONS 64

static struct address parse(const char *text)
{
    struct address address;
    struct config_error error;

    assert_int_equal(address_parse(text, &address, &error), 0);
    return address;
}

static void expect(const char *text, enum address_kind kind, const char *host,
                   uint16_t port)
{
    struct address address = parse(text);

    assert_int_equal(address.kind, kind);
    assert_string_equal(address.host, host);
    assert_int_equal(address.port, port);
}

static void addresses(void **state)
{
    (void)state;
    expect("127.0.0.1:80", ADDRESS_TCP4, "127.0.0.1", 80);
    expect("localhost", ADDRESS_TCP4, "localhost", 8000);
    expect(":9", ADDRESS_TCP4, "0.0.0.0", 9);
    expect("tcp://h:1", ADDRESS_TCP4, "h", 1);
    expect("[::1]:81", ADDRESS_TCP6, "::1", 81);
    expect("[::]", ADDRESS_TCP6, "::", 8000);
    expect("tcp://[::1]:0", ADDRESS_TCP6, "::1", 0);
    expect("unix:/run/a.sock", ADDRESS_UNIX, "/run/a.sock", 8000);
    expect("unix:///run/a.sock", ADDRESS_UNIX, "/run/a.sock", 8000);
    assert_int_equal(parse("fd://7").fd, 7);
    assert_false(parse("h:1").uwsgi);
    expect("uwsgi://h:1", ADDRESS_TCP4, "h", 1);
    assert_true(parse("uwsgi://h:1").uwsgi);
    expect("uwsgi:unix:/run/a.sock", ADDRESS_UNIX, "/run/a.sock", 8000);
    assert_true(parse("uwsgi:unix:/run/a.sock").uwsgi);
    assert_true(parse("uwsgi:fd://7").uwsgi);
}

static void bad_addresses(void **state)
{
    static const char *const bad[] = {
        "h:",    "h:-1",    "h:1 ",  "::1",    "::1:80",  "[::1]80", "[::1]:",
        "unix:", "unix://", "fd://", "fd://x", "fd://-1", "h:99999"};
    struct address address;
    struct config_error error;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(address_parse(bad[i], &address, &error), -EINVAL);
        assert_int_equal(error.exit_code, 1);
    }
}

static struct listener_options options(void)
{
    struct listener_options made = {
        .slots = SLOTS, .backlog = CONNECTIONS, .umask = 0177};

    made.owner.uid = geteuid();
    made.owner.gid = getegid();
    return made;
}

static void open_tcp(struct listener *listener)
{
    struct address address = parse("127.0.0.1:0");
    struct listener_options how = options();
    struct config_error error;

    assert_int_equal(listener_open(listener, &address, &how, &error), 0);
}

static int dial(const struct listener *listener)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&listener->bound,
                             listener->bound_len),
                     0);
    return fd;
}

/* Accepts all that wait at a slot. */
static uint32_t take_all(const struct listener *listener, uint32_t slot)
{
    uint32_t count = 0;
    int fd;

    while ((fd = accept4(listener_fd(listener, slot), NULL, NULL, 0)) >= 0) {
        close(fd);
        count++;
    }
    return count;
}

static void spread(const struct listener *listener, uint32_t slots,
                   uint32_t ret_counts[SLOTS])
{
    int fds[CONNECTIONS];

    for (uint32_t i = 0; i < CONNECTIONS; i++)
        fds[i] = dial(listener);
    for (uint32_t i = 0; i < slots; i++)
        ret_counts[i] = take_all(listener, i);
    for (uint32_t i = 0; i < CONNECTIONS; i++)
        close(fds[i]);
}

/* accept4() must not wait in take_all(). */
static void open_all_slots(struct listener *listener)
{
    struct timeval soon = {0, 1000};

    for (uint32_t i = 0; i < SLOTS; i++) {
        assert_int_equal(listener_open_slot(listener, i, CONNECTIONS), 0);
        assert_int_equal(setsockopt(listener_fd(listener, i), SOL_SOCKET,
                                    SO_RCVTIMEO, &soon, sizeof(soon)),
                         0);
    }
}

static void a_port_in_use_is_refused(void **state)
{
    struct listener mine, second;
    struct listener_options how = options();
    struct config_error error;
    struct address address;
    char url[64];

    (void)state;
    open_tcp(&mine);
    open_all_slots(&mine);
    listener_url(&mine, url, sizeof(url));
    address = parse(strstr(url, "//") + 2);
    assert_int_equal(listener_open(&second, &address, &how, &error), -EINVAL);
    assert_int_equal(error.exit_code, 1);
    assert_non_null(strstr(error.text, "Address already in use"));
    assert_non_null(strstr(error.text, url));
    listener_close(&second);
    listener_close(&mine);
    /* And free again, at once. */
    assert_int_equal(listener_open(&second, &address, &how, &error), 0);
    listener_close(&second);
}

static void confined_slots_get_nothing_new(void **state)
{
    uint32_t counts[SLOTS] = {0};
    struct listener listener;

    (void)state;
    open_tcp(&listener);
    open_all_slots(&listener);
    assert_int_equal(listener_confine(&listener, 2), 0);
    spread(&listener, SLOTS, counts);
    assert_int_equal(counts[0] + counts[1], CONNECTIONS);
    assert_true(counts[0] > 0 && counts[1] > 0);
    assert_int_equal(counts[2] + counts[3], 0);
    /* Closed in the wrong order, those that stay still get all. */
    listener_close_slot(&listener, 2);
    memset(counts, 0, sizeof(counts));
    spread(&listener, 2, counts);
    assert_int_equal(counts[0] + counts[1], CONNECTIONS);
    listener_close_slot(&listener, 3);
    listener_unconfine(&listener);
    spread(&listener, 2, counts);
    assert_int_equal(counts[0] + counts[1], CONNECTIONS);
    listener_close(&listener);
}

static void refusing_leaves_what_is_queued(void **state)
{
    struct pollfd late = {.events = POLLOUT};
    struct listener listener;
    int early;

    (void)state;
    open_tcp(&listener);
    open_all_slots(&listener);
    early = dial(&listener);
    listener_refuse(&listener);
    late.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(late.fd >= 0);
    assert_int_equal(connect(late.fd, (const struct sockaddr *)&listener.bound,
                             listener.bound_len),
                     -1);
    assert_int_equal(poll(&late, 1, 100), 0);
    assert_int_equal(take_all(&listener, 0) + take_all(&listener, 1) +
                         take_all(&listener, 2) + take_all(&listener, 3),
                     1);
    close(late.fd);
    close(early);
    listener_close(&listener);
}

static void unix_sockets(void **state)
{
    char dir[] = "/tmp/gcorn-test-XXXXXX";
    struct listener_options how = options();
    struct listener mine, second;
    struct config_error error;
    struct address address;
    struct stat st;
    char text[64];

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(text, sizeof(text), "unix:%s/s", dir);
    address = parse(text);
    assert_int_equal(listener_open(&mine, &address, &how, &error), 0);
    assert_int_equal(stat(address.host, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(listener_open(&second, &address, &how, &error), -EINVAL);
    assert_non_null(strstr(error.text, "Address already in use"));
    listener_close(&second);
    assert_int_equal(stat(address.host, &st), 0);
    /* What a crash leaves behind is removed. */
    close(mine.fds[0]);
    mine.fds[0] = -1;
    assert_int_equal(listener_open(&second, &address, &how, &error), 0);
    listener_close(&second);
    assert_int_equal(stat(address.host, &st), -1);
    mine.unlinks = false;
    listener_close(&mine);
    rmdir(dir);
}

static void a_file_in_the_way_is_kept(void **state)
{
    char path[] = "/tmp/gcorn-test-XXXXXX";
    struct listener_options how = options();
    struct listener listener;
    struct config_error error;
    struct address address;
    char text[64];
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    snprintf(text, sizeof(text), "unix:%s", path);
    address = parse(text);
    assert_int_equal(listener_open(&listener, &address, &how, &error), -EINVAL);
    listener_close(&listener);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(bad_addresses),
        cmocka_unit_test(a_port_in_use_is_refused),
        cmocka_unit_test(confined_slots_get_nothing_new),
        cmocka_unit_test(refusing_leaves_what_is_queued),
        cmocka_unit_test(unix_sockets),
        cmocka_unit_test(a_file_in_the_way_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
