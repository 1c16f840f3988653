/* SPDX-License-Identifier: MIT */
/* Advice from gaps, and gaps from logs of nginx and HAProxy. */
#include "workers/keepalive_log.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_nothing_seen(void **state)
{
    struct keepalive_choice choices[KEEPALIVE_CHOICES];
    struct keepalive keepalive = {.ends = 10, .seconds = 10};

    (void)state;
    assert_int_equal(keepalive_choose(&keepalive, choices), -1);
}

static void test_choice(void **state)
{
    struct keepalive_choice choices[KEEPALIVE_CHOICES];
    struct keepalive keepalive = {.ends = 100, .seconds = 100};
    int best;

    (void)state;
    keepalive_add(&keepalive, 0.5, 60);
    keepalive_add(&keepalive, 8, 36);
    keepalive_add(&keepalive, 200, 4);
    best = keepalive_choose(&keepalive, choices);
    assert_int_equal(choices[best].seconds, 10);
    assert_true(choices[best].kept > 0.959 && choices[best].kept < 0.961);
    /* 30 s + 288 s of those that came in time, 10 s of each of 104 others. */
    assert_true(choices[best].idle > 13.57 && choices[best].idle < 13.59);
    assert_int_equal(choices[0].seconds, 1);
    assert_true(choices[0].kept > 0.59 && choices[0].kept < 0.61);
}

static void test_nobody_comes_soon(void **state)
{
    struct keepalive_choice choices[KEEPALIVE_CHOICES];
    struct keepalive keepalive = {.seconds = 10000};

    (void)state;
    keepalive_add(&keepalive, 5000, 10);
    assert_int_equal(keepalive_choose(&keepalive, choices),
                     KEEPALIVE_CHOICES - 1);
}

static void test_histogram(void **state)
{
    struct keepalive_choice choices[KEEPALIVE_CHOICES];
    struct keepalive keepalive = {.seconds = 10};
    struct stats_histogram gaps = {0};

    (void)state;
    for (int i = 0; i < 98; i++)
        stats_observe(&gaps, 3 * NS_PER_S);
    stats_observe(&gaps, 100 * NS_PER_S);
    stats_observe(&gaps, 0);
    keepalive_add_histogram(&keepalive, &gaps);
    assert_true(keepalive.returns > 99.9 && keepalive.returns < 100.1);
    assert_int_equal(choices[keepalive_choose(&keepalive, choices)].seconds, 5);
}

static void read_text(struct keepalive_log *log, const char *text)
{
    FILE *from = fmemopen((void *)(uintptr_t)text, strlen(text), "r");

    assert_non_null(from);
    assert_int_equal(keepalive_log_read(log, from), 0);
    fclose(from);
}

static void test_nginx(void **state)
{
    struct keepalive_choice choices[KEEPALIVE_CHOICES];
    struct keepalive_log log;

    (void)state;
    read_text(&log, "10.0.0.1 - - [24/Nov/2026:20:00:00 +0000] \"GET / "
                    "HTTP/1.1\" 200 5 \"-\" \"[x\"\n"
                    "10.0.0.2 - me [24/Nov/2026:20:00:01 +0000] \"GET /\"\n"
                    "nonsense\n\n"
                    "10.0.0.1 - - [24/Nov/2026:20:00:14 +0000] \"GET /\"\n");
    assert_int_equal(log.lines, 5);
    assert_int_equal(log.strange, 2);
    assert_int_equal(log.clients, 2);
    assert_true(log.keepalive.returns > 0.9 && log.keepalive.returns < 1.1);
    assert_int_equal(choices[keepalive_choose(&log.keepalive, choices)].seconds,
                     15);
}

/* Another port is another connection. */
static void test_haproxy(void **state)
{
    static const char text[] =
        "Nov 24 20:00:00 lb haproxy[1]: 10.0.0.1:4000 "
        "[24/Nov/2026:20:00:00.500] in app/a 0/0/0/1/1 200 5\n"
        "Nov 24 20:00:00 lb haproxy[1]: 10.0.0.1:4001 "
        "[24/Nov/2026:20:00:00.600] in app/a 0/0/0/1/1 200 5\n"
        "Nov 24 20:00:00 lb haproxy[1]: 10.0.0.1:4000 "
        "[24/Nov/2026:20:00:02.250] in app/a 0/0/0/1/1 200 5\n";
    struct keepalive_log log;

    (void)state;
    read_text(&log, text);
    assert_int_equal(log.strange, 0);
    assert_int_equal(log.clients, 2);
    assert_true(log.keepalive.returns > 0.9 && log.keepalive.returns < 1.1);
    assert_true(log.keepalive.waited_s[1] > 1.74 &&
                log.keepalive.waited_s[1] < 1.76);
}

/* More clients than the table begins with. */
static void test_many_clients(void **state)
{
    struct keepalive_log log;
    size_t room = 400000;
    char *text = malloc(room);
    size_t n = 0;

    (void)state;
    assert_non_null(text);
    for (int i = 0; i < 6000; i++)
        n += (size_t)snprintf(text + n, room - n,
                              "10.0.%d.%d - - [24/Nov/2026:20:00:%02d +0000]\n",
                              i % 3000 / 250, i % 250, i / 3000 * 3);
    read_text(&log, text);
    free(text);
    assert_int_equal(log.clients, 3000);
    assert_int_equal(log.strange, 0);
    assert_true(log.keepalive.returns > 2999.9 &&
                log.keepalive.returns < 3000.1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_seen),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_nobody_comes_soon),
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_nginx),
        cmocka_unit_test(test_haproxy),
        cmocka_unit_test(test_many_clients),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
