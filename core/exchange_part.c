/* SPDX-License-Identifier: MIT */
#include "exchange_part.h"

#include "exchange_worker.h"
#include "futex.h"

static bool part_is_valid(const struct exchange_table *table,
                          const struct exchange *x,
                          const struct exchange_part *part)
{
    const struct arena *arena = &table->arena;

    if (part->kind == EXCHANGE_PART_FILE)
        return part->file_len <= INT64_MAX && part->file_off <= INT64_MAX;
    if (part->kind == EXCHANGE_PART_SPOOL)
        return part->file_off <= EXCHANGE_SPOOL_FILE_BYTES &&
               part->file_len <= EXCHANGE_SPOOL_FILE_BYTES - part->file_off;
    if (part->kind != EXCHANGE_PART_BYTES || part->chunk >= arena->chunks)
        return false;
    return atomic_load_explicit(&arena->header->owner[part->chunk],
                                memory_order_relaxed) ==
               exchange_slot(&table->arena, x) + 1 &&
           part->off <= ARENA_CHUNK_BYTES &&
           part->len <= ARENA_CHUNK_BYTES - part->off;
}

int exchange_part_next(struct exchange_table *table, struct exchange *x,
                       uint32_t ahead, struct exchange_part *ret_part,
                       const char **ret_bytes)
{
    uint32_t head = atomic_load_explicit(&x->out_head, memory_order_relaxed);
    uint32_t tail = atomic_load_explicit(&x->out_tail, memory_order_acquire);

    if (unlikely(tail - head > EXCHANGE_PARTS))
        return -EBADMSG;
    if (ahead >= tail - head)
        return 0;
    /* A copy: the other side cannot change it after the check. */
    *ret_part = x->part[(head + ahead) % EXCHANGE_PARTS];
    if (unlikely(!part_is_valid(table, x, ret_part)))
        return -EBADMSG;
    *ret_bytes = NULL;
    if (ret_part->kind == EXCHANGE_PART_BYTES)
        *ret_bytes = arena_chunk(&table->arena, ret_part->chunk) +
                     ret_part->off;
    return 1;
}

/*
 * The interpreter may go on filling the chunk of the last part, so a chunk is
 * only free when a part in another chunk was sent after it.
 */
static void chunk_passed(struct exchange_table *table, struct exchange *x,
                         const struct exchange_part *part)
{
    if (part->kind != EXCHANGE_PART_BYTES)
        return;
    if (x->sent_chunk != UINT32_MAX && x->sent_chunk != part->chunk)
        arena_chunk_put(&table->arena, exchange_slot(&table->arena, x),
                        x->sent_chunk);
    x->sent_chunk = part->chunk;
}

void exchange_parts_sent(struct exchange_table *table, struct exchange *x,
                         uint32_t count)
{
    uint32_t head = atomic_load_explicit(&x->out_head, memory_order_relaxed);
    uint32_t i;

    for (i = 0; i < count; i++)
        chunk_passed(table, x, &x->part[(head + i) % EXCHANGE_PARTS]);
    atomic_store(&x->out_head, head + count);
    if (unlikely(atomic_load(&x->out_waiting))) {
        futex_wake_all(&x->out_head);
        exchange_attend(table, x);
    }
}

/* What the dead interpreter wrote goes; the request's own chunks stay. */
void exchange_parts_drop(struct exchange_table *table, struct exchange *x)
{
    uint32_t slot = exchange_slot(&table->arena, x);
    uint32_t head = atomic_load(&x->out_head);
    uint32_t count = atomic_load(&x->out_tail) - head;
    uint32_t i;

    for (i = head; i != head + count && count <= EXCHANGE_PARTS; i++) {
        const struct exchange_part *part = &x->part[i % EXCHANGE_PARTS];

        if (part->kind == EXCHANGE_PART_BYTES)
            arena_chunk_put(&table->arena, slot, part->chunk);
    }
    arena_chunk_put(&table->arena, slot, slot);
    atomic_store(&x->out_tail, 0);
    atomic_store(&x->out_head, 0);
    atomic_store(&x->out_waiting, 0);
    x->sent_chunk = UINT32_MAX;
    x->out_flags = x->status = x->connection_off = 0;
    x->out_bytes = 0;
}
