/* SPDX-License-Identifier: MIT */
/*
 * conn_accept - how connections begin. For conn*.c only.
 */
#ifndef GCORN_CORE_CONN_ACCEPT_H
#define GCORN_CORE_CONN_ACCEPT_H

#include "base.h"

struct conn_set;

void conn_on_accept(struct conn_set *set, uint32_t index, int result);
void conn_accept_turn(struct conn_set *set);
uint64_t conn_accept_due(const struct conn_set *set);

/* How long a connection may be silent between two requests. */
uint32_t conn_idle_ms(const struct conn_set *set);
#endif
