/* SPDX-License-Identifier: MIT */
#include "topology/size.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/base.h"

#define MIB (UINT64_C(1) << 20)

static void what_is_a_size(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {
        {"300M", 300 * MIB},
        {"300MiB", 300 * MIB},
        {"1g", 1024 * MIB},
        {"2GB", 2048 * MIB},
        {"4096", 4096},
        {"8k", 8192},
        {"1T", MIB << 20},
        {"0", 0},
        {"16777215T", (MIB << 20) * 16777215},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t bytes = 1;

        assert_int_equal(size_parse(cases[i].text, &bytes), 0);
        assert_int_equal(bytes, cases[i].bytes);
    }
}

static void what_is_none(void **state)
{
    static const struct {
        const char *text;
        int rc;
    } cases[] = {
        {"", -EINVAL},
        {"-1", -EINVAL},
        {" 1", -EINVAL},
        {"M", -EINVAL},
        {"3X", -EINVAL},
        {"3MM", -EINVAL},
        {"3 M", -EINVAL},
        {"3 ", -EINVAL},
        {"3\n", -EINVAL},
        {"3B", -EINVAL},
        {"0x10", -EINVAL},
        {"16777216T", -ERANGE},
        {"18446744073709551616", -ERANGE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t bytes = 1;

        assert_int_equal(size_parse(cases[i].text, &bytes), cases[i].rc);
        assert_int_equal(bytes, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_a_size),
        cmocka_unit_test(what_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
