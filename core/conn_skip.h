/* SPDX-License-Identifier: MIT */
/*
 * conn_skip - a request was answered while its body was still coming. The rest
 * of it is read and thrown away, so that the connection can go on with the next
 * one: within a bound, after which reading on costs more than a new connection.
 * For conn*.c only.
 */
#ifndef GCORN_CORE_CONN_SKIP_H
#define GCORN_CORE_CONN_SKIP_H

#include "bytes.h"

struct conn;
struct conn_set;

#define CONN_SKIP_BYTES (1U << 20) /* at most */

bool conn_skip_may(struct conn_set *set, const struct conn *c);
/* Lets go of the exchange; ends in conn_next(), or otherwise. */
void conn_skip_start(struct conn_set *set, struct conn *c);
void conn_skip_input(struct conn_set *set, struct conn *c, struct bytes data);
void conn_skip_timeout(struct conn_set *set, struct conn *c);
#endif
