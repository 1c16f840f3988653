/* SPDX-License-Identifier: MIT */
/*
 * exchange_progress - which exchanges of its arena a worker has to look at:
 * interpreters set a slot's bit when they published something or let go.
 */
#ifndef GCORN_CORE_EXCHANGE_PROGRESS_H
#define GCORN_CORE_EXCHANGE_PROGRESS_H

#include "base.h"

struct exchange;
struct exchange_table;

/* Takes the next slot that made progress; false when there is none. */
bool exchange_progress(struct exchange_table *table, uint32_t *ret_slot);
bool exchange_has_progress(const struct exchange_table *table);

/* It is to be looked at in the next turn, as if it had made progress. */
void exchange_again(struct exchange_table *table, const struct exchange *x);
#endif
