/* SPDX-License-Identifier: MIT */
#include "core/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define START_MS 123456789ULL

static void test_expires_after_the_deadline(void **state)
{
    struct wheel_node node = {0};
    struct wheel wheel;
    uint64_t deadline = START_MS + 1234;

    (void)state;
    wheel_init(&wheel, START_MS);
    assert_int_equal(wheel_next_ms(&wheel), UINT64_MAX);
    wheel_add(&wheel, &node, deadline);
    assert_true(wheel_has(&node));
    for (uint64_t now = START_MS; now < deadline; now++)
        assert_null(wheel_expire(&wheel, now));
    assert_in_range(wheel_next_ms(&wheel), deadline, deadline + WHEEL_TICK_MS);
    assert_ptr_equal(wheel_expire(&wheel, deadline + WHEEL_TICK_MS), &node);
    assert_false(wheel_has(&node));
    assert_null(wheel_expire(&wheel, deadline + WHEEL_TICK_MS));
    assert_int_equal(wheel_next_ms(&wheel), UINT64_MAX);
}

static void test_many_revolutions_away(void **state)
{
    struct wheel_node node = {0};
    struct wheel wheel;
    uint64_t now = START_MS;
    uint64_t deadline = START_MS + 3600 * 1000;
    int wakes = 0;

    (void)state;
    wheel_init(&wheel, now);
    wheel_add(&wheel, &node, deadline);
    while (wheel_expire(&wheel, now) == NULL) {
        uint64_t next = wheel_next_ms(&wheel);

        assert_true(next > now);
        now = next;
        wakes++;
    }
    assert_in_range(now, deadline, deadline + WHEEL_TICK_MS);
    assert_in_range(wakes, 1, 3600 * 10 / WHEEL_SLOTS + 2);
}

static void test_moves_both_ways(void **state)
{
    struct wheel_node node = {0};
    struct wheel wheel;

    (void)state;
    wheel_init(&wheel, START_MS);
    wheel_add(&wheel, &node, START_MS + 500);
    wheel_add(&wheel, &node, START_MS + 5000); /* later: found when due */
    assert_null(wheel_expire(&wheel, START_MS + 1000));
    assert_true(wheel_has(&node));
    wheel_add(&wheel, &node, START_MS + 2000); /* earlier */
    assert_null(wheel_expire(&wheel, START_MS + 1999));
    assert_ptr_equal(wheel_expire(&wheel, START_MS + 2100), &node);
}

static void test_removal(void **state)
{
    struct wheel_node nodes[3] = {{0}};
    struct wheel wheel;

    (void)state;
    wheel_init(&wheel, START_MS);
    wheel_remove(&wheel, &nodes[0]); /* in no wheel */
    for (int i = 0; i < 3; i++)
        wheel_add(&wheel, &nodes[i], START_MS + 300);
    wheel_remove(&wheel, &nodes[1]);
    assert_non_null(wheel_expire(&wheel, START_MS + 400));
    /* The other one is due already; it may still be removed. */
    wheel_remove(&wheel, &nodes[0]);
    wheel_remove(&wheel, &nodes[2]);
    assert_null(wheel_expire(&wheel, START_MS + 400));
    assert_int_equal(wheel_next_ms(&wheel), UINT64_MAX);
}

/* A handler that adds again what just expired must not loop for ever. */
static void test_past_deadlines_wait_a_tick(void **state)
{
    struct wheel_node node = {0};
    struct wheel wheel;

    (void)state;
    wheel_init(&wheel, START_MS);
    wheel_add(&wheel, &node, START_MS - 1000);
    assert_null(wheel_expire(&wheel, START_MS));
    assert_ptr_equal(wheel_expire(&wheel, START_MS + 100), &node);
    wheel_add(&wheel, &node, 0);
    assert_null(wheel_expire(&wheel, START_MS + 100));
    assert_ptr_equal(wheel_expire(&wheel, START_MS + 200), &node);
}

static void test_long_sleep(void **state)
{
    struct wheel_node nodes[400] = {{0}};
    struct wheel wheel;
    size_t n = 0;

    (void)state;
    wheel_init(&wheel, START_MS);
    for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
        wheel_add(&wheel, &nodes[i], START_MS + i * 250);
    while (wheel_expire(&wheel, START_MS + 86400ULL * 1000) != NULL)
        n++;
    assert_int_equal(n, ARRAY_SIZE(nodes));
}

/* Against the obvious way: a table of deadlines. */
static void test_random_use(void **state)
{
    enum { COUNT = 200, STEPS = 30000 };
    static struct wheel_node nodes[COUNT];
    struct wheel_node *node;
    struct wheel wheel;
    uint64_t now = START_MS;
    unsigned seed = 7;

    (void)state;
    wheel_init(&wheel, now);
    for (int step = 0; step < STEPS; step++) {
        node = &nodes[rand_r(&seed) % COUNT];
        if (rand_r(&seed) % 4 == 0)
            wheel_remove(&wheel, node);
        else
            wheel_add(&wheel, node, now + (unsigned)rand_r(&seed) % 60000);
        now += (unsigned)rand_r(&seed) % 200;
        while ((node = wheel_expire(&wheel, now)) != NULL) {
            assert_true(node->deadline_ms <= now);
            assert_false(wheel_has(node));
        }
        for (int i = 0; i < COUNT; i++) {
            if (!wheel_has(&nodes[i]))
                continue;
            assert_true(nodes[i].deadline_ms + WHEEL_TICK_MS > now);
            assert_true(wheel_next_ms(&wheel) <=
                        nodes[i].deadline_ms + WHEEL_TICK_MS);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expires_after_the_deadline),
        cmocka_unit_test(test_many_revolutions_away),
        cmocka_unit_test(test_moves_both_ways),
        cmocka_unit_test(test_removal),
        cmocka_unit_test(test_past_deadlines_wait_a_tick),
        cmocka_unit_test(test_long_sleep),
        cmocka_unit_test(test_random_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
