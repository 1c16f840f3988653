/* SPDX-License-Identifier: MIT */
/*
 * conn_output - what an interpreter published, sent. For conn*.c only.
 */
#ifndef GCORN_CORE_CONN_OUTPUT_H
#define GCORN_CORE_CONN_OUTPUT_H

#include "base.h"

struct conn;
struct conn_set;

/* Sends what there is, and after the last of it ends the exchange. */
void conn_respond(struct conn_set *set, struct conn *c);
/* So many bytes of its page, which is an answer of our own or frames. */
void conn_send_page(struct conn_set *set, struct conn *c, size_t len);
void conn_on_sent(struct conn_set *set, struct conn *c, int result);
#endif
