/* SPDX-License-Identifier: MIT */
/*
 * The shared memory of a worker, written to by somebody who has gone mad: any
 * word of the arena takes any value at any time. Neither the worker nor the
 * interpreters may crash. What the mad one ran may be lost; the connections
 * all end.
 */
#include "conn_stage.h"

#include <string.h>

static const uint64_t values[] = {0,           1,
                                  64,          0xffff,
                                  UINT32_MAX,  INT32_MAX,
                                  0x7fffffff0, UINT64_MAX,
                                  INT64_MIN,   4096,
                                  STAGE_SLOTS, STAGE_CHUNKS,
                                  1984,        ARENA_CHUNK_BYTES,
                                  0x8000};

static uint64_t value_of(struct stage *stage)
{
    uint8_t which = stage_byte(stage);

    if (which < ARRAY_SIZE(values))
        return values[which];
    if (which & 0x80)
        return which & 0x7f;
    return (uint64_t)which << (stage_byte(stage) % 64);
}

#define FIELD(name) offsetof(struct exchange, name)

/* Those that steer somebody. */
static const uint16_t fields[] = {
    FIELD(word),
    FIELD(word) + 4,
    FIELD(flags),
    FIELD(body_state),
    FIELD(attempts),
    FIELD(request.head_len),
    FIELD(request.field_count),
    FIELD(request.flags),
    FIELD(request.method),
    FIELD(request.target),
    FIELD(head_chunk),
    FIELD(fields_chunk),
    FIELD(body_kind),
    FIELD(body_chunk),
    FIELD(body_chunk) + 4,
    FIELD(body_bytes),
    FIELD(sent_chunk),
    FIELD(extra_chunks),
    FIELD(peer),
    FIELD(out_tail),
    FIELD(out_flags),
    FIELD(status),
    FIELD(connection_off),
    FIELD(part[0].kind),
    FIELD(part[0].chunk),
    FIELD(part[0].off),
    FIELD(part[0].len),
    FIELD(part[0].file_len),
    FIELD(part[1].chunk),
    FIELD(part[2].len),
    FIELD(out_head),
    FIELD(out_waiting),
    FIELD(fields),
    FIELD(fields) + 8,
};

/* Where: mostly in the exchanges that are in use, else in the header. */
static uint64_t place_of(struct stage *stage)
{
    struct arena *arena = &stage->site.arenas[0];
    uint64_t off = (uint64_t)stage_byte(stage) << 8 | stage_byte(stage);
    uint8_t where = stage_byte(stage);

    if (where >= 240)
        return off % arena_bytes(STAGE_SLOTS, STAGE_CHUNKS);
    if (where >= 200)
        return offsetof(struct arena_header, owner) +
               off % (STAGE_CHUNKS * sizeof(uint16_t));
    if (where >= 180)
        return off % sizeof(struct arena_header);
    if (where < 150)
        off = fields[off % ARRAY_SIZE(fields)];
    return (uint64_t)((char *)exchange_at(arena, where % 4) - arena->base) +
           off % ARENA_SLOT_BYTES;
}

static void go_mad(struct stage *stage)
{
    char *base = stage->site.arenas[0].base;
    uint32_t width = 1U << stage_byte(stage) % 4;
    uint64_t off = place_of(stage) / width * width;
    uint64_t value = value_of(stage);

    memcpy(base + off, &value, width);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stage *stage = stage_new(data, size);
    bool more = stage != NULL;

    if (!stage)
        return 0;
    while (more) {
        if (stage_byte(stage) < 64)
            go_mad(stage);
        more = stage_step(stage, stage_byte(stage));
    }
    stage_end(stage);
    must(conn_count(stage->set) == 0);
    stage_free(stage);
    return 0;
}
