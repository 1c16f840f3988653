/* SPDX-License-Identifier: MIT */
#include "exchange_worker.h"

#include "board.h"
#include "board_interp.h"
#include "board_worker.h"
#include "exchange_body.h"
#include "exchange_part.h"
#include "exchange_spill.h"
#include "exchange_word.h"
#include "futex.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERVICE_WEIGHT 16

static uint32_t slot_of(const struct exchange_table *table,
                        const struct exchange *x)
{
    return exchange_slot(&table->arena, x);
}

static uint64_t word_of(const struct exchange *x)
{
    return atomic_load_explicit(&x->word, memory_order_acquire);
}

static enum exchange_state state_of(const struct exchange *x)
{
    return exchange_word_state(word_of(x));
}

/* Only for states the worker owns. A new use has a new sequence. */
static void word_set(struct exchange *x, enum exchange_state state,
                     uint64_t sequence)
{
    atomic_store_explicit(&x->word, sequence << 24 | state,
                          memory_order_release);
}

static void clear_ready_bit(struct exchange_table *table, uint32_t slot)
{
    _Atomic uint64_t *ready = &table->arena.header->ready[slot / 64];
    uint64_t bit = 1ULL << slot % 64;

    if (atomic_load_explicit(ready, memory_order_relaxed) & bit)
        atomic_fetch_and(ready, ~bit);
}

/*
 * What the worker knows of a slot by itself. The word in shared memory says the
 * same, unless somebody wrote nonsense into it.
 */
enum slot_use {
    SLOT_IDLE,  /* in free_slots */
    SLOT_HELD,  /* the worker's alone */
    SLOT_GIVEN, /* was made ready: an interpreter may have it */
    SLOT_ORPHAN /* the same, and no connection waits for it */
};

static enum slot_use use_of(const struct exchange_table *table,
                            const struct exchange *x)
{
    return (enum slot_use)table->slot_use[slot_of(table, x)];
}

static void use_set(struct exchange_table *table, const struct exchange *x,
                    enum slot_use use)
{
    table->orphans += (use == SLOT_ORPHAN) - (use_of(table, x) == SLOT_ORPHAN);
    table->slot_use[slot_of(table, x)] = (uint8_t)use;
}

static void chunks_drop(struct exchange_table *table, struct exchange *x)
{
    uint32_t slot = slot_of(table, x);

    if (atomic_load_explicit(&x->extra_chunks, memory_order_relaxed) > 0)
        arena_chunk_put_all(&table->arena, slot);
    else
        arena_chunk_put(&table->arena, slot, slot);
}

struct board_interp *exchange_taker(const struct exchange_table *table,
                                    const struct exchange *x)
{
    uint64_t word = word_of(x);
    uint32_t interp = exchange_word_interp(word);

    switch (exchange_word_state(word)) {
    case EXCHANGE_RUNNING:
    case EXCHANGE_RESPONDING:
    case EXCHANGE_DONE:
        return interp < table->board->interp_slots
                   ? board_interp(table->board, interp)
                   : NULL;
    case EXCHANGE_FREE:
    case EXCHANGE_READING:
    case EXCHANGE_READY:
        break;
    }
    return NULL;
}

void exchange_attend(struct exchange_table *table, const struct exchange *x)
{
    struct board_interp *interp = exchange_taker(table, x);
    uint32_t slot = slot_of(table, x);

    if (!interp || exchange_is_done(x) ||
        !atomic_load_explicit(&interp->by_doorbell, memory_order_relaxed))
        return;
    atomic_fetch_or(&table->arena.header->attention[slot / 64],
                    1ULL << slot % 64);
    board_wake_interp(interp);
}

void exchange_free(struct exchange_table *table, struct exchange *x)
{
    uint64_t finished = x->finished_ns;
    uint64_t started = x->started_ns;

    must(use_of(table, x) != SLOT_IDLE); /* else it is freed twice */
    if (finished > started)
        table->service_ns += (finished - started) / SERVICE_WEIGHT -
                             table->service_ns / SERVICE_WEIGHT;
    exchange_body_drop(table, x);
    chunks_drop(table, x);
    use_set(table, x, SLOT_IDLE);
    word_set(x, EXCHANGE_FREE, exchange_word_sequence(word_of(x)) + 1);
    table->free_slots[table->free_count++] = (uint16_t)slot_of(table, x);
}

/* A slot found at start: another process, now dead, was its worker. */
static void slot_adopt(struct exchange_table *table, struct exchange *x)
{
    use_set(table, x, SLOT_GIVEN);
    switch (state_of(x)) {
    case EXCHANGE_FREE:
        use_set(table, x, SLOT_IDLE);
        table->free_slots[table->free_count++] = (uint16_t)slot_of(table, x);
        return;
    case EXCHANGE_READING:
    case EXCHANGE_DONE:
        atomic_store(&x->extra_chunks, 1); /* unknown: look at all */
        exchange_free(table, x);
        return;
    case EXCHANGE_READY:
        if (exchange_take_back(table, x)) {
            atomic_store(&x->extra_chunks, 1);
            exchange_free(table, x);
            return;
        }
        break;
    case EXCHANGE_RUNNING:
    case EXCHANGE_RESPONDING:
        break;
    }
    atomic_fetch_or(&x->flags, EXCHANGE_CANCELLED);
    futex_wake_all(&x->out_head);
    futex_wake_all(&x->body_state);
    exchange_attend(table, x);
    use_set(table, x, SLOT_ORPHAN);
    /* It may have let go before it could see the flag. */
    exchange_settle(table, x);
}

/* A mad interpreter may have written any number. */
static uint32_t slots_used(const struct exchange_table *table)
{
    uint32_t used = atomic_load(&table->arena.header->slots_used);

    return used < table->arena.slots ? used : table->arena.slots;
}

int exchange_table_init(struct exchange_table *table, struct board *board,
                        uint32_t worker_slot)
{
    struct board_worker *worker = board_worker(board, worker_slot);
    uint32_t slot, used;
    int error;

    memset(table, 0, sizeof(*table));
    error = arena_map(&table->arena, worker->arena_fd, worker_slot);
    if (error)
        return error;
    table->board = board;
    table->arena.spool_memory_fd = worker->spool_memory_fd;
    table->arena.spool_file_fd = worker->spool_file_fd;
    table->free_slots = calloc(table->arena.slots, sizeof(uint16_t));
    table->slot_use = calloc(table->arena.slots, sizeof(uint8_t));
    table->body_run = calloc(table->arena.slots, sizeof(uint8_t));
    if (!table->free_slots || !table->slot_use || !table->body_run) {
        exchange_table_done(table);
        return -ENOMEM;
    }
    used = slots_used(table);
    for (slot = table->arena.slots; slot-- > 0;) {
        struct exchange *x = exchange_at(&table->arena, slot);

        if (slot < used) {
            exchange_spill_clear(table, x);
            slot_adopt(table, x);
        } else { /* not even looked at: that would take a page of memory */
            table->free_slots[table->free_count++] = (uint16_t)slot;
        }
    }
    return 0;
}

void exchange_table_done(struct exchange_table *table)
{
    free(table->free_slots);
    free(table->slot_use);
    free(table->body_run);
    table->free_slots = NULL;
    table->slot_use = NULL;
    table->body_run = NULL;
}

/* Event loops run, or hold, many at once; for others a long queue is no use. */
static bool is_full(const struct exchange_table *table)
{
    if (table->free_count == 0)
        return true;
    return table->arena.slots - table->free_count >= EXCHANGE_QUEUE_MAX &&
           !atomic_load_explicit(&table->board->streams, memory_order_relaxed);
}

struct exchange *exchange_new(struct exchange_table *table)
{
    _Atomic uint32_t *used = &table->arena.header->slots_used;
    struct exchange *x;
    uint32_t slot;

    if (is_full(table))
        return NULL;
    slot = table->free_slots[--table->free_count];
    x = exchange_at(&table->arena, slot);
    use_set(table, x, SLOT_HELD);
    if (unlikely(slot >= atomic_load_explicit(used, memory_order_relaxed)))
        atomic_store(used, slot + 1);
    memset(&x->request, 0, sizeof(x->request));
    atomic_store_explicit(&x->flags, 0, memory_order_relaxed);
    atomic_store_explicit(&x->body_state, EXCHANGE_BODY_COMPLETE,
                          memory_order_relaxed);
    atomic_store_explicit(&x->extra_chunks, 0, memory_order_relaxed);
    atomic_store_explicit(&x->out_tail, 0, memory_order_relaxed);
    atomic_store_explicit(&x->out_head, 0, memory_order_relaxed);
    atomic_store_explicit(&x->out_waiting, 0, memory_order_relaxed);
    atomic_store_explicit(&x->in_tail, 0, memory_order_relaxed);
    atomic_store_explicit(&x->in_head, 0, memory_order_relaxed);
    atomic_store_explicit(&x->in_full, 0, memory_order_relaxed);
    atomic_store_explicit(&x->in_taken, 0, memory_order_relaxed);
    x->attempts = 0;
    x->arrived_ns = x->ready_ns = x->started_ns = x->finished_ns = 0;
    x->head_chunk = x->fields_chunk = x->sent_chunk = UINT32_MAX;
    x->body_kind = EXCHANGE_BODY_NONE;
    x->body_bytes = x->out_bytes = x->cpu_ns = 0;
    x->out_flags = x->status = x->connection_off = x->out_spooled = 0;
    word_set(x, EXCHANGE_READING, exchange_word_sequence(word_of(x)));
    return x;
}

char *exchange_head_room(struct exchange_table *table, struct exchange *x,
                         size_t len)
{
    int32_t run;

    if (likely(len <= sizeof(x->inline_bytes))) {
        x->head_chunk = UINT32_MAX;
        return x->inline_bytes;
    }
    run = exchange_run_get(table, x, len);
    if (run < 0)
        return NULL;
    x->head_chunk = (uint32_t)run;
    return arena_chunk(&table->arena, (uint32_t)run);
}

struct http_field *exchange_fields_room(struct exchange_table *table,
                                        struct exchange *x, uint32_t count)
{
    int32_t run;

    if (likely(count <= EXCHANGE_FIELDS)) {
        x->fields_chunk = UINT32_MAX;
        return x->fields;
    }
    run = exchange_run_get(table, x,
                           (uint64_t)count * sizeof(struct http_field));
    if (run < 0)
        return NULL;
    x->fields_chunk = (uint32_t)run;
    return (struct http_field *)(void *)arena_chunk(&table->arena,
                                                    (uint32_t)run);
}

void exchange_ready(struct exchange_table *table, struct exchange *x)
{
    uint64_t sequence = exchange_word_sequence(word_of(x));
    uint32_t slot = slot_of(table, x);

    use_set(table, x, SLOT_GIVEN);
    table->made_ready += !exchange_offer(table, x);
    word_set(x, EXCHANGE_READY, sequence);
    atomic_fetch_or(&table->arena.header->ready[slot / 64], 1ULL << slot % 64);
}

void exchange_body_done(struct exchange_table *table, struct exchange *x,
                        enum exchange_body_state state)
{
    atomic_store(&x->body_state, state);
    futex_wake_all(&x->body_state);
    exchange_attend(table, x);
}

bool exchange_take_back(struct exchange_table *table, struct exchange *x)
{
    uint64_t word = word_of(x);

    if (exchange_word_state(word) != EXCHANGE_READY ||
        !atomic_compare_exchange_strong(
            &x->word, &word, (word & ~0xffffffULL) | EXCHANGE_READING))
        return false;
    clear_ready_bit(table, slot_of(table, x));
    use_set(table, x, SLOT_HELD);
    return true;
}

bool exchange_is_done(const struct exchange *x)
{
    return state_of(x) == EXCHANGE_DONE;
}

bool exchange_is_over(struct exchange *x)
{
    return state_of(x) == EXCHANGE_DONE &&
           atomic_load_explicit(&x->out_head, memory_order_relaxed) ==
               atomic_load_explicit(&x->out_tail, memory_order_acquire);
}

bool exchange_settle(struct exchange_table *table, struct exchange *x)
{
    if (use_of(table, x) != SLOT_ORPHAN || state_of(x) != EXCHANGE_DONE)
        return false;
    exchange_free(table, x);
    return true;
}

void exchange_cancel(struct exchange_table *table, struct exchange *x,
                     uint32_t flags)
{
    atomic_fetch_or(&x->flags, flags | EXCHANGE_CANCELLED);
    if (use_of(table, x) == SLOT_HELD || exchange_take_back(table, x)) {
        exchange_free(table, x);
        return;
    }
    use_set(table, x, SLOT_ORPHAN);
    if (exchange_settle(table, x))
        return;
    futex_wake_all(&x->out_head);
    futex_wake_all(&x->body_state);
    exchange_attend(table, x);
}

bool exchange_retry(struct exchange_table *table, struct exchange *x)
{
    if (x->attempts > 0 || atomic_load(&x->out_head) > 0 ||
        x->body_kind == EXCHANGE_BODY_STREAM ||
        atomic_load(&x->body_state) != EXCHANGE_BODY_COMPLETE)
        return false;
    x->attempts++;
    exchange_parts_drop(table, x);
    exchange_ready(table, x);
    return true;
}

void exchange_bury(struct exchange_table *table, struct exchange *x)
{
    exchange_free(table, x);
}

static bool is_lost(const struct exchange_table *table,
                    const struct exchange *x)
{
    const struct board *board = table->board;
    uint64_t word = word_of(x);
    uint32_t interp = exchange_word_interp(word);

    if (use_of(table, x) != SLOT_GIVEN && use_of(table, x) != SLOT_ORPHAN)
        return false;
    switch (exchange_word_state(word)) {
    case EXCHANGE_RUNNING:
    case EXCHANGE_RESPONDING:
        return interp >= board->interp_slots ||
               atomic_load(&board_interp(board, interp)->state) ==
                   BOARD_INTERP_DEAD;
    case EXCHANGE_READY:
    case EXCHANGE_DONE:
        return false;
    case EXCHANGE_FREE:
    case EXCHANGE_READING:
        break;
    }
    return true; /* nonsense, written by one that may be the dead one */
}

void exchange_sweep(struct exchange_table *table, exchange_lost_fn *on_lost,
                    void *context)
{
    struct board *board = table->board;
    uint64_t epoch = atomic_load(&board->death_epoch);
    uint32_t used = slots_used(table);
    uint32_t slot;

    for (slot = 0; slot < used; slot++) {
        struct exchange *x = exchange_at(&table->arena, slot);

        if (!is_lost(table, x))
            continue;
        atomic_store(&x->extra_chunks, 1); /* it may not have counted */
        clear_ready_bit(table, slot);
        on_lost(context, x);
    }
    atomic_store(&board_worker(board, table->arena.worker)->swept_epoch, epoch);
}
