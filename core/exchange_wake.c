/* SPDX-License-Identifier: MIT */
#include "exchange_wake.h"

#include "board.h"
#include "board_interp.h"
#include "exchange_worker.h"

/* A request that waited this long may go to another worker's interpreter. */
#define PATIENCE_NS (200 * NS_PER_US)
#define RECHECK_SOON_NS (300 * NS_PER_US)
#define RECHECK_LATER_NS NS_PER_MS
/* Streaming: at least so many wait, and take no longer than this each. */
#define STREAM_WAITING 4
#define STREAM_SERVICE_NS NS_PER_MS
/* The worker rests at most so long, with idle interpreters near or without. */
#define REST_SHORT_NS (300 * NS_PER_US)
#define REST_LONG_NS (2 * NS_PER_MS)
/* The same when an event loop works, which takes all requests at once. */
#define REST_LOOP_NS (500 * NS_PER_US)

static uint32_t count_waiting(const struct exchange_table *table)
{
    const struct arena *arena = &table->arena;
    uint32_t count = 0;
    uint32_t w;

    for (w = 0; w < arena_words(arena); w++)
        count += (uint32_t)__builtin_popcountll(atomic_load_explicit(
            &arena->header->ready[w], memory_order_relaxed));
    return count;
}

/* How many of at most `most` sleeping threads of a worker's were woken. */
static uint32_t wake_home(struct exchange_table *table, uint32_t worker,
                          uint32_t most)
{
    uint32_t woken = 0;
    uint32_t asleep, i;

    for (i = 0; i < BOARD_INTERPS_PER_WORKER; i++) {
        struct board_interp *interp =
            board_interp(table->board, worker * BOARD_INTERPS_PER_WORKER + i);

        if (!board_interp_serves(
                atomic_load_explicit(&interp->state, memory_order_relaxed)))
            continue;
        /*
         * Those asleep now, counted once: a thread may run at once on this
         * very CPU, serve everything and sleep again before we look again.
         */
        asleep = board_sleepers(interp);
        for (; asleep > 0 && woken < most; asleep--)
            woken += board_wake_interp(interp);
    }
    return woken;
}

/* The own interpreters have been in one request for longer than patience. */
static bool home_is_slow(const struct exchange_table *table, uint64_t now)
{
    uint32_t first = table->arena.worker * BOARD_INTERPS_PER_WORKER;
    uint32_t i;

    for (i = 0; i < BOARD_INTERPS_PER_WORKER; i++) {
        struct board_interp *interp = board_interp(table->board, first + i);
        uint64_t since = atomic_load_explicit(&interp->busy_since_ns,
                                              memory_order_relaxed);

        if (board_interp_serves(
                atomic_load_explicit(&interp->state, memory_order_relaxed)) &&
            (since == 0 || now < since + PATIENCE_NS))
            return false;
    }
    return true;
}

/* Requests that have waited longer than patience. */
static uint32_t count_old(const struct exchange_table *table, uint64_t now)
{
    const struct arena *arena = &table->arena;
    uint32_t count = 0;
    uint32_t w;

    for (w = 0; w < arena_words(arena); w++) {
        uint64_t bits = atomic_load_explicit(&arena->header->ready[w],
                                             memory_order_relaxed);

        for (; bits; bits &= bits - 1) {
            uint32_t slot = w * 64 + (uint32_t)__builtin_ctzll(bits);

            count += exchange_at(arena, slot)->ready_ns + PATIENCE_NS <= now;
        }
    }
    return count;
}

static void wake_others(struct exchange_table *table, uint32_t most,
                        uint64_t now)
{
    const uint16_t *order = board_steal_order(table->board,
                                              table->arena.worker);
    uint32_t woken = 0;
    uint32_t i;

    for (i = 0; i < table->board->worker_slots && woken < most; i++) {
        if (order[i] >= table->board->worker_slots)
            break;
        woken += wake_home(table, order[i], most - woken);
    }
    if (woken) {
        table->foreign_ns = now;
        stats_add(&table->arena.header->stats.stolen, woken);
    }
}

bool exchange_wake(struct exchange_table *table, uint64_t now,
                   uint64_t *ret_recheck_ns)
{
    uint32_t waiting = count_waiting(table);
    uint32_t left;

    table->waiting = waiting;
    if (exchange_offer_wake(table, now)) {
        table->made_ready = 0;
        *ret_recheck_ns = RECHECK_LATER_NS;
        return waiting > 0;
    }
    left = waiting -
           wake_home(table, table->arena.worker,
                     table->made_ready < waiting ? table->made_ready : waiting);
    table->made_ready = 0;
    *ret_recheck_ns = left ? RECHECK_SOON_NS : RECHECK_LATER_NS;
    /* One wake of others in a while: those woken are on their way. */
    if (left && now >= table->foreign_ns + PATIENCE_NS)
        wake_others(table,
                    home_is_slow(table, now) ? left : count_old(table, now),
                    now);
    return waiting > 0;
}

static bool worker_idles(const struct exchange_table *table, uint32_t worker)
{
    uint32_t first = worker * BOARD_INTERPS_PER_WORKER;
    uint32_t i;

    for (i = 0; i < BOARD_INTERPS_PER_WORKER; i++)
        if (board_sleepers(board_interp(table->board, first + i)) > 0)
            return true;
    return false;
}

bool exchange_home_idles(const struct exchange_table *table)
{
    return worker_idles(table, table->arena.worker);
}

static bool somebody_near_idles(const struct exchange_table *table)
{
    const uint16_t *order = board_steal_order(table->board,
                                              table->arena.worker);
    uint32_t count = table->board->worker_slots;
    uint32_t i;

    for (i = 0; i < count && i < EXCHANGE_NEAR_WORKERS && order[i] < count; i++)
        if (worker_idles(table, order[i]))
            return true;
    return false;
}

/*
 * The time that half of the queue takes: what is done by then has not waited
 * longer for us than for its turn, and the interpreter has the CPU and its
 * caches for itself meanwhile. Shorter when somebody could be woken to help.
 */
uint64_t exchange_rest_ns(const struct exchange_table *table)
{
    uint64_t rest = table->waiting * table->service_ns / 2;

    if (exchange_offer_is_busy(table))
        return somebody_near_idles(table) ? REST_SHORT_NS : REST_LOOP_NS;
    if (table->waiting < STREAM_WAITING ||
        table->service_ns > STREAM_SERVICE_NS)
        return 0;
    if (rest > REST_SHORT_NS && somebody_near_idles(table))
        return REST_SHORT_NS;
    return min_u64(rest, REST_LONG_NS);
}
