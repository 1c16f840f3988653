/* SPDX-License-Identifier: MIT */
#include "arena.h"

#include "exchange.h"
#include "futex.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARENA_MAGIC 0x616e657261636e67ULL /* "gncarena" */
#define PAGE_BYTES 4096

/* The owner table is as long as the arena has chunks, so it ends the header. */
static uint64_t header_bytes(uint32_t chunks)
{
    uint64_t bytes = offsetof(struct arena_header, owner) +
                     (uint64_t)chunks * sizeof(uint16_t);

    return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

uint64_t arena_bytes(uint32_t slots, uint32_t chunks)
{
    return header_bytes(chunks) + (uint64_t)slots * ARENA_SLOT_BYTES +
           (uint64_t)chunks * ARENA_CHUNK_BYTES;
}

static bool shape_is_valid(uint32_t slots, uint32_t chunks)
{
    return slots >= 64 && slots % 64 == 0 && slots <= ARENA_SLOTS_MAX &&
           chunks >= slots && chunks <= ARENA_CHUNKS_MAX;
}

int arena_format(int fd, uint32_t slots, uint32_t chunks)
{
    struct arena_header *header;
    uint64_t bytes = arena_bytes(slots, chunks);
    size_t mapped = header_bytes(chunks);

    must(shape_is_valid(slots, chunks));
    if (ftruncate(fd, (off_t)bytes) < 0)
        return -errno;
    header = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (header == MAP_FAILED)
        return -errno;
    header->magic = ARENA_MAGIC;
    header->bytes = bytes;
    header->slots = slots;
    header->chunks = chunks;
    header->slots_off = mapped;
    header->chunks_off = mapped + (uint64_t)slots * ARENA_SLOT_BYTES;
    munmap(header, mapped);
    return 0;
}

/* What is checked is a copy: the memory belongs to others, too. */
static bool shape_read(struct arena *arena, uint64_t bytes)
{
    const struct arena_header *header = arena->header;
    uint64_t slots_off, chunks_off;

    arena->slots = header->slots;
    arena->chunks = header->chunks;
    if (header->magic != ARENA_MAGIC || header->bytes != bytes ||
        !shape_is_valid(arena->slots, arena->chunks))
        return false;
    slots_off = header_bytes(arena->chunks);
    chunks_off = slots_off + (uint64_t)arena->slots * ARENA_SLOT_BYTES;
    arena->first_slot = arena->base + slots_off;
    arena->first_chunk = arena->base + chunks_off;
    return bytes == arena_bytes(arena->slots, arena->chunks) &&
           header->slots_off == slots_off && header->chunks_off == chunks_off;
}

int arena_map(struct arena *arena, int fd, uint32_t worker)
{
    struct stat st;
    void *base;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size < (off_t)sizeof(struct arena_header))
        return -EINVAL;
    base = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED,
                fd, 0);
    if (base == MAP_FAILED)
        return -errno;
    *arena = (struct arena){
        .header = base,
        .base = base,
        .worker = worker,
        .spool_memory_fd = -1,
        .spool_file_fd = -1,
    };
    if (!shape_read(arena, (uint64_t)st.st_size)) {
        munmap(base, (size_t)st.st_size);
        return -EINVAL;
    }
    /* Advice: shared memory gets them where shmem_enabled says "advise". */
    madvise(base, (size_t)st.st_size, MADV_HUGEPAGE);
    return 0;
}

static bool chunk_take(struct arena *arena, uint32_t chunk, uint32_t slot)
{
    _Atomic uint16_t *owner = &arena->header->owner[chunk];
    uint16_t nobody = 0;

    /* Searches pass by many that are taken: only look at those. */
    if (atomic_load_explicit(owner, memory_order_relaxed) != nobody)
        return false;
    return atomic_compare_exchange_strong_explicit(
        owner, &nobody, (uint16_t)(slot + 1), memory_order_acquire,
        memory_order_relaxed);
}

int32_t arena_chunk_get(struct arena *arena, uint32_t slot)
{
    uint32_t spare = arena->chunks - arena->slots;
    uint32_t hint, i;

    /* A slot's first chunk is its own by number: no search, no contention. */
    if (likely(chunk_take(arena, slot, slot)))
        return (int32_t)slot;
    if (spare == 0)
        return -ENOBUFS;
    hint = atomic_load_explicit(&arena->header->chunk_hint,
                                memory_order_relaxed) %
           spare;
    for (i = 0; i < spare; i++) {
        uint32_t chunk = arena->slots + (hint + i) % spare;

        if (chunk_take(arena, chunk, slot)) {
            atomic_store_explicit(&arena->header->chunk_hint,
                                  chunk - arena->slots + 1,
                                  memory_order_relaxed);
            return (int32_t)chunk;
        }
    }
    return -ENOBUFS;
}

static void chunk_release(struct arena *arena, uint32_t chunk)
{
    atomic_store_explicit(&arena->header->owner[chunk], 0,
                          memory_order_release);
}

int32_t arena_run_get(struct arena *arena, uint32_t slot, uint32_t count)
{
    uint32_t chunk = arena->slots;

    while (count <= arena->chunks && chunk <= arena->chunks - count) {
        uint32_t got = 0;

        while (got < count && chunk_take(arena, chunk + got, slot))
            got++;
        if (got == count)
            return (int32_t)chunk;
        chunk += got + 1; /* the first one that was not ours to take */
        while (got > 0)
            chunk_release(arena, chunk - 1 - got--);
    }
    return -ENOBUFS;
}

static void wake_chunk_waiters(struct arena_header *header)
{
    atomic_fetch_add(&header->chunks_freed, 1);
    futex_wake_all(&header->chunks_freed);
}

/*
 * The search begins no higher than here: low chunks are used again before
 * others are touched for the first time. When two do this at once a chunk may
 * be passed over until the search comes round: no harm.
 */
static void hint_lower(struct arena_header *header, uint32_t spare)
{
    if (spare < atomic_load_explicit(&header->chunk_hint, memory_order_relaxed))
        atomic_store_explicit(&header->chunk_hint, spare, memory_order_relaxed);
}

void arena_chunk_put(struct arena *arena, uint32_t slot, uint32_t chunk)
{
    struct arena_header *header = arena->header;

    if (chunk >= arena->chunks ||
        atomic_load_explicit(&header->owner[chunk], memory_order_relaxed) !=
            slot + 1)
        return;
    chunk_release(arena, chunk);
    if (chunk >= arena->slots)
        hint_lower(header, chunk - arena->slots);
    if (unlikely(
            atomic_load_explicit(&header->chunk_waiters, memory_order_relaxed)))
        wake_chunk_waiters(header);
}

/* Whether one of the four owners from this chunk on may be the one. */
static bool four_have(const struct arena *arena, uint32_t chunk, uint16_t owner)
{
    static const uint64_t ones = 0x0001000100010001;
    const _Atomic uint64_t *four =
        (const _Atomic uint64_t *)(uintptr_t)&arena->header->owner[chunk];
    uint64_t differ = atomic_load_explicit(four, memory_order_relaxed) ^
                      ones * owner;

    return (differ - ones) & ~differ & ones << 15;
}

void arena_chunk_put_all(struct arena *arena, uint32_t slot)
{
    uint32_t chunk;

    arena_chunk_put(arena, slot, slot);
    for (chunk = arena->slots; chunk < arena->chunks; chunk += 4) {
        if (likely(!four_have(arena, chunk, (uint16_t)(slot + 1))))
            continue;
        for (uint32_t i = 0; i < 4; i++)
            arena_chunk_put(arena, slot, chunk + i);
    }
}

void arena_chunk_wait(struct arena *arena, uint32_t timeout_ms)
{
    struct arena_header *header = arena->header;
    uint32_t seen = atomic_load(&header->chunks_freed);

    /* A chunk freed between the failed search and here is only noticed after
     * the limit; the caller keeps it short. */
    atomic_fetch_add(&header->chunk_waiters, 1);
    futex_wait(&header->chunks_freed, seen, timeout_ms * NS_PER_MS);
    atomic_fetch_sub(&header->chunk_waiters, 1);
}

uint32_t arena_chunks_used(const struct arena *arena)
{
    uint32_t used = 0;
    uint32_t i;

    for (i = 0; i < arena->chunks; i++)
        used += atomic_load_explicit(&arena->header->owner[i],
                                     memory_order_relaxed) != 0;
    return used;
}
