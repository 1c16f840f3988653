/* SPDX-License-Identifier: MIT */
#include "exchange_stream.h"

#include "exchange_worker.h"

#include <string.h>

#define NO_CHUNK UINT32_MAX

static uint32_t *chunk_of(struct exchange *x, uint64_t block)
{
    return &x->in_chunk[block % EXCHANGE_STREAM_CHUNKS];
}

void exchange_stream_begin(struct exchange *x)
{
    uint32_t i;

    for (i = 0; i < EXCHANGE_STREAM_CHUNKS; i++)
        x->in_chunk[i] = NO_CHUNK;
    x->in_freed = 0;
    x->body_kind = EXCHANGE_BODY_STREAM;
    atomic_store(&x->body_state, EXCHANGE_BODY_STREAMING);
}

static void block_free(struct exchange_table *table, struct exchange *x,
                       uint64_t block)
{
    uint32_t *chunk = chunk_of(x, block);

    if (*chunk != NO_CHUNK)
        arena_chunk_put(&table->arena, x->slot, *chunk);
    *chunk = NO_CHUNK;
}

/* What the interpreter says it has read, never more than was written. */
static uint64_t head_of(const struct exchange *x)
{
    uint64_t tail = atomic_load_explicit(&x->in_tail, memory_order_relaxed);

    return min_u64(atomic_load(&x->in_head), tail);
}

void exchange_stream_trim(struct exchange_table *table, struct exchange *x)
{
    uint64_t tail = atomic_load_explicit(&x->in_tail, memory_order_relaxed);
    uint64_t head = head_of(x);

    for (; x->in_freed < head / ARENA_CHUNK_BYTES; x->in_freed++)
        block_free(table, x, x->in_freed);
    if (head == tail)
        block_free(table, x, tail / ARENA_CHUNK_BYTES);
}

static bool block_take(struct exchange_table *table, struct exchange *x,
                       uint64_t block)
{
    int32_t chunk;

    if (*chunk_of(x, block) != NO_CHUNK)
        return true;
    chunk = arena_chunk_get(&table->arena, x->slot);
    if (chunk < 0)
        return false;
    if ((uint32_t)chunk != x->slot)
        atomic_fetch_add_explicit(&x->extra_chunks, 1, memory_order_relaxed);
    *chunk_of(x, block) = (uint32_t)chunk;
    return true;
}

/* No block may take the place of one that still has bytes to be read. */
static size_t room_now(struct exchange_table *table, struct exchange *x,
                       char **ret_to)
{
    uint64_t tail = atomic_load_explicit(&x->in_tail, memory_order_relaxed);
    uint64_t block = tail / ARENA_CHUNK_BYTES;
    size_t in = tail % ARENA_CHUNK_BYTES;

    exchange_stream_trim(table, x);
    if (block - x->in_freed >= EXCHANGE_STREAM_CHUNKS ||
        !block_take(table, x, block))
        return 0;
    *ret_to = arena_chunk(&table->arena, *chunk_of(x, block)) + in;
    return ARENA_CHUNK_BYTES - in;
}

size_t exchange_stream_room(struct exchange_table *table, struct exchange *x,
                            char **ret_to)
{
    size_t room = room_now(table, x, ret_to);

    if (likely(room > 0))
        return room;
    /* The reader may have made room before it could see that we wait. */
    atomic_store(&x->in_full, 1);
    room = room_now(table, x, ret_to);
    if (room > 0)
        atomic_store(&x->in_full, 0);
    return room;
}

void exchange_stream_wrote(struct exchange *x, size_t n)
{
    uint64_t tail = atomic_load_explicit(&x->in_tail, memory_order_relaxed);

    must(n <= ARENA_CHUNK_BYTES - tail % ARENA_CHUNK_BYTES);
    atomic_store(&x->in_tail, tail + n);
}

size_t exchange_stream_left(const struct exchange *x)
{
    uint64_t left = atomic_load_explicit(&x->in_tail, memory_order_acquire) -
                    atomic_load_explicit(&x->in_head, memory_order_relaxed);

    return left <= EXCHANGE_STREAM_BYTES ? left : 0;
}

bool exchange_stream_peek(const struct arena *arena, const struct exchange *x,
                          size_t skip, void *to, size_t n)
{
    uint64_t pos = skip +
                   atomic_load_explicit(&x->in_head, memory_order_relaxed);
    char *out = to;

    while (n > 0) {
        uint64_t block = pos / ARENA_CHUNK_BYTES;
        size_t in = pos % ARENA_CHUNK_BYTES;
        size_t run = min_u64(n, ARENA_CHUNK_BYTES - in);
        const char *chunk =
            arena_chunk(arena, x->in_chunk[block % EXCHANGE_STREAM_CHUNKS]);

        if (!chunk)
            return false;
        memcpy(out, chunk + in, run);
        out += run;
        pos += run;
        n -= run;
    }
    return true;
}

bool exchange_stream_drop(struct exchange *x, size_t n)
{
    atomic_fetch_add(&x->in_head, n);
    return atomic_load(&x->in_full) && atomic_exchange(&x->in_full, 0);
}
