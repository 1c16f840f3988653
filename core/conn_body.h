/* SPDX-License-Identifier: MIT */
/*
 * conn_body - the body of a request, received into its exchange. For conn*.c
 * only.
 */
#ifndef GCORN_CORE_CONN_BODY_H
#define GCORN_CORE_CONN_BODY_H

#include "bytes.h"

struct conn;
struct conn_set;

/* The exchange has just got its head; rest follows it. Returns
 * how much of the rest belonged to the body. */
size_t conn_body_start(struct conn_set *set, struct conn *c, struct bytes rest);
size_t conn_body_feed(struct conn_set *set, struct conn *c, struct bytes data);
void conn_body_wanted(struct conn_set *set, struct conn *c);
/* It will never be complete, says the peer or the clock. */
void conn_body_failed(struct conn_set *set, struct conn *c);
/*
 * Starts the deadline, which is put off only by as many bytes as make the least
 * rate over the time that it gives: one byte now and then does not do.
 */
void conn_body_clock(struct conn_set *set, struct conn *c);
void conn_body_keep_pace(struct conn_set *set, struct conn *c, size_t n);
/* The peer's end was heard before the body was begun. */
void conn_body_end(struct conn_set *set, struct conn *c);
/* It is not wanted any more, or cannot be had, by an interpreter that runs. */
void conn_body_give_up(struct conn_set *set, struct conn *c);
/* It is better received in large pieces. */
bool conn_body_is_large(struct conn_set *set, const struct conn *c);

/* READING -> READY. */
void conn_hand_over(struct conn_set *set, struct conn *c);
#endif
