/* SPDX-License-Identifier: MIT */
/*
 * The crowd against a plain table of counts, in random order, with many
 * addresses for few seats.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/crowd.h"

#define ADDRESSES 300
#define AT_ONCE 256
#define LIMIT 3

static const struct crowd_place alone;

static struct ip address(uint32_t i)
{
    uint8_t four[4] = {10, 0, (uint8_t)(i >> 8), (uint8_t)i};
    uint8_t six[16] = {
        0x20, 1, 0xd, 0xb8, [6] = (uint8_t)(i >> 8), [7] = (uint8_t)i};

    return i % 2 ? ip_from_v4(four) : ip_from_v6(six);
}

static void test_counts(void **state)
{
    uint32_t holder[AT_ONCE]; /* address of each connection, plus 1 */
    uint32_t counts[ADDRESSES] = {0};
    uint64_t seed = 1;
    struct crowd crowd;

    (void)state;
    memset(holder, 0, sizeof(holder));
    assert_int_equal(crowd_init(&crowd, alone, AT_ONCE, LIMIT), 0);
    for (int step = 0; step < 200000; step++) {
        uint32_t i;
        uint32_t c;
        struct ip ip;

        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        i = (uint32_t)(seed >> 33) % ADDRESSES;
        ip = address(i);
        c = (uint32_t)(seed >> 20) % AT_ONCE;
        if (holder[c] > 0) {
            crowd_leave(&crowd, c);
            counts[holder[c] - 1]--;
            holder[c] = 0;
        } else {
            bool entered = crowd_enter(&crowd, c, &ip);

            assert_int_equal(entered, counts[i] < LIMIT);
            counts[i] += entered;
            holder[c] = entered ? i + 1 : 0;
        }
        assert_int_equal(crowd_count(&crowd, &ip), counts[i]);
    }
    for (uint32_t i = 0; i < ADDRESSES; i++) {
        struct ip ip = address(i);

        assert_int_equal(crowd_count(&crowd, &ip), counts[i]);
    }
    crowd_done(&crowd);
}

static void test_networks(void **state)
{
    uint8_t six[16] = {0x20, 1, 0xd, 0xb8};
    struct ip one = ip_from_v6(six);
    struct ip neighbour;
    struct ip other;
    struct crowd crowd;

    (void)state;
    six[15] = 7;
    neighbour = ip_from_v6(six);
    six[7] = 1;
    other = ip_from_v6(six);
    assert_int_equal(crowd_init(&crowd, alone, 2, 1), 0);
    assert_true(crowd_enter(&crowd, 0, &one));
    assert_false(crowd_enter(&crowd, 1, &neighbour));
    assert_int_equal(crowd_count(&crowd, &other), 0);
    crowd_leave(&crowd, 0);
    assert_true(crowd_enter(&crowd, 0, &other));
    crowd_done(&crowd);
}

/* Two workers: what one has counts for the other, until it is gone. */
static void test_workers(void **state)
{
    uint8_t four[4] = {192, 0, 2, 1};
    struct ip ip = ip_from_v4(four);
    struct ip other = address(1);
    struct crowd_hall *hall;
    struct crowd one;
    struct crowd two;

    (void)state;
    assert_int_equal(crowd_hall_new(&hall, 2, AT_ONCE), 0);
    assert_int_equal(
        crowd_init(&one, (struct crowd_place){hall, 0}, AT_ONCE, LIMIT), 0);
    assert_int_equal(
        crowd_init(&two, (struct crowd_place){hall, 1}, AT_ONCE, LIMIT), 0);
    assert_true(crowd_enter(&one, 0, &ip));
    assert_true(crowd_enter(&one, 1, &ip));
    assert_true(crowd_enter(&two, 0, &ip));
    assert_int_equal(crowd_count(&one, &ip), LIMIT);
    assert_false(crowd_enter(&one, 2, &ip));
    assert_false(crowd_enter(&two, 1, &ip));
    assert_int_equal(crowd_count(&two, &ip), LIMIT);
    assert_true(crowd_enter(&two, 1, &other));
    crowd_leave(&two, 0);
    assert_true(crowd_enter(&one, 2, &ip));
    assert_false(crowd_enter(&two, 2, &ip));

    crowd_done(&one);
    crowd_hall_clear(hall, 0);
    assert_int_equal(crowd_count(&two, &ip), 0);
    assert_int_equal(crowd_count(&two, &other), 1);
    assert_true(crowd_enter(&two, 2, &ip));
    crowd_done(&two);
    crowd_hall_free(hall);
}

static void test_too_small(void **state)
{
    struct crowd_hall *hall;
    struct crowd crowd;

    (void)state;
    assert_int_equal(crowd_hall_new(&hall, 1, 10), 0);
    assert_int_equal(crowd_init(&crowd, (struct crowd_place){hall, 1}, 10, 1),
                     -EINVAL);
    crowd_done(&crowd);
    assert_int_equal(crowd_init(&crowd, (struct crowd_place){hall, 0}, 100, 1),
                     -EINVAL);
    crowd_done(&crowd);
    crowd_hall_free(hall);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_workers),
        cmocka_unit_test(test_too_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
