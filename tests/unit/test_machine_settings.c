/* SPDX-License-Identifier: MIT */
/* Sizes and modes of the machine's settings; what an audit makes of memory. */
#include "workers/audit.h"
#include "workers/config_machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

static void sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes; /* 0: refused */
    } cases[] = {
        {"300M", 300 * MIB},
        {"300MiB", 300 * MIB},
        {"1g", 1024 * MIB},
        {"2GB", 2048 * MIB},
        {"4096", 4096},
        {"8k", 8192},
        {"1T", MIB << 20},
        {"", 0},
        {"0", 0},
        {"-1", 0},
        {"M", 0},
        {"3X", 0},
        {"3MM", 0},
        {"3 M", 0},
        {"0x10", 0},
        {"99999999999T", 0},
        {"18446744073709551616", 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t bytes = 0;

        assert_int_equal(config_size_parse(cases[i].text, &bytes),
                         cases[i].bytes != 0);
        assert_int_equal(bytes, cases[i].bytes);
    }
}

static void modes(void **state)
{
    enum config_autotune mode;

    (void)state;
    assert_true(config_autotune_parse("print", &mode));
    assert_int_equal(mode, CONFIG_AUTOTUNE_PRINT);
    assert_true(config_autotune_parse("True", &mode));
    assert_int_equal(mode, CONFIG_AUTOTUNE_SERVE);
    assert_true(config_autotune_parse("", &mode));
    assert_int_equal(mode, CONFIG_AUTOTUNE_OFF);
    assert_false(config_autotune_parse("app:app", &mode));
}

static void verdicts(void **state)
{
    (void)state;
    assert_int_equal(audit_judge(79 * MIB, MIB, 100 * MIB), AUDIT_FINE);
    assert_int_equal(audit_judge(81 * MIB, MIB, 100 * MIB), AUDIT_ALARM);
    assert_int_equal(audit_judge(100 * MIB, MIB, 100 * MIB), AUDIT_ALARM);
    assert_int_equal(audit_judge(101 * MIB, MIB, 100 * MIB), AUDIT_OVER);
    /* Replacing it would help nobody. */
    assert_int_equal(audit_judge(102 * MIB, 101 * MIB, 100 * MIB),
                     AUDIT_HOPELESS);
    assert_int_equal(audit_judge(UINT64_MAX, 0, 0), AUDIT_FINE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(modes),
        cmocka_unit_test(verdicts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
