/* SPDX-License-Identifier: MIT */
#include "exchange_take.h"

#include "board.h"
#include "board_interp.h"
#include "board_worker.h"
#include "exchange_word.h"
#include "exchange_writer.h"

#include <stdlib.h>

/* What was offered to another event loop may be taken when it has waited this
 * long, and that loop has not come round for so long; or this long. */
#define POLITE_NS ((int64_t)(200 * NS_PER_US))
#define LATE_NS NS_PER_MS
#define PATIENT_NS (10 * NS_PER_MS)

int exchange_site_init(struct exchange_site *site, struct board *board)
{
    uint32_t i;
    int error = 0;

    site->board = board;
    site->arenas = calloc(board->worker_slots, sizeof(*site->arenas));
    if (!site->arenas)
        return -ENOMEM;
    for (i = 0; i < board->worker_slots && !error; i++) {
        struct board_worker *worker = board_worker(board, i);

        error = arena_map(&site->arenas[i], worker->arena_fd, i);
        site->arenas[i].spool_memory_fd = worker->spool_memory_fd;
        site->arenas[i].spool_file_fd = worker->spool_file_fd;
    }
    if (error)
        free(site->arenas);
    return error;
}

void exchange_site_done(struct exchange_site *site)
{
    free(site->arenas);
    site->arenas = NULL;
}

void exchange_thread_init(struct exchange_thread *thread,
                          struct exchange_site *site, uint32_t interp)
{
    *thread = (struct exchange_thread){
        .site = site,
        .self = board_interp(site->board, interp),
        .interp = interp,
        .home = board_home(interp),
        .bed = board_bed(board_interp(site->board, interp)),
    };
}

/*
 * It was offered to another event loop, which comes round. One that sleeps was
 * woken, unless whoever was about to wake it died.
 */
static bool is_others(const struct exchange_thread *thread,
                      const struct exchange *x)
{
    const struct board *board = thread->site->board;
    uint32_t to = atomic_load_explicit(&x->offered, memory_order_relaxed);
    const struct board_interp *other;
    uint64_t waited;

    if (to == 0 || to == thread->interp + 1 || to > board->interp_slots)
        return false;
    waited = now_ns() - x->ready_ns;
    if ((int64_t)waited < POLITE_NS || waited >= PATIENT_NS)
        return (int64_t)waited < POLITE_NS;
    other = board_interp(board, to - 1);
    return board_interp_serves(atomic_load(&other->state)) &&
           board_loop_late_ns(other, now_ns()) < LATE_NS;
}

static bool word_take(const struct exchange_thread *thread, struct exchange *x)
{
    uint64_t word = atomic_load_explicit(&x->word, memory_order_acquire);
    uint64_t mine;

    if (exchange_word_state(word) != EXCHANGE_READY ||
        (thread->polite && is_others(thread, x)))
        return false;
    mine = (word & ~0xffffffULL) | (uint64_t)thread->interp << 8 |
           EXCHANGE_RUNNING;
    return atomic_compare_exchange_strong_explicit(
        &x->word, &word, mine, memory_order_acq_rel, memory_order_relaxed);
}

/*
 * Looks at the slots from cursor on, then at those before it. Only the winner
 * of the word clears the slot's bit: a loser could clear the bit of the
 * slot's next request.
 */
static int32_t take_from(const struct exchange_thread *thread, uint32_t worker,
                         uint32_t cursor)
{
    const struct arena *arena = &thread->site->arenas[worker];
    uint32_t words = arena_words(arena);
    uint32_t start = cursor / 64 % words;
    uint64_t mask = ~0ULL << cursor % 64;
    uint32_t i;

    for (i = 0; i <= words; i++, mask = ~0ULL) {
        uint32_t w = (start + i) % words;
        _Atomic uint64_t *ready = &arena->header->ready[w];
        uint64_t bits = atomic_load(ready) & mask;

        for (; bits; bits &= bits - 1) {
            uint32_t slot = w * 64 + (uint32_t)__builtin_ctzll(bits);

            if (word_take(thread, exchange_at(arena, slot))) {
                atomic_fetch_and(ready, ~(1ULL << slot % 64));
                return (int32_t)slot;
            }
        }
    }
    return -1;
}

/* Asking the kernel costs as much as all the rest of a hand-over. */
static bool is_metered(struct exchange_thread *thread)
{
    uint32_t every = thread->site->board->cpu_every;

    if (likely(every == 0 || ++thread->unmetered < every))
        return false;
    thread->unmetered = 0;
    return true;
}

static void writer_start(struct exchange_thread *thread,
                         struct exchange_writer *writer, uint32_t worker,
                         uint32_t slot)
{
    struct arena *arena = &thread->site->arenas[worker];
    struct exchange *x = exchange_at(arena, slot);
    uint64_t now = now_ns();

    *writer = (struct exchange_writer){
        .thread = thread,
        .arena = arena,
        .x = x,
    };
    x->started_ns = now;
    if (unlikely(is_metered(thread)))
        writer->cpu_ns = thread_cpu_ns();
    atomic_fetch_add_explicit(&thread->self->running, 1, memory_order_relaxed);
    atomic_store_explicit(&thread->self->busy_since_ns, now,
                          memory_order_relaxed);
}

bool exchange_take(struct exchange_thread *thread,
                   struct exchange_writer *writer)
{
    const uint16_t *order;
    uint32_t i;
    int32_t slot = take_from(thread, thread->home, thread->cursor);

    if (likely(slot >= 0)) {
        thread->cursor = (uint32_t)slot + 1;
        writer_start(thread, writer, thread->home, (uint32_t)slot);
        return true;
    }
    order = board_steal_order(thread->site->board, thread->home);
    for (i = 0; i < thread->site->board->worker_slots; i++) {
        if (order[i] >= thread->site->board->worker_slots)
            break;
        slot = take_from(thread, order[i], 0);
        if (slot >= 0) {
            writer_start(thread, writer, order[i], (uint32_t)slot);
            return true;
        }
    }
    return false;
}

bool exchange_is_ready(const struct exchange_thread *thread)
{
    const struct arena *arena = &thread->site->arenas[thread->home];
    uint32_t w;

    for (w = 0; w < arena_words(arena); w++) {
        uint64_t bits = atomic_load(&arena->header->ready[w]);

        for (; bits; bits &= bits - 1)
            if (!is_others(
                    thread,
                    exchange_at(arena,
                                w * 64 + (uint32_t)__builtin_ctzll(bits))))
                return true;
    }
    return false;
}

static bool any_ready(const struct exchange_site *site)
{
    uint32_t worker, w;

    for (worker = 0; worker < site->board->worker_slots; worker++) {
        const struct arena *arena = &site->arenas[worker];

        for (w = 0; w < arena_words(arena); w++)
            if (atomic_load(&arena->header->ready[w]))
                return true;
    }
    return false;
}

void exchange_sleep(struct exchange_thread *thread)
{
    struct board_interp *self = thread->self;

    /* In this order: a worker about to doze looks for sleepers. */
    board_lie_down(self, thread->bed);
    exchange_announce(thread);
    if (!any_ready(thread->site) &&
        board_interp_serves(atomic_load(&self->state)))
        board_sleep(self, thread->bed);
    board_get_up(self, thread->bed);
}

void exchange_announce(struct exchange_thread *thread)
{
    if (!thread->unrung)
        return;
    thread->unrung = 0;
    board_wake_worker(board_worker(thread->site->board, thread->unrung_worker));
}
