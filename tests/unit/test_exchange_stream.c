/* SPDX-License-Identifier: MIT */
#include "core/board.h"
#include "core/exchange_spill.h"
#include "core/exchange_stream.h"
#include "core/exchange_worker.h"
#include "site.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <setjmp.h>

#include <cmocka.h>

#define SLOTS 64
#define CHUNKS 96

struct stage {
    struct board *board;
    struct exchange_table table;
    struct exchange *x;
    struct exchange_stream stream;
    uint64_t written;
    uint64_t read;
};

static struct stage *stage_new(void)
{
    struct stage *stage = calloc(1, sizeof(*stage));

    stage->board = site_new(1, SLOTS, CHUNKS);
    assert_int_equal(exchange_table_init(&stage->table, stage->board, 0), 0);
    stage->x = exchange_new(&stage->table);
    exchange_stream_begin(&stage->stream, &stage->table, stage->x);
    return stage;
}

static void stage_free(struct stage *stage)
{
    exchange_free(&stage->table, stage->x);
    assert_int_equal(arena_chunks_used(&stage->table.arena), 0);
    exchange_table_done(&stage->table);
    site_free(stage->board);
    free(stage);
}

static char pattern(uint64_t i)
{
    return (char)(i * 31 + i / 4096);
}

/* Returns how much went in. */
static size_t put(struct stage *stage, size_t most)
{
    char *to;
    size_t n = min_u64(exchange_stream_room(&stage->stream, &to), most);
    size_t i;

    for (i = 0; i < n; i++)
        to[i] = pattern(stage->written++);
    if (n > 0)
        exchange_stream_wrote(&stage->stream, n);
    return n;
}

static size_t fill(struct stage *stage)
{
    size_t all = 0, n;

    while ((n = put(stage, SIZE_MAX)) > 0)
        all += n;
    return all;
}

/* Returns whether the worker waits for room. */
static bool get(struct stage *stage, size_t n)
{
    char *piece = malloc(n);
    size_t i;

    assert_true(
        exchange_stream_peek(&stage->table.arena, stage->x, 0, piece, n));
    for (i = 0; i < n; i++)
        assert_int_equal(piece[i], pattern(stage->read + i));
    free(piece);
    stage->read += n;
    return exchange_stream_drop(stage->x, n);
}

static void bytes_come_in_order_however_they_are_cut(void **state)
{
    struct stage *stage = stage_new();
    int i;

    (void)state;
    srandom(1);
    for (i = 0; i < 5000; i++) {
        put(stage, (size_t)random() % 40000 + 1);
        if (exchange_stream_left(stage->x) > 0 && random() % 2)
            get(stage, (size_t)random() % exchange_stream_left(stage->x) + 1);
    }
    assert_true(stage->read > 8 * EXCHANGE_STREAM_BYTES);
    get(stage, exchange_stream_left(stage->x));
    assert_int_equal(stage->read, stage->written);
    stage_free(stage);
}

static void a_full_ring_says_so_to_its_reader(void **state)
{
    struct stage *stage = stage_new();

    (void)state;
    assert_int_equal(fill(stage), EXCHANGE_STREAM_BYTES);
    assert_int_equal(exchange_stream_space(&stage->stream, 1), 0);
    assert_int_equal(put(stage, 1), 0);
    assert_true(get(stage, 10)); /* once */
    assert_false(get(stage, 10));
    assert_int_equal(put(stage, 1), 0); /* only whole chunks come back */
    get(stage, ARENA_CHUNK_BYTES);
    assert_int_equal(fill(stage), ARENA_CHUNK_BYTES);
    stage_free(stage);
}

static void an_idle_stream_holds_no_chunk(void **state)
{
    struct stage *stage = stage_new();
    uint32_t before = arena_chunks_used(&stage->table.arena);

    (void)state;
    put(stage, 1000);
    assert_true(arena_chunks_used(&stage->table.arena) > before);
    get(stage, 1000);
    exchange_stream_trim(&stage->stream);
    assert_int_equal(arena_chunks_used(&stage->table.arena), before);
    put(stage, 5);
    get(stage, 5);
    stage_free(stage);
}

static void without_a_chunk_it_is_full(void **state)
{
    struct stage *stage = stage_new();
    struct arena *arena = &stage->table.arena;
    uint32_t slot = exchange_slot(arena, stage->x);
    int32_t taken[CHUNKS];
    uint32_t count = 0, i;

    (void)state;
    while ((taken[count] = arena_chunk_get(arena, slot)) >= 0)
        count++;
    assert_int_equal(put(stage, 1), 0);
    assert_true(atomic_load(&stage->x->in_full));
    for (i = 0; i < count; i++)
        arena_chunk_put(arena, slot, (uint32_t)taken[i]);
    assert_int_equal(put(stage, 1), 1);
    get(stage, 1);
    stage_free(stage);
}

/* What the interpreter writes, or a dead one wrote, may be anything. */
static void nonsense_harms_nobody(void **state)
{
    struct stage *stage = stage_new();
    char piece[8];

    (void)state;
    put(stage, 1000);
    atomic_store(&stage->x->in_head, UINT64_MAX / 2);
    assert_int_equal(exchange_stream_left(stage->x), 0);
    exchange_stream_trim(&stage->stream); /* no more than was written */
    atomic_store(&stage->x->in_head, 0);
    stage->x->in_chunk[0] = UINT32_MAX - 1;
    assert_false(exchange_stream_peek(&stage->table.arena, stage->x, 0, piece,
                                      sizeof(piece)));
    assert_true(put(stage, 1000) > 0);
    stage_free(stage);
}

/* Who has let go reads no more: there is room again, however much came. */
static void what_nobody_reads_is_forgotten(void **state)
{
    struct stage *stage = stage_new();
    size_t all = fill(stage);

    (void)state;
    assert_int_equal(exchange_stream_forget(&stage->stream), all);
    assert_int_equal(exchange_stream_forget(&stage->stream), 0);
    assert_int_equal(fill(stage), all);
    stage_free(stage);
}

static uint64_t spool_blocks(const struct stage *stage)
{
    struct stat stat;

    assert_int_equal(fstat(stage->table.arena.spool_file_fd, &stat), 0);
    return (uint64_t)stat.st_blocks;
}

/* First in, first out, in pieces of any size; at the end the file is empty. */
static void the_spill_keeps_the_order(void **state)
{
    struct stage *stage = stage_new();
    struct exchange_spill spill = {0};
    char piece[7000];
    uint64_t in = 0, out = 0;

    (void)state;
    for (size_t n = 1; out < 3000000; n = n * 7 % 6997 + 1) {
        size_t take = n * 5 % 6991 + 1;
        int64_t got;

        for (size_t i = 0; i < n; i++)
            piece[i] = pattern(in++);
        assert_int_equal(exchange_spill_put(&stage->table, stage->x, &spill,
                                            (struct bytes){piece, n}),
                         0);
        got = exchange_spill_take(&stage->table, stage->x, &spill, piece, take);
        assert_int_equal(got, min_u64(take, in - out));
        for (int64_t i = 0; i < got; i++)
            assert_int_equal(piece[i], pattern(out++));
        assert_int_equal(exchange_spill_left(&spill), in - out);
    }
    exchange_spill_drop(&stage->table, stage->x, &spill);
    assert_int_equal(exchange_spill_left(&spill), 0);
    assert_int_equal(spool_blocks(stage), 0);
    stage_free(stage);
}

/* A worker that dies leaves nothing of it to the next. */
static void the_spill_of_the_dead_is_cleared(void **state)
{
    struct stage *stage = stage_new();
    struct exchange_spill spill = {0};
    char piece[7000] = {1};

    (void)state;
    assert_int_equal(exchange_spill_put(&stage->table, stage->x, &spill,
                                        (struct bytes){piece, sizeof(piece)}),
                     0);
    assert_true(spool_blocks(stage) > 0);
    exchange_table_done(&stage->table);
    assert_int_equal(exchange_table_init(&stage->table, stage->board, 0), 0);
    assert_int_equal(spool_blocks(stage), 0);
    stage->x = exchange_new(&stage->table);
    stage_free(stage);
}

/* A spill has an end: what does not fit is an error, not somebody else's. */
static void the_spill_is_bounded(void **state)
{
    struct stage *stage = stage_new();
    struct exchange_spill spill = {0};
    static char much[1 << 20];
    int error = 0;
    int count = 0;

    (void)state;
    while (error == 0 && count++ < 1000)
        error = exchange_spill_put(&stage->table, stage->x, &spill,
                                   (struct bytes){much, sizeof(much)});
    assert_int_equal(error, -EFBIG);
    exchange_spill_drop(&stage->table, stage->x, &spill);
    assert_int_equal(spool_blocks(stage), 0);
    stage_free(stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_in_order_however_they_are_cut),
        cmocka_unit_test(a_full_ring_says_so_to_its_reader),
        cmocka_unit_test(an_idle_stream_holds_no_chunk),
        cmocka_unit_test(without_a_chunk_it_is_full),
        cmocka_unit_test(nonsense_harms_nobody),
        cmocka_unit_test(what_nobody_reads_is_forgotten),
        cmocka_unit_test(the_spill_keeps_the_order),
        cmocka_unit_test(the_spill_of_the_dead_is_cleared),
        cmocka_unit_test(the_spill_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
