/* SPDX-License-Identifier: MIT */
#include "exchange_stream.h"

#include "exchange_worker.h"

#include <string.h>

#define NO_CHUNK UINT32_MAX

static void chunk_set(struct exchange_stream *stream, uint64_t block,
                      uint32_t chunk)
{
    stream->chunk[block % EXCHANGE_STREAM_CHUNKS] = chunk;
    stream->x->in_chunk[block % EXCHANGE_STREAM_CHUNKS] = chunk;
}

void exchange_stream_begin(struct exchange_stream *stream,
                           struct exchange_table *table, struct exchange *x)
{
    uint64_t i;

    *stream = (struct exchange_stream){.table = table, .x = x};
    for (i = 0; i < EXCHANGE_STREAM_CHUNKS; i++)
        chunk_set(stream, i, NO_CHUNK);
    x->body_kind = EXCHANGE_BODY_STREAM;
    atomic_store(&x->body_state, EXCHANGE_BODY_STREAMING);
}

static void block_free(struct exchange_stream *stream, uint64_t block)
{
    struct arena *arena = &stream->table->arena;
    uint32_t chunk = stream->chunk[block % EXCHANGE_STREAM_CHUNKS];

    if (chunk != NO_CHUNK)
        arena_chunk_put(arena, exchange_slot(arena, stream->x), chunk);
    chunk_set(stream, block, NO_CHUNK);
}

/* What the interpreter says it has read, never more than was written. */
static uint64_t head_of(const struct exchange_stream *stream)
{
    return min_u64(atomic_load(&stream->x->in_head), stream->tail);
}

void exchange_stream_trim(struct exchange_stream *stream)
{
    uint64_t head = head_of(stream);

    for (; stream->freed < head / ARENA_CHUNK_BYTES; stream->freed++)
        block_free(stream, stream->freed);
    if (head == stream->tail)
        block_free(stream, stream->tail / ARENA_CHUNK_BYTES);
}

static bool block_take(struct exchange_stream *stream, uint64_t block)
{
    struct arena *arena = &stream->table->arena;
    uint32_t slot = exchange_slot(arena, stream->x);
    int32_t chunk;

    if (stream->chunk[block % EXCHANGE_STREAM_CHUNKS] != NO_CHUNK)
        return true;
    chunk = arena_chunk_get(arena, slot);
    if (chunk < 0)
        return false;
    if ((uint32_t)chunk != slot)
        atomic_fetch_add_explicit(&stream->x->extra_chunks, 1,
                                  memory_order_relaxed);
    chunk_set(stream, block, (uint32_t)chunk);
    return true;
}

/* No block may take the place of one that still has bytes to be read. */
static size_t room_now(struct exchange_stream *stream, char **ret_to)
{
    uint64_t block = stream->tail / ARENA_CHUNK_BYTES;
    size_t in = stream->tail % ARENA_CHUNK_BYTES;

    exchange_stream_trim(stream);
    if (block - stream->freed >= EXCHANGE_STREAM_CHUNKS ||
        !block_take(stream, block))
        return 0;
    *ret_to = arena_chunk(&stream->table->arena,
                          stream->chunk[block % EXCHANGE_STREAM_CHUNKS]) +
              in;
    return ARENA_CHUNK_BYTES - in;
}

size_t exchange_stream_room(struct exchange_stream *stream, char **ret_to)
{
    size_t room = room_now(stream, ret_to);

    if (likely(room > 0))
        return room;
    /* The reader may have made room before it could see that we wait. */
    atomic_store(&stream->x->in_full, 1);
    room = room_now(stream, ret_to);
    if (room > 0)
        atomic_store(&stream->x->in_full, 0);
    return room;
}

uint64_t exchange_stream_forget(struct exchange_stream *stream)
{
    uint64_t head = head_of(stream);

    atomic_store(&stream->x->in_head, stream->tail);
    exchange_stream_trim(stream);
    return stream->tail - head;
}

static size_t space_now(const struct exchange_stream *stream)
{
    uint64_t used = stream->tail - head_of(stream);
    uint64_t most = EXCHANGE_STREAM_BYTES - ARENA_CHUNK_BYTES;

    return used < most ? most - used : 0;
}

size_t exchange_stream_space(struct exchange_stream *stream, size_t least)
{
    if (likely(space_now(stream) >= least))
        return space_now(stream);
    /* As in exchange_stream_room(). */
    atomic_store(&stream->x->in_full, 1);
    if (space_now(stream) < least)
        return 0;
    atomic_store(&stream->x->in_full, 0);
    return space_now(stream);
}

bool exchange_stream_hold(struct exchange_stream *stream,
                          const _Atomic uint32_t *taken, uint32_t most)
{
    if ((int32_t)(atomic_load(taken) - most) > 0)
        return false;
    /* As in exchange_stream_room(). */
    atomic_store(&stream->x->in_full, 1);
    if ((int32_t)(atomic_load(taken) - most) <= 0)
        return true;
    atomic_store(&stream->x->in_full, 0);
    return false;
}

void exchange_stream_wrote(struct exchange_stream *stream, size_t n)
{
    must(n <= ARENA_CHUNK_BYTES - stream->tail % ARENA_CHUNK_BYTES);
    stream->tail += n;
    atomic_store(&stream->x->in_tail, stream->tail);
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
