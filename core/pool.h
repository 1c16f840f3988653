/* SPDX-License-Identifier: MIT */
/*
 * pool - a fixed number of equal objects, allocated once.
 *
 * Each worker owns its pools and is the only one to touch them: nothing here
 * locks. A pool never grows. When it is empty pool_get() returns NULL and the
 * caller sheds load, so a worker's memory is bounded when it starts. Memory
 * that was never needed is never touched: the object put back last is the
 * next to be handed out, so an idle process stays small.
 *
 * An object is named outside the worker's memory by its handle. Putting the
 * object back makes all its handles stale, so a completion that arrives late
 * finds nothing instead of a stranger. The all-zero handle names nothing.
 */
#ifndef GCORN_CORE_POOL_H
#define GCORN_CORE_POOL_H

#include "base.h"

struct handle {
    uint32_t slot;
    uint32_t generation;
};

/* All fields are private. */
struct pool {
    char *objects;
    uint32_t *generation; /* of each slot; odd while the object is in use */
    uint32_t *next;       /* of each free slot: the next free one, plus 1 */
    size_t object_size;
    size_t mapped_bytes;
    uint32_t count;
    uint32_t used;
    uint32_t fresh; /* slots from here on were never handed out */
    uint32_t free;  /* the first free slot below fresh, plus 1; 0: none */
};

/* Objects are aligned to a cache line. Returns 0, -EINVAL or -ENOMEM. */
int pool_init(struct pool *pool, uint32_t count, size_t object_size);

/* Gives all memory back, whatever is in use. */
void pool_done(struct pool *pool);

/* Returns an object with undefined content, or NULL if all are in use. */
void *pool_get(struct pool *pool);

/* The object must come from pool_get() on the same pool. */
void pool_put(struct pool *pool, void *object);

/* The handle of an object in use. */
struct handle pool_handle(const struct pool *pool, const void *object);

/* Returns the object, or NULL if it was put back since. */
void *pool_find(const struct pool *pool, struct handle handle);

/* The object in use in this slot, or NULL: for walks over all of them. */
void *pool_at(const struct pool *pool, uint32_t slot);

/* How many slots a walk has to look at. */
static inline uint32_t pool_slots(const struct pool *pool)
{
    return pool->fresh;
}

static inline uint32_t pool_used(const struct pool *pool)
{
    return pool->used;
}

static inline uint32_t pool_left(const struct pool *pool)
{
    return pool->count - pool->used;
}
#endif
