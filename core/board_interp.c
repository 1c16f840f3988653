/* SPDX-License-Identifier: MIT */
#include "board_interp.h"

#include "doorbell.h"
#include "futex.h"

/* True for the one process that gets the thread out of bed. */
static bool wake_thread(struct board_interp *interp, uint32_t bed)
{
    uint64_t bit = 1ULL << bed % 64;

    /* First: who is awake, and was rung long ago, is late. */
    if (atomic_load_explicit(&interp->by_doorbell, memory_order_relaxed))
        atomic_store_explicit(&interp->rung_ns, now_ns(), memory_order_relaxed);
    if (!(atomic_fetch_and(&interp->asleep[bed / 64], ~bit) & bit))
        return false;
    if (atomic_load_explicit(&interp->by_doorbell, memory_order_relaxed)) {
        doorbell_ring(interp->doorbell_fd);
        return true;
    }
    atomic_store(&interp->bell[bed], 1);
    futex_wake_one(&interp->bell[bed]);
    return true;
}

bool board_wake_interp(struct board_interp *interp)
{
    uint32_t w;

    for (w = 0; w < ARRAY_SIZE(interp->asleep); w++) {
        uint64_t bits = atomic_load(&interp->asleep[w]);

        for (; bits; bits &= bits - 1)
            if (wake_thread(interp, w * 64 + (uint32_t)__builtin_ctzll(bits)))
                return true;
    }
    return false;
}

uint32_t board_sleepers(const struct board_interp *interp)
{
    uint32_t count = 0;
    uint32_t w;

    for (w = 0; w < ARRAY_SIZE(interp->asleep); w++)
        count +=
            (uint32_t)__builtin_popcountll(atomic_load(&interp->asleep[w]));
    return count;
}

/* It lies down before it looks whether it was called: one of both notices. */
void board_call(struct board_interp *interp)
{
    atomic_store(&interp->called, 1);
    board_wake_interp(interp);
}

uint64_t board_loop_late_ns(const struct board_interp *interp, uint64_t now)
{
    uint64_t since =
        max_u64(atomic_load_explicit(&interp->beat_ns, memory_order_relaxed),
                atomic_load_explicit(&interp->rung_ns, memory_order_relaxed));

    if (now <= since || board_sleepers(interp) > 0)
        return 0;
    return now - since;
}

uint64_t board_loop_lag_ns(const struct board_interp *interp, uint64_t now)
{
    return max_u64(board_loop_late_ns(interp, now),
                   atomic_load_explicit(&interp->lag_ns, memory_order_relaxed));
}

uint32_t board_bed(struct board_interp *interp)
{
    return atomic_fetch_add(&interp->beds, 1) % BOARD_THREADS_MAX;
}

void board_lie_down(struct board_interp *interp, uint32_t bed)
{
    atomic_store(&interp->bell[bed], 0);
    atomic_fetch_or(&interp->asleep[bed / 64], 1ULL << bed % 64);
}

void board_sleep(struct board_interp *interp, uint32_t bed)
{
    futex_wait(&interp->bell[bed], 0, NS_PER_S);
}

void board_get_up(struct board_interp *interp, uint32_t bed)
{
    atomic_fetch_and(&interp->asleep[bed / 64], ~(1ULL << bed % 64));
}
