/* SPDX-License-Identifier: MIT */
#include "exchange_offer.h"

#include "board_interp.h"
#include "exchange_worker.h"

/* Since a loop came round: it is not asked while another is not. */
#define LATE_NS (5 * NS_PER_MS)
/* What was not taken for so long is offered again. */
#define PATIENCE_NS (300 * NS_PER_US)
/* A loop with so many in flight is left alone for a moment. */
#define BUSY_REQUESTS 4
/* The own loop may have this part more in flight than another: its caches
 * and its memory node are the worker's. */
#define HOME_SHARE 8

static void add(struct exchange_table *table, uint32_t number, uint64_t now)
{
    struct exchange_offers *offers = &table->offers;
    const struct board_interp *interp = board_interp(table->board, number);

    if (!board_interp_serves(
            atomic_load_explicit(&interp->state, memory_order_relaxed)) ||
        !atomic_load_explicit(&interp->by_doorbell, memory_order_relaxed))
        return;
    offers->known++;
    if (atomic_load_explicit(&interp->full, memory_order_relaxed))
        return;
    offers->loop[offers->count++] = (struct exchange_offer_loop){
        .interp = number,
        .load = atomic_load_explicit(&interp->running, memory_order_relaxed),
        .late = board_loop_late_ns(interp, now) >= LATE_NS,
    };
}

static void add_worker(struct exchange_table *table, uint32_t worker,
                       uint64_t now)
{
    uint32_t i;

    for (i = 0; i < BOARD_INTERPS_PER_WORKER; i++)
        add(table, worker * BOARD_INTERPS_PER_WORKER + i, now);
}

static void look_home(struct exchange_table *table)
{
    struct exchange_offers *offers = &table->offers;

    if (offers->looked)
        return;
    offers->looked = true;
    add_worker(table, table->arena.worker, now_ns());
    offers->home = offers->count;
}

static void look_far(struct exchange_table *table)
{
    struct exchange_offers *offers = &table->offers;
    uint32_t workers = table->board->worker_slots;
    const uint16_t *order;
    uint64_t now;
    uint32_t i;

    if (offers->looked_far)
        return;
    offers->looked_far = true;
    now = now_ns();
    order = board_steal_order(table->board, table->arena.worker);
    for (i = 0; i < workers && i < EXCHANGE_NEAR_WORKERS; i++) {
        if (order[i] >= workers)
            break;
        add_worker(table, order[i], now);
    }
}

/* Those that are late come after all others; of equals, the first. */
static struct exchange_offer_loop *best_of(struct exchange_offers *offers,
                                           uint32_t count)
{
    struct exchange_offer_loop *best = NULL;
    uint32_t i;

    for (i = 0; i < count; i++) {
        struct exchange_offer_loop *loop = &offers->loop[i];

        if (!best || loop->late < best->late ||
            (loop->late == best->late && loop->load < best->load))
            best = loop;
    }
    return best;
}

static struct exchange_offer_loop *choose(struct exchange_table *table)
{
    struct exchange_offers *offers = &table->offers;
    struct exchange_offer_loop *home, *best;

    look_home(table);
    home = best_of(offers, offers->home);
    if (home && home->load == 0 && !home->late)
        return home;
    look_far(table);
    best = best_of(offers, offers->count);
    if (home && best && home->late == best->late &&
        home->load <= best->load + best->load / HOME_SHARE)
        return home;
    return best;
}

static bool has_loops(const struct exchange_table *table)
{
    return atomic_load_explicit(&table->board->loops, memory_order_relaxed);
}

bool exchange_offer_is_busy(const struct exchange_table *table)
{
    uint32_t first = table->arena.worker * BOARD_INTERPS_PER_WORKER;
    uint32_t running = 0;
    uint32_t i;

    if (!has_loops(table))
        return false;
    for (i = 0; i < BOARD_INTERPS_PER_WORKER; i++) {
        const struct board_interp *interp = board_interp(table->board,
                                                         first + i);

        if (board_sleepers(interp) > 0)
            return false;
        if (atomic_load_explicit(&interp->by_doorbell, memory_order_relaxed))
            running += atomic_load_explicit(&interp->running,
                                            memory_order_relaxed);
    }
    return running >= BUSY_REQUESTS;
}

bool exchange_offer(struct exchange_table *table, struct exchange *x)
{
    struct exchange_offer_loop *loop = has_loops(table) ? choose(table) : NULL;

    atomic_store_explicit(&x->offered, loop ? loop->interp + 1 : 0,
                          memory_order_relaxed);
    if (!loop)
        return false;
    loop->load++;
    loop->rung = true;
    return true;
}

/* Those that are full are not woken: they look when they can take more. */
static bool knows_loops(struct exchange_table *table)
{
    look_home(table);
    if (table->offers.known == 0)
        look_far(table);
    return table->offers.known > 0;
}

/* It waits for one that will not take it. */
static bool is_lost_on(const struct exchange_table *table,
                       const struct exchange *x, uint64_t now)
{
    uint32_t to = atomic_load_explicit(&x->offered, memory_order_relaxed);
    const struct board_interp *interp;

    if (now < x->ready_ns + PATIENCE_NS)
        return false;
    if (to == 0 || to > table->board->interp_slots)
        return true;
    interp = board_interp(table->board, to - 1);
    return !board_interp_serves(atomic_load(&interp->state)) ||
           atomic_load(&interp->full) ||
           board_loop_late_ns(interp, now) >= LATE_NS;
}

static void offer_again(struct exchange_table *table, uint64_t now)
{
    const struct arena *arena = &table->arena;
    uint32_t w;

    for (w = 0; w < arena_words(arena); w++) {
        uint64_t bits = atomic_load_explicit(&arena->header->ready[w],
                                             memory_order_relaxed);

        for (; bits; bits &= bits - 1) {
            struct exchange *x =
                exchange_at(arena, w * 64 + (uint32_t)__builtin_ctzll(bits));

            if (is_lost_on(table, x, now))
                exchange_offer(table, x);
        }
    }
}

bool exchange_offer_wake(struct exchange_table *table, uint64_t now)
{
    struct exchange_offers *offers = &table->offers;
    uint32_t i;

    if (!has_loops(table) || (table->waiting > 0 && !knows_loops(table)))
        return false;
    if (table->waiting > 0)
        offer_again(table, now);
    for (i = 0; i < offers->count; i++)
        if (offers->loop[i].rung)
            board_call(board_interp(table->board, offers->loop[i].interp));
    offers->looked = offers->looked_far = false;
    offers->known = offers->home = offers->count = 0;
    return true;
}
