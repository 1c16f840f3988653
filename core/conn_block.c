/* SPDX-License-Identifier: MIT */
#include "conn_block.h"

#include "conn_set.h"

/*
 * The smallest kind that fits and has one left. A larger one than needed is
 * taken rather than none.
 */
void conn_block_get(struct conn_set *set, struct conn_span *span, size_t size,
                    bool less)
{
    *span = (struct conn_span){0};
    for (uint32_t kind = 0; kind < CONN_BLOCKS; kind++) {
        if (set->blocks[kind].object_size < size)
            continue;
        span->at = pool_get(&set->blocks[kind]);
        span->size = (uint32_t)set->blocks[kind].object_size;
        span->kind = kind;
        if (span->at)
            return;
        if (less) /* the larger ones are for who cannot do with less */
            break;
    }
    if (less)
        conn_block_get(set, span, 1, false);
}

void conn_block_put(struct conn_set *set, struct conn_span *span)
{
    if (!span->at)
        return;
    pool_put(&set->blocks[span->kind], span->at);
    *span = (struct conn_span){0};
}
