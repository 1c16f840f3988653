/* SPDX-License-Identifier: MIT */
/*
 * conn_block - memory that a connection borrows from the worker's pools while
 * it needs some. For conn*.c only.
 */
#ifndef GCORN_CORE_CONN_BLOCK_H
#define GCORN_CORE_CONN_BLOCK_H

#include "base.h"

/* Sizes of the blocks. */
enum conn_block { CONN_SMALL, CONN_LARGE, CONN_HUGE, CONN_BLOCKS };

struct conn_span {
    char *at; /* NULL: none */
    uint32_t off;
    uint32_t len; /* bytes from off */
    uint32_t size;
    uint32_t kind; /* enum conn_block */
};
#endif
