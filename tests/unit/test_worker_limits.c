/* SPDX-License-Identifier: MIT */
/*
 * A worker with too little of everything, by the kernel's own limits: a
 * completion queue that overflows, two receive buffers, no descriptor, no
 * memory, signals at any time. Somebody is served all the while.
 */
#include "talk.h"

#include "core/board.h"
#include "core/board_worker.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#define MANY 150
#define BODY 70000 /* more than is received into the ring's own buffers */

static pid_t worker_pid(struct talk *site)
{
    return atomic_load(&board_worker(site->echo.board, 0)->pid);
}

static void is_served(struct talk *site, int fd)
{
    talk_say(fd, GET("/"));
    assert_string_equal(talk_hear_response(site, fd), "Hello, World!");
}

static int served(struct talk *site)
{
    int fd = talk_dial(site);

    is_served(site, fd);
    return fd;
}

/*
 * All speak while the worker does not run: it finds more completions than the
 * queue holds, and of each kind.
 */
static void completions_overflow(void **state)
{
    struct talk *site = *state;
    int fds[MANY];

    site->options.ring.submit_entries = 4;
    site->options.ring.completion_entries = 8;
    talk_start(state);
    for (int i = 0; i < MANY; i++)
        fds[i] = served(site);
    for (int round = 0; round < 3; round++) {
        kill(worker_pid(site), SIGSTOP);
        for (int i = 0; i < MANY; i++)
            talk_say(fds[i], GET("/") GET("/size/30000") GET("/"));
        kill(worker_pid(site), SIGCONT);
        is_served(site, fds[0] = served(site));
        for (int i = 1; i < MANY; i++) {
            talk_hear_response(site, fds[i]);
            assert_int_equal(strlen(talk_hear_response(site, fds[i])), 30000);
            assert_string_equal(talk_hear_response(site, fds[i]),
                                "Hello, World!");
        }
    }
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
}

static void few_buffers(void **state)
{
    static char body[BODY + 1];
    struct talk *site = *state;
    int fds[40];
    int polite;

    memset(body, 'b', BODY);
    site->options.ring.buffers = 2;
    site->options.ring.buffer_bytes = 512;
    talk_start(state);
    polite = served(site);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = talk_dial(site);
        talk_say(fds[i], "POST /echo HTTP/1.1\r\nHost: t\r\n"
                         "Content-Length: 70000\r\n\r\n");
    }
    for (int done = 0; done < BODY; done += 7000) {
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
            talk_say_bytes(fds[i], body + done, 7000);
        is_served(site, polite);
    }
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        assert_string_equal(talk_hear_response(site, fds[i]), body);
        close(fds[i]);
    }
    close(polite);
}

static void limit(pid_t pid, enum __rlimit_resource what, rlim_t soft)
{
    struct rlimit limit;

    assert_int_equal(prlimit(pid, what, NULL, &limit), 0);
    limit.rlim_cur = min_u64(soft, limit.rlim_max);
    assert_int_equal(prlimit(pid, what, &limit, NULL), 0);
}

/* One more than the highest number in use. */
static rlim_t descriptors_of(pid_t pid)
{
    char path[64];
    struct dirent *entry;
    long most = 0;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    dir = opendir(path);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        most = (long)max_u64((uint64_t)most, strtoul(entry->d_name, NULL, 10));
    closedir(dir);
    return (rlim_t)most + 1;
}

/* Who is in is served; a file cannot be had; who waits gets in later. */
static void no_descriptors(void **state)
{
    struct talk *site = talk_start(state);
    int polite = served(site);
    int other = served(site);
    rlim_t enough = descriptors_of(worker_pid(site)) + 100;
    int waiting[5];

    /* Lower ones may be free: they are taken by and by. */
    limit(worker_pid(site), RLIMIT_NOFILE, descriptors_of(worker_pid(site)));
    talk_say(other, GET("/file/1000"));
    for (size_t i = 0; i < ARRAY_SIZE(waiting); i++) {
        waiting[i] = talk_dial(site);
        talk_say(waiting[i], GET("/") GET("/file/1000"));
        is_served(site, polite);
    }
    for (int i = 0; i < 20; i++)
        is_served(site, polite);
    limit(worker_pid(site), RLIMIT_NOFILE, enough);
    for (size_t i = 0; i < ARRAY_SIZE(waiting); i++) {
        assert_string_equal(talk_hear_response(site, waiting[i]),
                            "Hello, World!");
        close(waiting[i]);
    }
    talk_say(polite, GET("/file/1000"));
    talk_hear_response(site, polite);
    talk_assert_status(site, 200);
    close(other);
    close(polite);
}

/* Nothing is allocated to serve: only the kernel's own limit would notice. */
static void no_memory(void **state)
{
    struct talk *site = talk_start(state);
    int first = served(site);
    int fds[MANY];

    limit(worker_pid(site), RLIMIT_DATA, 0);
    for (int i = 0; i < MANY; i++) {
        fds[i] = served(site);
        talk_say(fds[i], "nonsense\r\n\r\n");
    }
    talk_say(first, GET("/size/3000000"));
    assert_int_equal(strlen(talk_hear_response(site, first)), 3000000);
    talk_say(first, GET("/file/300000"));
    talk_hear_response(site, first);
    talk_assert_status(site, 200);
    for (int i = 0; i < MANY; i++) {
        talk_hear_end(site, fds[i]);
        talk_assert_status(site, 400);
        close(fds[i]);
    }
    close(first);
}

/* Each wait of the ring may end with EINTR; nothing is lost or done twice. */
static void stopped_again_and_again(void **state)
{
    struct talk *site = talk_start(state);
    int polite = served(site);
    int fd = talk_dial(site);

    talk_say(fd, GET("/size/3000000"));
    for (int i = 0; i < 100; i++) {
        kill(worker_pid(site), SIGSTOP);
        talk_say(polite, GET("/"));
        kill(worker_pid(site), SIGCONT);
        assert_string_equal(talk_hear_response(site, polite), "Hello, World!");
    }
    assert_int_equal(strlen(talk_hear_response(site, fd)), 3000000);
    close(fd);
    close(polite);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, talk_set_up, talk_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(completions_overflow),    TEST(few_buffers),
        TEST(no_descriptors),          TEST(no_memory),
        TEST(stopped_again_and_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
