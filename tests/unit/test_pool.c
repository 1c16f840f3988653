/* SPDX-License-Identifier: MIT */
#include "core/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

struct object {
    uint64_t mark;
    char rest[100];
};

static void test_gives_each_object_once(void **state)
{
    enum { COUNT = 50 };
    struct object *objects[COUNT];
    struct pool pool;

    (void)state;
    assert_int_equal(pool_init(&pool, COUNT, sizeof(struct object)), 0);
    for (uint64_t i = 0; i < COUNT; i++) {
        objects[i] = pool_get(&pool);
        assert_non_null(objects[i]);
        assert_int_equal((uintptr_t)objects[i] % CACHE_LINE, 0);
        memset(objects[i], 0xff, sizeof(*objects[i]));
        objects[i]->mark = i;
    }
    assert_null(pool_get(&pool));
    assert_int_equal(pool_left(&pool), 0);
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_int_equal(objects[i]->mark, i);
        pool_put(&pool, objects[i]);
    }
    assert_int_equal(pool_used(&pool), 0);
    pool_done(&pool);
}

static void test_last_put_is_next(void **state)
{
    struct pool pool;
    void *a;
    void *b;

    (void)state;
    assert_int_equal(pool_init(&pool, 10, 64), 0);
    a = pool_get(&pool);
    b = pool_get(&pool);
    pool_put(&pool, a);
    pool_put(&pool, b);
    assert_ptr_equal(pool_get(&pool), b);
    assert_ptr_equal(pool_get(&pool), a);
    assert_int_equal(pool_slots(&pool), 2);
    pool_done(&pool);
}

static void test_handles_go_stale(void **state)
{
    struct handle nothing = {0, 0};
    struct handle old;
    struct pool pool;
    void *a;

    (void)state;
    assert_int_equal(pool_init(&pool, 4, 64), 0);
    assert_null(pool_find(&pool, nothing));
    a = pool_get(&pool);
    assert_null(pool_find(&pool, nothing));
    old = pool_handle(&pool, a);
    assert_ptr_equal(pool_find(&pool, old), a);
    assert_ptr_equal(pool_at(&pool, old.slot), a);
    pool_put(&pool, a);
    assert_null(pool_find(&pool, old));
    assert_null(pool_at(&pool, old.slot));
    assert_ptr_equal(pool_get(&pool), a); /* the same place, a new object */
    assert_null(pool_find(&pool, old));
    assert_null(pool_find(&pool, (struct handle){3, 1}));
    assert_null(pool_find(&pool, (struct handle){UINT32_MAX, 1}));
    pool_done(&pool);
}

/* Gets and puts in random order, against a plain list of what is in use. */
static void test_random_use(void **state)
{
    enum { COUNT = 64, STEPS = 20000 };
    struct {
        uint64_t *object;
        struct handle handle;
    } used[COUNT];
    struct pool pool;
    unsigned seed = 1;
    size_t n = 0;

    (void)state;
    assert_int_equal(pool_init(&pool, COUNT, sizeof(uint64_t)), 0);
    for (uint64_t i = 0; i < STEPS; i++) {
        size_t at = n ? (size_t)rand_r(&seed) % n : 0;

        if (n < COUNT && (n == 0 || rand_r(&seed) % 2 == 0)) {
            used[n].object = pool_get(&pool);
            *used[n].object = i;
            used[n].handle = pool_handle(&pool, used[n].object);
            n++;
            continue;
        }
        assert_ptr_equal(pool_find(&pool, used[at].handle), used[at].object);
        pool_put(&pool, used[at].object);
        assert_null(pool_find(&pool, used[at].handle));
        used[at] = used[--n];
        assert_int_equal(pool_used(&pool), n);
    }
    pool_done(&pool);
}

static void test_refuses_nonsense(void **state)
{
    struct pool pool;

    (void)state;
    assert_int_equal(pool_init(&pool, 0, 64), -EINVAL);
    assert_int_equal(pool_init(&pool, 10, 0), -EINVAL);
    assert_int_equal(pool_init(&pool, UINT32_MAX, SIZE_MAX / 1000), -EINVAL);
    assert_int_equal(pool_init(&pool, UINT32_MAX, 1ULL << 31), -ENOMEM);
}

/* A pool for many connections must cost an idle server nothing. */
static void test_untouched_memory_is_not_there(void **state)
{
    enum { COUNT = 100000, SIZE = 4096 };
    static unsigned char pages[COUNT + 1];
    size_t resident = 0;
    struct pool pool;

    (void)state;
    assert_int_equal(pool_init(&pool, COUNT, SIZE), 0);
    for (int i = 0; i < 1000; i++) {
        char *object = pool_get(&pool);

        *object = 1;
        pool_put(&pool, object);
    }
    assert_int_equal(mincore(pool.objects, (size_t)COUNT * SIZE, pages), 0);
    for (size_t i = 0; i < COUNT; i++)
        resident += pages[i] & 1;
    assert_in_range(resident, 1, 8);
    pool_done(&pool);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gives_each_object_once),
        cmocka_unit_test(test_last_put_is_next),
        cmocka_unit_test(test_handles_go_stale),
        cmocka_unit_test(test_random_use),
        cmocka_unit_test(test_refuses_nonsense),
        cmocka_unit_test(test_untouched_memory_is_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
