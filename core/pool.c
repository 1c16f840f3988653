/* SPDX-License-Identifier: MIT */
#include "pool.h"

#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, len) ((void)(at), (void)(len))
#define ASAN_UNPOISON_MEMORY_REGION(at, len) ((void)(at), (void)(len))
#endif

static size_t round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static char *object_at(const struct pool *pool, uint32_t slot)
{
    return pool->objects + (size_t)slot * pool->object_size;
}

static uint32_t slot_of(const struct pool *pool, const void *object)
{
    size_t off = (size_t)((const char *)object - pool->objects);
    size_t slot = off / pool->object_size;

    must(off % pool->object_size == 0 && slot < pool->fresh);
    return (uint32_t)slot;
}

/*
 * One mapping: objects, then the generations, then the free list. The kernel
 * hands out zeroed pages at first touch. Huge pages are declined because one
 * of them is more than most pools ever use.
 */
int pool_init(struct pool *pool, uint32_t count, size_t object_size)
{
    size_t object = round_up(object_size, CACHE_LINE);
    size_t objects;
    size_t index;
    size_t total;
    char *memory;

    if (count == 0 || object_size == 0 ||
        __builtin_mul_overflow(object, (size_t)count, &objects) ||
        __builtin_mul_overflow(sizeof(uint32_t), (size_t)count, &index) ||
        __builtin_add_overflow(objects, 2 * index, &total))
        return -EINVAL;
    memory = mmap(NULL, total, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return -ENOMEM;
    madvise(memory, total, MADV_NOHUGEPAGE); /* advice: may fail */

    *pool = (struct pool){
        .objects = memory,
        .generation = (uint32_t *)(void *)(memory + objects),
        .next = (uint32_t *)(void *)(memory + objects + index),
        .object_size = object,
        .mapped_bytes = total,
        .count = count,
    };
    ASAN_POISON_MEMORY_REGION(memory, objects);
    return 0;
}

void pool_done(struct pool *pool)
{
    if (pool->objects == NULL)
        return;
    ASAN_UNPOISON_MEMORY_REGION(pool->objects, pool->mapped_bytes);
    munmap(pool->objects, pool->mapped_bytes);
    *pool = (struct pool){0};
}

void *pool_get(struct pool *pool)
{
    uint32_t slot;

    if (pool->free != 0) {
        slot = pool->free - 1;
        pool->free = pool->next[slot];
    } else if (pool->fresh < pool->count) {
        slot = pool->fresh++;
    } else {
        return NULL;
    }
    must(pool->generation[slot] % 2 == 0);
    pool->generation[slot]++;
    pool->used++;
    ASAN_UNPOISON_MEMORY_REGION(object_at(pool, slot), pool->object_size);
    return object_at(pool, slot);
}

void pool_put(struct pool *pool, void *object)
{
    uint32_t slot = slot_of(pool, object);

    must(pool->generation[slot] % 2 == 1); /* else it was put back twice */
    pool->generation[slot]++;
    pool->next[slot] = pool->free;
    pool->free = slot + 1;
    pool->used--;
    ASAN_POISON_MEMORY_REGION(object, pool->object_size);
}

struct handle pool_handle(const struct pool *pool, const void *object)
{
    uint32_t slot = slot_of(pool, object);

    return (struct handle){slot, pool->generation[slot]};
}

void *pool_find(const struct pool *pool, struct handle handle)
{
    if (handle.slot >= pool->fresh || handle.generation % 2 == 0 ||
        pool->generation[handle.slot] != handle.generation)
        return NULL;
    return object_at(pool, handle.slot);
}

void *pool_at(const struct pool *pool, uint32_t slot)
{
    if (slot >= pool->fresh || pool->generation[slot] % 2 == 0)
        return NULL;
    return object_at(pool, slot);
}
