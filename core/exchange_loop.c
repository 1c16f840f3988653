/* SPDX-License-Identifier: MIT */
#include "exchange_loop.h"

#include "board.h"
#include "board_interp.h"
#include "board_worker.h"
#include "exchange_writer.h"

#include <stdlib.h>
#include <unistd.h>

#define LAG_WEIGHT 16

int exchange_loop_init(struct exchange_loop *loop, struct exchange_site *site,
                       uint32_t interp)
{
    uint32_t workers = site->board->worker_slots;

    *loop = (struct exchange_loop){.words = site->board->arena_slots / 64};
    exchange_thread_init(&loop->thread, site, interp);
    loop->thread.polite = true;
    loop->mine = calloc((size_t)workers * loop->words, sizeof(*loop->mine));
    loop->count = calloc(workers, sizeof(*loop->count));
    if (!loop->mine || !loop->count) {
        exchange_loop_done(loop);
        return -ENOMEM;
    }
    atomic_store(&loop->thread.self->by_doorbell, 1);
    atomic_store(&site->board->loops, 1);
    return 0;
}

void exchange_loop_done(struct exchange_loop *loop)
{
    free(loop->mine);
    free(loop->count);
    loop->mine = NULL;
    loop->count = NULL;
}

int exchange_loop_fd(const struct exchange_loop *loop)
{
    return loop->thread.self->doorbell_fd;
}

/* Written by one thread; read by workers and the master. */
static void note_turn(struct exchange_loop *loop, uint64_t now)
{
    struct board_interp *self = loop->thread.self;
    uint64_t lag = atomic_load_explicit(&self->lag_ns, memory_order_relaxed);
    uint64_t last = now - min_u64(loop->turn_ns, now);

    atomic_store_explicit(&self->beat_ns, now, memory_order_relaxed);
    if (loop->turn_ns != 0)
        atomic_store_explicit(&self->lag_ns,
                              lag - lag / LAG_WEIGHT + last / LAG_WEIGHT,
                              memory_order_relaxed);
    loop->turn_ns = 0;
    if (atomic_load_explicit(&self->busy_since_ns, memory_order_relaxed) != 0)
        atomic_store_explicit(&self->busy_since_ns, now, memory_order_relaxed);
}

/* When it was woken; 0: it is up of itself. */
static uint64_t rung_ns(const struct exchange_loop *loop)
{
    const struct board_interp *self = loop->thread.self;
    uint64_t rung = atomic_load_explicit(&self->rung_ns, memory_order_relaxed);

    return rung > atomic_load_explicit(&self->beat_ns, memory_order_relaxed)
               ? rung
               : 0;
}

void exchange_loop_rise(struct exchange_loop *loop)
{
    uint64_t rings;

    if (loop->resting) {
        board_get_up(loop->thread.self, loop->thread.bed);
        while (read(exchange_loop_fd(loop), &rings, sizeof(rings)) > 0)
            continue;
        loop->resting = false;
        loop->turn_ns = rung_ns(loop);
    }
    /* Before it looks at what was offered: see board_call(). */
    atomic_store(&loop->thread.self->called, 0);
    note_turn(loop, now_ns());
}

void exchange_loop_beat(struct exchange_loop *loop)
{
    struct board_interp *self = loop->thread.self;

    atomic_store_explicit(&self->beats, 1, memory_order_relaxed);
    atomic_store_explicit(&self->beat_ns, now_ns(), memory_order_relaxed);
}

static uint64_t *word_of(struct exchange_loop *loop, uint32_t worker,
                         uint32_t slot)
{
    return &loop->mine[(size_t)worker * loop->words + slot / 64];
}

bool exchange_loop_take(struct exchange_loop *loop,
                        struct exchange_writer *writer)
{
    uint32_t worker, slot;

    if (!exchange_take(&loop->thread, writer))
        return false;
    /* The one before may have run at once, and long. */
    atomic_store_explicit(&loop->thread.self->beat_ns, writer->x->started_ns,
                          memory_order_relaxed);
    worker = writer->arena->worker;
    slot = exchange_slot(writer->arena, writer->x);
    *word_of(loop, worker, slot) |= 1ULL << slot % 64;
    loop->count[worker]++;
    return true;
}

void exchange_loop_leave(struct exchange_loop *loop, uint32_t worker,
                         uint32_t slot)
{
    *word_of(loop, worker, slot) &= ~(1ULL << slot % 64);
    loop->count[worker]--;
}

void exchange_loop_lose(struct exchange_loop *loop,
                        const struct exchange_writer *writer)
{
    struct exchange_writer lost = *writer;
    uint32_t slot = exchange_slot(writer->arena, writer->x);

    lost.x->out_flags |= EXCHANGE_OUT_BROKEN | EXCHANGE_OUT_CLOSE;
    exchange_finish(&lost);
    exchange_loop_leave(loop, lost.arena->worker, slot);
}

/* Words to be looked at: none where it runs nothing. */
static uint32_t words_of(const struct exchange_loop *loop, uint32_t worker)
{
    if (loop->count[worker] == 0)
        return 0;
    return arena_words(&loop->thread.site->arenas[worker]);
}

static bool has_changes(const struct exchange_loop *loop)
{
    const struct exchange_site *site = loop->thread.site;
    uint32_t i, w;

    for (i = 0; i < site->board->worker_slots; i++)
        for (w = 0; w < words_of(loop, i); w++)
            if (atomic_load(&site->arenas[i].header->attention[w]) &
                loop->mine[(size_t)i * loop->words + w])
                return true;
    return false;
}

void exchange_loop_changes(struct exchange_loop *loop,
                           exchange_loop_fn *on_change, void *context)
{
    const struct exchange_site *site = loop->thread.site;
    uint32_t i, w;

    for (i = 0; i < site->board->worker_slots; i++)
        for (w = 0; w < words_of(loop, i); w++) {
            uint64_t mine = loop->mine[(size_t)i * loop->words + w];
            _Atomic uint64_t *word = &site->arenas[i].header->attention[w];
            uint64_t bits = atomic_load(word) & mine;

            if (bits)
                atomic_fetch_and(word, ~bits);
            for (; bits; bits &= bits - 1)
                on_change(context, i, w * 64 + (uint32_t)__builtin_ctzll(bits));
        }
}

void exchange_loop_again(struct exchange_loop *loop)
{
    loop->turn_ns = now_ns();
}

static struct board_worker *home_of(const struct exchange_loop *loop)
{
    return board_worker(loop->thread.site->board, loop->thread.home);
}

bool exchange_loop_rest(struct exchange_loop *loop, bool hungry)
{
    struct board_interp *self = loop->thread.self;

    exchange_announce(&loop->thread);
    atomic_store_explicit(&self->full, !hungry, memory_order_relaxed);
    /* Whoever leaves something looks for sleepers after that. */
    board_lie_down(self, loop->thread.bed);
    if (has_changes(loop) || (hungry && (atomic_load(&self->called) ||
                                         exchange_is_ready(&loop->thread)))) {
        board_get_up(self, loop->thread.bed);
        return false;
    }
    loop->resting = true;
    if (board_dozes(home_of(loop)))
        board_wake_worker(home_of(loop));
    return true;
}
