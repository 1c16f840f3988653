/* SPDX-License-Identifier: MIT */
/*
 * conn_input - bytes to requests. For conn*.c only.
 */
#ifndef GCORN_CORE_CONN_INPUT_H
#define GCORN_CORE_CONN_INPUT_H

#include "arena.h"
#include "bytes.h"
#include "exchange.h"

struct conn;
struct conn_set;

/* No longer head is taken: exchange_head_room() has room for this. */
#define CONN_HEAD_MAX (EXCHANGE_HEAD_CHUNKS * ARENA_CHUNK_BYTES)
#define CONN_FIELDS_MAX 1024 /* what exchange_fields_room() has room for */

void conn_input(struct conn_set *set, struct conn *c, struct bytes data);
/* After a response: the next request is in the stash, or none is. */
void conn_next(struct conn_set *set, struct conn *c);
/* Puts bytes behind those in the stash; closes when there is no room. */
void conn_stash(struct conn_set *set, struct conn *c, struct bytes data);
/* The same, but leaves it at that. */
bool conn_stash_try(struct conn_set *set, struct conn *c, struct bytes data);
/* Takes bytes off the front; an empty stash goes back to its pool. */
void conn_stash_drop(struct conn_set *set, struct conn *c, size_t n);
#endif
