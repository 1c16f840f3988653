/* SPDX-License-Identifier: MIT */
/*
 * exchange_body - where a worker keeps the body of a request while it comes
 * in: behind the head, in chunks, in a run of chunks when the length is known
 * and it fits, in the spools. What both files of the worker's side share; the
 * functions for connections are in exchange_worker.h.
 */
#ifndef GCORN_CORE_EXCHANGE_BODY_H
#define GCORN_CORE_EXCHANGE_BODY_H

#include "exchange_worker.h"

/* Chunks in a row for so many bytes: the first one's number, or -ENOBUFS. */
int32_t exchange_run_get(struct exchange_table *table, struct exchange *x,
                         uint64_t bytes);

/* Gives back what the body took, other than chunks: these go with the slot. */
void exchange_body_drop(struct exchange_table *table, struct exchange *x);
#endif
