/* SPDX-License-Identifier: MIT */
/* Modes of the machine's settings; what an audit makes of memory. */
#include "workers/advice.h"
#include "workers/audit.h"
#include "workers/config_machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

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

static uint32_t threads_for(uint64_t requests, uint64_t service_us,
                            uint64_t cpu_us)
{
    struct advice advice = {.requests = requests,
                            .service_us = service_us,
                            .cpu_us = cpu_us,
                            .threads = 1};

    advice_solve(&advice);
    return advice.wanted;
}

static void threads(void **state)
{
    (void)state;
    assert_int_equal(threads_for(10, 50000, 1000), 0); /* too few */
    assert_int_equal(threads_for(5000, 50000, 1000), 50);
    assert_int_equal(threads_for(5000, 50000, 5000), 10);
    assert_int_equal(threads_for(5000, 5000, 4900), 1);
    assert_int_equal(threads_for(5000, 5000, 6000), 1);
    assert_int_equal(threads_for(5000, 100, 1), 1); /* noise */
    assert_int_equal(threads_for(5000, 30000000, 0), ADVICE_THREADS_MAX);
}

static void words(void **state)
{
    struct advice advice = {.requests = 1234,
                            .service_us = 48040,
                            .cpu_us = 3140,
                            .queue_us = 900,
                            .threads = 1};
    char text[384];
    size_t length;

    (void)state;
    advice_solve(&advice);
    length = advice_text(&advice, text, sizeof(text));
    assert_int_equal(length, strlen(text));
    assert_string_equal(
        text, "measured over 1234 requests: 48.0 ms each, of which 3.1 ms on "
              "the CPU and 44.9 ms waiting; 0.9 ms before that for a free "
              "thread: --threads 15 would keep a worker busy (now 1)");
    advice.threads = 16;
    advice_text(&advice, text, sizeof(text));
    assert_non_null(strstr(text, ": 15 threads are enough"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes),
        cmocka_unit_test(verdicts),
        cmocka_unit_test(threads),
        cmocka_unit_test(words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
