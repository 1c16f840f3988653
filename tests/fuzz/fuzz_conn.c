/* SPDX-License-Identifier: MIT */
/*
 * Whole connections: what clients send, when completions come, what
 * interpreters do and when they die. Nothing may crash, and afterwards nothing
 * may be left: no connection, exchange, chunk, block, file or deadline.
 */
#include "conn_stage.h"
#include "core/conn_block.h"

static void nothing_left(struct stage *stage)
{
    for (uint32_t i = 0; i < CONN_BLOCKS; i++)
        must(pool_used(&stage->set->blocks[i]) == 0);
    must(pool_used(&stage->set->conns) == 0);
    must(pool_used(&stage->set->files) == 0);
    must(conn_requests(stage->set) == 0);
    must(stage->table.free_count == STAGE_SLOTS);
    must(stage->table.orphans == 0);
    must(arena_chunks_used(&stage->table.arena) == 0);
    must(stage->set->wheel.count == 0);
    must(!fake_ring_leftover(stage->ring));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stage *stage = stage_new(data, size);

    if (!stage)
        return 0;
    while (stage_step(stage, stage_byte(stage)))
        ;
    must(stage_end(stage));
    nothing_left(stage);
    stage_free(stage);
    return 0;
}
