/* SPDX-License-Identifier: MIT */
/*
 * arena - the shared memory of one worker: its exchanges, its ready and
 * progress bitmaps, its chunks. Mapped by that worker, by every interpreter
 * and (to read) by the master. Offsets and indexes only, never pointers.
 *
 *   header | exchanges, 4 KiB each | chunks, 16 KiB each
 *
 * The memfd is sparse: only what was used takes memory. Low slots and low
 * chunks are used first.
 *
 * A chunk belongs to the exchange named in owner[chunk] (slot + 1, 0: free).
 * Taking one is one compare-and-swap, so a process that dies cannot leak a
 * chunk: it is freed with its exchange.
 */
#ifndef GCORN_CORE_ARENA_H
#define GCORN_CORE_ARENA_H

#include "base.h"
#include "stats.h"

#define ARENA_SLOT_BYTES 4096
#define ARENA_CHUNK_BYTES 16384
#define ARENA_SLOTS_MAX 16384
#define ARENA_CHUNKS_MAX 32768

struct arena_header {
    uint64_t magic;
    uint64_t bytes;
    uint32_t slots;
    uint32_t chunks;
    uint64_t slots_off;
    uint64_t chunks_off;
    /* W: worker sets, the interpreter that took the request clears */
    cache_aligned _Atomic uint64_t ready[ARENA_SLOTS_MAX / 64];
    /* W: interpreters set, the worker clears */
    cache_aligned _Atomic uint64_t progress[ARENA_SLOTS_MAX / 64];
    /* W: worker sets, the interpreter that runs the exchange clears */
    cache_aligned _Atomic uint64_t attention[ARENA_SLOTS_MAX / 64];
    /* W: worker adds when it frees a chunk somebody waits for (futex) */
    cache_aligned _Atomic uint32_t chunks_freed;
    _Atomic uint32_t chunk_waiters;
    _Atomic uint32_t chunk_hint; /* where to look first; any value is right */
    /* W: worker */
    cache_aligned _Atomic uint32_t slots_used; /* those from here on never */
    struct stats stats;
    cache_aligned _Atomic uint16_t owner[ARENA_CHUNKS_MAX];
};

/* One process's view of an arena. */
struct arena {
    struct arena_header *header;
    char *base;
    char *first_slot;  /* our own copy of what the header says: nobody can */
    char *first_chunk; /* change it after the check */
    uint32_t slots;
    uint32_t chunks;
    uint32_t worker; /* slot on the board */
    int32_t spool_memory_fd;
    int32_t spool_file_fd;
};

/* Bytes of a memfd for this many slots (a multiple of 64) and chunks. */
uint64_t arena_bytes(uint32_t slots, uint32_t chunks);

/* Master: sizes and formats the memfd. Returns 0 or -errno. */
int arena_format(int fd, uint32_t slots, uint32_t chunks);

/* Maps and checks it. Returns 0, -EINVAL for a foreign memory, or -errno. */
int arena_map(struct arena *arena, int fd, uint32_t worker);

/* NULL for a number outside. */
static inline char *arena_chunk(const struct arena *arena, uint32_t chunk)
{
    if (unlikely(chunk >= arena->chunks))
        return NULL;
    return arena->first_chunk + (uint64_t)chunk * ARENA_CHUNK_BYTES;
}

/* Words of the bitmaps that may have bits: slots from slots_used on never do. */
static inline uint32_t arena_words(const struct arena *arena)
{
    uint64_t used = atomic_load(&arena->header->slots_used);

    if (unlikely(used > arena->slots))
        used = arena->slots;
    return used == 0 ? 1 : (uint32_t)(used + 63) / 64;
}

/*
 * Takes a chunk for an exchange slot, preferably the chunk with the slot's own
 * number. Returns its number, or -ENOBUFS.
 */
int32_t arena_chunk_get(struct arena *arena, uint32_t slot);

/*
 * Worker: takes count chunks in a row for a request, never one that bears a
 * slot's number. Returns the first, or -ENOBUFS.
 */
int32_t arena_run_get(struct arena *arena, uint32_t slot, uint32_t count);

/* Gives back one chunk of the slot, one's own (a foreign one is left alone). */
void arena_chunk_put(struct arena *arena, uint32_t slot, uint32_t chunk);

/* Worker: gives back all of a slot's chunks, also those nobody linked. */
void arena_chunk_put_all(struct arena *arena, uint32_t slot);

/* Interpreter: waits until a chunk was freed, at most timeout_ms. */
void arena_chunk_wait(struct arena *arena, uint32_t timeout_ms);

uint32_t arena_chunks_used(const struct arena *arena);
#endif
