/* SPDX-License-Identifier: MIT */
/*
 * conn_close - how a connection ends. For conn*.c only.
 */
#ifndef GCORN_CORE_CONN_CLOSE_H
#define GCORN_CORE_CONN_CLOSE_H

#include "base.h"

struct conn;
struct conn_set;

/* Ends everything in flight; the rest happens at the end of the turn. */
void conn_close(struct conn_set *set, struct conn *c);
void conn_linger(struct conn_set *set, struct conn *c);
/* The exchange is nobody's concern here any more: freed or cancelled. */
void conn_let_go(struct conn_set *set, struct conn *c, uint32_t flags);

/* After an event: the last one of a connection that is CLOSING ends it. */
void conn_close_settle(struct conn_set *set, struct conn *c);
/* The end of a turn: those that ended are given back. */
void conn_reap(struct conn_set *set);
#endif
