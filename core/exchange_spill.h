/* SPDX-License-Identifier: MIT */
/*
 * exchange_spill - bytes that came ahead of the reader of a stream, first in,
 * first out, in the last part of the slot's stretch of the spool file.
 *
 * A receive that repeats brings what the kernel has before it can be told to
 * end: up to all of the ring's buffers, for each connection. Memory for that is
 * not kept for all of them. The worker's alone; it writes to a file.
 */
#ifndef GCORN_CORE_EXCHANGE_SPILL_H
#define GCORN_CORE_EXCHANGE_SPILL_H

#include "base.h"
#include "bytes.h"

struct exchange;
struct exchange_table;

/* All zero: nothing is there. */
struct exchange_spill {
    uint64_t from;
    uint64_t to;
};

static inline uint64_t exchange_spill_left(const struct exchange_spill *spill)
{
    return spill->to - spill->from;
}

/* 0 or -errno of the file; -EFBIG: it is too much. */
int exchange_spill_put(const struct exchange_table *table,
                       const struct exchange *x, struct exchange_spill *spill,
                       struct bytes data);

/* Takes up to len bytes off the front. Returns how many, or -errno. */
int64_t exchange_spill_take(const struct exchange_table *table,
                            const struct exchange *x,
                            struct exchange_spill *spill, void *to, size_t len);

/* Whatever a worker that died has left there goes back to the machine. */
void exchange_spill_clear(const struct exchange_table *table,
                          const struct exchange *x);

/* Gives everything back to the machine. */
void exchange_spill_drop(const struct exchange_table *table,
                         const struct exchange *x,
                         struct exchange_spill *spill);
#endif
