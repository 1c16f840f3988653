/* SPDX-License-Identifier: MIT */
/*
 * conn_receive - bytes from the peer, and its end. For conn*.c only.
 */
#ifndef GCORN_CORE_CONN_RECEIVE_H
#define GCORN_CORE_CONN_RECEIVE_H

#include "ring.h"

struct conn;
struct conn_set;

/* Receives what the state wants, unless it does already. */
void conn_receive(struct conn_set *set, struct conn *c);

void conn_on_recv(struct conn_set *set, struct conn *c,
                  const struct ring_event *event);
void conn_on_into(struct conn_set *set, struct conn *c, int result);

/* IDLE for too long: closes, once nothing is on its way. */
void conn_part(struct conn_set *set, struct conn *c);
#endif
