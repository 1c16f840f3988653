/* SPDX-License-Identifier: MIT */
/* What the master decides, without any process. */
#include "workers/interp.h"
#include "workers/pidfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { RETIRED = 1, MUST_WAIT = 2, OTHERS_MOVE = 4, NO_PLACE = 8 };

static enum interp_step step(uint32_t starting, uint32_t fresh,
                             uint32_t leaving, int flags)
{
    struct interp_view view = {
        .starting = starting,
        .fresh = fresh,
        .leaving = leaving,
        .places = flags & NO_PLACE ? 0 : 1,
        .in_service = !(flags & RETIRED),
        .may_start = !(flags & MUST_WAIT),
        .others_move = flags & OTHERS_MOVE,
    };

    return interp_decide(&view);
}

static void nothing_to_do(void **state)
{
    (void)state;
    assert_int_equal(step(0, 1, 0, 0), INTERP_NOTHING);
    assert_int_equal(step(0, 0, 0, RETIRED), INTERP_NOTHING);
}

static void an_empty_home_gets_one(void **state)
{
    (void)state;
    assert_int_equal(step(0, 0, 0, 0), INTERP_START);
    /* Another home's reload is no reason to leave this one empty. */
    assert_int_equal(step(0, 0, 0, OTHERS_MOVE), INTERP_START);
    assert_int_equal(step(0, 0, 0, MUST_WAIT), INTERP_NOTHING);
    assert_int_equal(step(0, 0, 0, NO_PLACE), INTERP_NOTHING);
}

static void never_two_that_start(void **state)
{
    (void)state;
    assert_int_equal(step(1, 0, 0, 0), INTERP_NOTHING);
    assert_int_equal(step(1, 0, 1, 0), INTERP_NOTHING);
}

static void replacements_come_first(void **state)
{
    (void)state;
    assert_int_equal(step(0, 0, 1, 0), INTERP_START);
    assert_int_equal(step(0, 1, 1, 0), INTERP_DRAIN_LEAVING);
    /* One home at a time. */
    assert_int_equal(step(0, 0, 1, OTHERS_MOVE), INTERP_NOTHING);
    /* And the old one serves on while the new one cannot start. */
    assert_int_equal(step(0, 0, 1, MUST_WAIT), INTERP_NOTHING);
}

static void who_retires_too_early_takes_the_place_too(void **state)
{
    (void)state;
    /* The successor had its share of requests before it was seen to serve. */
    assert_int_equal(step(0, 0, 2, 0), INTERP_DRAIN_OLDER);
    assert_int_equal(step(0, 0, 4, NO_PLACE), INTERP_DRAIN_OLDER);
    assert_int_equal(step(1, 0, 2, OTHERS_MOVE), INTERP_DRAIN_OLDER);
    assert_int_equal(step(0, 1, 2, 0), INTERP_DRAIN_LEAVING);
}

static void a_retired_home_is_emptied(void **state)
{
    (void)state;
    assert_int_equal(step(0, 1, 0, RETIRED), INTERP_DRAIN_ALL);
    assert_int_equal(step(1, 0, 0, RETIRED), INTERP_DRAIN_ALL);
}

static void backoff_is_bounded(void **state)
{
    (void)state;
    assert_int_equal(master_backoff_ns(0), 0);
    assert_int_equal(master_backoff_ns(1), 100 * NS_PER_MS);
    assert_int_equal(master_backoff_ns(2), 200 * NS_PER_MS);
    assert_int_equal(master_backoff_ns(6), 3200 * NS_PER_MS);
    assert_int_equal(master_backoff_ns(7), 5 * NS_PER_S);
    assert_int_equal(master_backoff_ns(UINT32_MAX), 5 * NS_PER_S);
}

static void file_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void pidfiles(void **state)
{
    char dir[] = "/tmp/gcorn-test-XXXXXX";
    struct config_error error;
    char path[64], text[64];
    FILE *file;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/pid", dir);
    assert_int_equal(pidfile_make(path, &error), 0);
    file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof(text), file));
    fclose(file);
    assert_int_equal(strtol(text, NULL, 10), getpid());
    pidfile_remove(path);
    assert_int_equal(access(path, F_OK), -1);

    /* The parent of a test is alive. */
    snprintf(text, sizeof(text), "%d\n", (int)getppid());
    file_write(path, text);
    assert_int_equal(pidfile_make(path, &error), -EINVAL);
    assert_int_equal(error.exit_code, 1);
    assert_non_null(strstr(error.text, "Already running on PID"));
    pidfile_remove(path);
    assert_int_equal(access(path, F_OK), 0);

    file_write(path, "no number\n");
    assert_int_equal(pidfile_make(path, &error), 0);
    pidfile_remove(path);
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(pidfile_make(path, &error), -EINVAL);
    assert_non_null(strstr(error.text, "Can't create pidfile"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_to_do),
        cmocka_unit_test(an_empty_home_gets_one),
        cmocka_unit_test(never_two_that_start),
        cmocka_unit_test(replacements_come_first),
        cmocka_unit_test(who_retires_too_early_takes_the_place_too),
        cmocka_unit_test(a_retired_home_is_emptied),
        cmocka_unit_test(backoff_is_bounded),
        cmocka_unit_test(pidfiles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
