/* SPDX-License-Identifier: MIT */
/*
 * exchange_body - where a worker keeps the body of a request while it comes
 * in: behind the head, in chunks, in a run of chunks when the length is known
 * and it fits, in the spools.
 */
#ifndef GCORN_CORE_EXCHANGE_BODY_H
#define GCORN_CORE_EXCHANGE_BODY_H

#include "exchange_worker.h"

/*
 * Appends decoded body bytes, moving from inline to chunks to the spools as
 * it grows. expected is the length when known, else 0, and picks the place at
 * once. Returns 0 or -errno of the spool (-ENOSPC, -EIO).
 */
int exchange_body_append(struct exchange_table *table, struct exchange *x,
                         struct bytes data, uint64_t expected);

/*
 * The place of the body's next bytes, and how many fit, or NULL when it is
 * not in memory as one run. Received there, they are appended without a copy.
 */
char *exchange_body_room(const struct exchange_table *table,
                         const struct exchange *x, size_t *ret_room);

/* Chunks in a row for so many bytes: the first one's number, or -ENOBUFS. */
int32_t exchange_run_get(struct exchange_table *table, struct exchange *x,
                         uint64_t bytes);

/* Gives back what the body took, other than chunks: these go with the slot. */
void exchange_body_drop(struct exchange_table *table, struct exchange *x);
/* All of it, to one of the spools. 0 or -errno. */
int exchange_spool_write(int fd, uint64_t off, struct bytes data);
#endif
