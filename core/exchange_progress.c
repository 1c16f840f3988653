/* SPDX-License-Identifier: MIT */
#include "exchange_progress.h"

#include "exchange_worker.h"

bool exchange_has_progress(const struct exchange_table *table)
{
    const struct arena *arena = &table->arena;
    uint32_t words = arena_words(arena);
    uint32_t w;

    if (table->progress_bits)
        return true;
    for (w = 0; w < words; w++)
        if (atomic_load(&arena->header->progress[w]))
            return true;
    return false;
}

static bool progress_refill(struct exchange_table *table)
{
    const struct arena *arena = &table->arena;
    uint32_t words = arena_words(arena);
    uint32_t i;

    for (i = 1; i <= words; i++) {
        uint32_t w = (table->progress_word + i) % words;

        if (!atomic_load_explicit(&arena->header->progress[w],
                                  memory_order_relaxed))
            continue;
        table->progress_word = w;
        table->progress_bits = atomic_exchange(&arena->header->progress[w], 0);
        return true;
    }
    return false;
}

bool exchange_progress(struct exchange_table *table, uint32_t *ret_slot)
{
    if (!table->progress_bits && !progress_refill(table))
        return false;
    *ret_slot = table->progress_word * 64 +
                (uint32_t)__builtin_ctzll(table->progress_bits);
    table->progress_bits &= table->progress_bits - 1;
    return true;
}

void exchange_again(struct exchange_table *table, const struct exchange *x)
{
    uint32_t slot = exchange_slot(&table->arena, x);

    atomic_fetch_or(&table->arena.header->progress[slot / 64],
                    1ULL << slot % 64);
}
