/* SPDX-License-Identifier: MIT */
/*
 * conn_block - memory that a connection borrows from the worker's pools while
 * it needs some. For conn*.c only.
 */
#ifndef GCORN_CORE_CONN_BLOCK_H
#define GCORN_CORE_CONN_BLOCK_H

#include "base.h"

struct conn_set;

/* Sizes of the blocks. */
enum conn_block { CONN_SMALL, CONN_LARGE, CONN_HUGE, CONN_BLOCKS };

#define CONN_SMALL_BYTES 8192
#define CONN_LARGE_BYTES (128U << 10)
/* A connection that pipelines can fill all of the ring's receive buffers
 * before it is stopped. */
#define CONN_HUGE_BYTES ((2U << 20) + (128U << 10))

struct conn_span {
    char *at; /* NULL: none */
    uint32_t off;
    uint32_t len; /* bytes from off */
    uint32_t size;
    uint32_t kind; /* enum conn_block */
};

/* A block of at least size bytes; a smaller one when there is
 * no such and less is acceptable. at is NULL when there is none. */
void conn_block_get(struct conn_set *set, struct conn_span *span, size_t size,
                    bool less);
void conn_block_put(struct conn_set *set, struct conn_span *span);
#endif
