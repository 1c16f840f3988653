/* SPDX-License-Identifier: MIT */
#include "topology/cpus.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void assert_list(const char *text, const char *expected)
{
    char got[CPUS_TEXT];
    struct cpus set;

    assert_int_equal(cpus_parse(text, &set), 0);
    assert_int_equal(cpus_format(&set, got, sizeof(got)), strlen(expected));
    assert_string_equal(got, expected);
}

static void lists_survive_a_round_trip(void **state)
{
    (void)state;
    assert_list("", "");
    assert_list("\n", "");
    assert_list("0", "0");
    assert_list(" 0-3,8,10-11\n", "0-3,8,10-11");
    assert_list("3,2,1,0", "0-3");
    assert_list("63-64,127,128", "63-64,127-128");
    assert_list("4095", "4095");
}

static void bad_lists_are_refused(void **state)
{
    static const char *const bad[] = {"x",    "1-",  "-1", "3-1",
                                      "1,,2", "1 2", "1;2"};
    struct cpus set = {{7}};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(cpus_parse(bad[i], &set), -EINVAL);
    assert_int_equal(cpus_parse("4096", &set), -ERANGE);
    assert_int_equal(cpus_parse("0-99999999999999999999", &set), -ERANGE);
    assert_int_equal(set.word[0], 7);
}

static void a_short_buffer_ends_in_dots(void **state)
{
    char text[16];
    struct cpus set;
    size_t n;

    (void)state;
    assert_int_equal(cpus_parse("0,2,4,6,8,10,12,14,16", &set), 0);
    n = cpus_format(&set, text, sizeof(text));
    assert_int_equal(n, strlen(text));
    assert_true(n < sizeof(text));
    assert_string_equal(text + n - 3, "...");
    assert_int_equal(cpus_format(&set, text, 0), 0);
    assert_int_equal(cpus_format(&set, text, 1), 0);
    assert_string_equal(text, "");
}

static void sets_are_compared_and_combined(void **state)
{
    struct cpus a, b, c;

    (void)state;
    assert_int_equal(cpus_parse("0-7,100", &a), 0);
    assert_int_equal(cpus_parse("4-9", &b), 0);
    assert_true(cpus_intersect(&a, &b));
    assert_false(cpus_contain(&a, &b));
    c = a;
    cpus_and(&c, &b);
    assert_int_equal(cpus_count(&c), 4);
    assert_true(cpus_contain(&a, &c));
    c = a;
    cpus_remove(&c, &b);
    assert_int_equal(cpus_count(&c), 5);
    cpus_or(&c, &b);
    assert_int_equal(cpus_count(&c), 11);
    assert_int_equal(cpus_last(&c), 100);
    assert_int_equal(cpus_next(&c, 10), 100);
    assert_int_equal(cpus_next(&c, 101), -1);
    cpus_remove(&c, &c);
    assert_true(cpus_is_empty(&c));
    assert_int_equal(cpus_last(&c), -1);
    assert_true(cpus_contain(&a, &c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_survive_a_round_trip),
        cmocka_unit_test(bad_lists_are_refused),
        cmocka_unit_test(a_short_buffer_ends_in_dots),
        cmocka_unit_test(sets_are_compared_and_combined),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
