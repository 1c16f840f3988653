/* SPDX-License-Identifier: MIT */
#include "keepalive.h"

#include <math.h>

/* A bucket of a histogram is as wide as what is below it: spread in it. */
#define PIECES 8

static const uint32_t steps[KEEPALIVE_CHOICES] = {
    1, 2, 5, 10, 15, 20, 30, 45, 60, 75, 90, 120, 180, 300, 600,
};

void keepalive_add(struct keepalive *keepalive, double gap_s, double n)
{
    uint32_t step = 0;

    while (step < KEEPALIVE_CHOICES && gap_s > steps[step])
        step++;
    keepalive->returns += n;
    keepalive->count[step] += n;
    keepalive->waited_s[step] += gap_s * n;
}

void keepalive_add_histogram(struct keepalive *keepalive,
                             const struct stats_histogram *gaps)
{
    for (uint32_t i = 0; i < STATS_BUCKETS; i++) {
        uint64_t n = atomic_load_explicit(&gaps->bucket[i],
                                          memory_order_relaxed);
        double from_s = ldexp(0.5e-6, (int)i);

        for (uint32_t piece = 0; piece < PIECES && n > 0; piece++)
            keepalive_add(keepalive, from_s * exp2((piece + 0.5) / PIECES),
                          (double)n / PIECES);
    }
}

/* Connections that wait = waits that begin in a second * seconds of each. */
static double idle_of(const struct keepalive *keepalive, double kept,
                      double kept_s, uint32_t seconds)
{
    double rest = keepalive->returns - kept + keepalive->ends;

    if (keepalive->seconds <= 0)
        return 0;
    return (kept_s + rest * seconds) / keepalive->seconds;
}

int keepalive_choose(const struct keepalive *keepalive,
                     struct keepalive_choice choices[KEEPALIVE_CHOICES])
{
    double kept = 0, kept_s = 0;
    int best = -1;

    for (int i = 0; i < KEEPALIVE_CHOICES; i++) {
        struct keepalive_choice *choice = &choices[i];

        kept += keepalive->count[i];
        kept_s += keepalive->waited_s[i];
        choice->seconds = steps[i];
        choice->kept = keepalive->returns > 0 ? kept / keepalive->returns : 0;
        choice->idle = idle_of(keepalive, kept, kept_s, steps[i]);
        choice->bytes = choice->idle * KEEPALIVE_CONNECTION_BYTES;
        if (best < 0 && choice->kept >= KEEPALIVE_SHARE)
            best = i;
    }
    if (best < 0 && keepalive->returns > 0)
        best = KEEPALIVE_CHOICES - 1;
    return best;
}
