/* SPDX-License-Identifier: MIT */
/*
 * The scanners find the same ends, and every name in the table is found again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/http.h"
#include "core/http_scan.h"

static const char *const scanners[] = {"scalar", "sse4.2", "avx2"};

typedef size_t scan_fn(struct bytes data, size_t pos);

static scan_fn *scan_fn_of(const struct http_scan *scan, int kind)
{
    return kind == 0 ? scan->token : kind == 1 ? scan->value : scan->target;
}

static const struct http_scan *scan_named(const char *name)
{
    return http_scan_use(name) < 0 ? NULL : http_scan_get();
}

/* A block of n bytes with c at one place, scanned from every 5th position. */
static void compare(const struct http_scan *scan, size_t n, size_t at, char c)
{
    const struct http_scan *scalar = scan_named("scalar");
    struct bytes data;
    char *p = malloc(n);

    assert_non_null(p);
    memset(p, 'a', n);
    p[at] = c;
    data = (struct bytes){p, n};
    for (int kind = 0; kind < 3; kind++) {
        for (size_t pos = at % 5; pos <= n; pos += 5)
            assert_int_equal(scan_fn_of(scan, kind)(data, pos),
                             scan_fn_of(scalar, kind)(data, pos));
    }
    free(p);
}

/* Each byte value at each place of blocks around the vector widths. */
static void test_scanners(void **state)
{
    static const size_t sizes[] = {1, 15, 16, 17, 31, 32, 33, 65};

    (void)state;
    for (size_t s = 0; s < ARRAY_SIZE(scanners); s++) {
        const struct http_scan *scan = scan_named(scanners[s]);

        if (!scan) {
            print_message("SKIPPED: this CPU has no %s\n", scanners[s]);
            continue;
        }
        assert_string_equal(http_scan_name(), scanners[s]);
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
            for (size_t at = 0; at < sizes[i] * 256; at++)
                compare(scan, sizes[i], at / 256, (char)(at % 256));
        }
    }
    assert_int_equal(http_scan_use("none"), -ENOTSUP);
}

static void test_names(void **state)
{
    (void)state;
    for (int id = 1; id < HTTP_NAME_COUNT; id++) {
        struct bytes name = http_name_spelling((enum http_name)id);
        char text[40];

        assert_in_range(name.n, 2, sizeof(text));
        assert_int_equal(http_name_find(name), id);
        for (size_t i = 0; i < name.n; i++) {
            memcpy(text, name.p, name.n);
            text[i] ^= 0x20; /* other case; for '-' it is CR */
            assert_int_equal(http_name_find((struct bytes){text, name.n}),
                             name.p[i] == '-' ? HTTP_NAME_OTHER : id);
            text[i] ^= 0x01;
            assert_int_not_equal(http_name_find((struct bytes){text, name.n}),
                                 id);
        }
        assert_int_not_equal(http_name_find((struct bytes){name.p, name.n - 1}),
                             id);
    }
    assert_int_equal(http_name_find((struct bytes){"", 0}), HTTP_NAME_OTHER);
    assert_int_equal(http_name_spelling(HTTP_NAME_OTHER).n, 0);
}

static void test_text(void **state)
{
    (void)state;
    assert_true(http_is_token(BYTES("!#$%&'*+-.^_`|~09azAZ")));
    assert_false(http_is_token(BYTES("")));
    assert_false(http_is_token(BYTES("a b")));
    assert_false(http_is_token(BYTES("Set-Cookie-With-A-Long-Name-And-Then:")));
    assert_true(http_is_value(BYTES("")));
    assert_true(http_is_value(BYTES("a\tb \x80\xff~")));
    assert_false(http_is_value(BYTES("a\r\nSet-Cookie: b")));
    assert_false(http_is_value(BYTES("a\0")));
    assert_false(http_is_value(BYTES("\x7f")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scanners),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
