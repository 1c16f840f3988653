/* SPDX-License-Identifier: MIT */
/*
 * conn_ahead - what a peer has sent of a body that nobody has room for yet: in the stash, and behind that in the exchange's spill. For conn*.c only.
 */
#ifndef GCORN_CORE_CONN_AHEAD_H
#define GCORN_CORE_CONN_AHEAD_H

#include "base.h"
#include "bytes.h"

struct conn;
struct conn_set;

/* How much, and whether it is something; the connection has an exchange. */
uint64_t conn_ahead_bytes(struct conn_set *set, const struct conn *c);
bool conn_ahead(struct conn_set *set, const struct conn *c);

/* Keeps bytes behind all that is there; closes when that cannot be. */
void conn_ahead_put(struct conn_set *set, struct conn *c, struct bytes data);

/* The stash is empty: brings some of the spill there. False: there is none, or
 * it cannot be had, and the connection is closed. */
bool conn_ahead_pull(struct conn_set *set, struct conn *c);

/* The stream is over: what is left belongs to requests to come, and the spill
 * goes with the exchange. What the stash cannot take is never answered. */
void conn_ahead_settle(struct conn_set *set, struct conn *c);
#endif
