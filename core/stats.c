/* SPDX-License-Identifier: MIT */
#include "stats.h"

static uint32_t bucket_of(uint64_t us)
{
    uint32_t bits = us ? 64 - (uint32_t)__builtin_clzll(us) : 0;

    return bits < STATS_BUCKETS ? bits : STATS_BUCKETS - 1;
}

void stats_observe(struct stats_histogram *histogram, uint64_t ns)
{
    uint64_t us = ns / NS_PER_US;

    stats_add(&histogram->count, 1);
    stats_add(&histogram->sum_us, us);
    stats_add(&histogram->bucket[bucket_of(us)], 1);
}

uint64_t stats_quantile_us(const struct stats_histogram *histogram,
                           uint32_t per_mille)
{
    uint64_t count = atomic_load_explicit(&histogram->count,
                                          memory_order_relaxed);
    uint64_t want = (count * per_mille + 999) / 1000;
    uint64_t seen = 0;
    uint32_t i;

    if (count == 0)
        return 0;
    for (i = 0; i < STATS_BUCKETS; i++) {
        seen += atomic_load_explicit(&histogram->bucket[i],
                                     memory_order_relaxed);
        if (seen >= want)
            break;
    }
    return 1ULL << (i < STATS_BUCKETS ? i : STATS_BUCKETS - 1);
}
