/* SPDX-License-Identifier: MIT */
/* Firmware is written by many; whatever its table says, reading it is safe. */
#include "topology/dimms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TABLE 64

/* A module of 16 GiB DDR4-2666 with ECC, then the end. */
static void make_table(uint8_t table[TABLE])
{
    memset(table, 0, TABLE);
    table[0] = 17;
    table[1] = 40;
    table[0x08] = 72;
    table[0x0a] = 64;
    table[0x0c] = 0x00;
    table[0x0d] = 0x40;
    table[0x12] = 0x1a;
    table[0x14] = 0x20;
    table[0x15] = 0x6a;
    table[0x16] = 0x0a;
    memcpy(table + 40, "A1\0\0", 4);
    table[44] = 127;
    table[45] = 4;
}

static void a_module_is_read(void **state)
{
    struct dimms dimms = {0};
    uint8_t table[TABLE];

    (void)state;
    make_table(table);
    dimms_parse_dmi(table, sizeof(table), &dimms);
    assert_int_equal(dimms.n, 1);
    assert_string_equal(dimms.items[0].type, "DDR4");
    assert_true(dimms.items[0].bytes == UINT64_C(16) << 30);
    assert_int_equal(dimms.items[0].mts, 2666);
    assert_int_equal(dimms.items[0].is_registered, 1);
    assert_int_equal(dimms.items[0].has_ecc, 1);
}

/* Emulators say "RAM" of unknown speed. */
static void what_is_not_said_is_unknown(void **state)
{
    struct dimms dimms = {0};
    uint8_t table[TABLE];

    (void)state;
    make_table(table);
    table[0x12] = 7;
    memset(table + 0x13, 0, 4);
    memset(table + 0x08, 0xff, 4);
    dimms_parse_dmi(table, sizeof(table), &dimms);
    assert_int_equal(dimms.n, 1);
    assert_string_equal(dimms.items[0].type, "");
    assert_int_equal(dimms.items[0].mts, 0);
    assert_int_equal(dimms.items[0].is_registered, -1);
    assert_int_equal(dimms.items[0].has_ecc, -1);
}

/* In its own allocation, so that a read behind the end is seen. */
static uint32_t parse_copy(const uint8_t *table, size_t size)
{
    struct dimms dimms = {0};
    uint8_t *copy = malloc(size ? size : 1);

    assert_non_null(copy);
    memcpy(copy, table, size);
    dimms_parse_dmi(copy, size, &dimms);
    free(copy);
    return dimms.n;
}

static void a_cut_table_is_safe(void **state)
{
    uint8_t table[TABLE];

    (void)state;
    make_table(table);
    for (size_t size = 0; size < sizeof(table); size++)
        assert_int_equal(parse_copy(table, size), size >= 40);
}

static void garbage_is_safe(void **state)
{
    uint8_t table[256];
    uint32_t seed = 1;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        for (size_t i = 0; i < sizeof(table); i++) {
            seed = seed * 1664525 + 1013904223;
            table[i] = (uint8_t)(seed >> 24);
        }
        table[0] = 17;
        table[1] &= 0x3f;
        assert_true(parse_copy(table, sizeof(table)) <= DIMMS_MAX);
    }
}

static void more_modules_than_room_are_dropped(void **state)
{
    enum { COUNT = DIMMS_MAX + 8 };
    uint8_t *table = calloc(COUNT, 44);
    uint8_t one[TABLE];

    (void)state;
    assert_non_null(table);
    make_table(one);
    for (int i = 0; i < COUNT; i++)
        memcpy(table + (size_t)i * 44, one, 44);
    assert_int_equal(parse_copy(table, (size_t)COUNT * 44), DIMMS_MAX);
    free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_module_is_read),
        cmocka_unit_test(what_is_not_said_is_unknown),
        cmocka_unit_test(a_cut_table_is_safe),
        cmocka_unit_test(garbage_is_safe),
        cmocka_unit_test(more_modules_than_room_are_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
