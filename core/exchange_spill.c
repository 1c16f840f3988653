/* SPDX-License-Identifier: MIT */
#include "exchange_spill.h"

#include "exchange.h"
#include "exchange_body.h"
#include "exchange_worker.h"

#include <fcntl.h>
#include <unistd.h>

/* A response that is spooled begins at the other end, and is never so long. */
#define SPILL_BYTES (64U << 20)

static off_t place_of(const struct exchange_table *table,
                      const struct exchange *x, uint64_t off)
{
    uint64_t slot = exchange_slot(&table->arena, x);

    return (off_t)((slot + 1) * EXCHANGE_SPOOL_FILE_BYTES - SPILL_BYTES + off);
}

int exchange_spill_put(const struct exchange_table *table,
                       const struct exchange *x, struct exchange_spill *spill,
                       struct bytes data)
{
    int error;

    if (data.n > SPILL_BYTES - spill->to)
        return -EFBIG;
    error = exchange_spool_write(table->arena.spool_file_fd,
                                 (uint64_t)place_of(table, x, spill->to), data);
    if (!error)
        spill->to += data.n;
    return error;
}

int64_t exchange_spill_take(const struct exchange_table *table,
                            const struct exchange *x,
                            struct exchange_spill *spill, void *to, size_t len)
{
    size_t want = min_u64(len, exchange_spill_left(spill));
    ssize_t n;

    do
        n = pread(table->arena.spool_file_fd, to, want,
                  place_of(table, x, spill->from));
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (n == 0 && want > 0)
        return -EIO;
    spill->from += (uint64_t)n;
    if (exchange_spill_left(spill) == 0)
        exchange_spill_drop(table, x, spill);
    return n;
}

void exchange_spill_clear(const struct exchange_table *table,
                          const struct exchange *x)
{
    fallocate(table->arena.spool_file_fd,
              FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, place_of(table, x, 0),
              (off_t)SPILL_BYTES);
}

void exchange_spill_drop(const struct exchange_table *table,
                         const struct exchange *x, struct exchange_spill *spill)
{
    if (spill->to > 0)
        exchange_spill_clear(table, x);
    *spill = (struct exchange_spill){0};
}
