/* SPDX-License-Identifier: MIT */
/*
 * exchange_part - a response is a run of parts, each a piece of a chunk, of a
 * file or of the spool. The interpreter publishes them (exchange_writer.h); the
 * worker takes them from here, with a check, and sends them.
 */
#ifndef GCORN_CORE_EXCHANGE_PART_H
#define GCORN_CORE_EXCHANGE_PART_H

#include "base.h"

struct exchange;
struct exchange_table;

#define EXCHANGE_PARTS 16 /* of one exchange, published and not yet sent */

enum exchange_part_kind {
    EXCHANGE_PART_BYTES,
    EXCHANGE_PART_FILE,
    EXCHANGE_PART_SPOOL, /* in the slot's stretch of the spool file */
};

/* A run of the response, in order. */
struct exchange_part {
    uint8_t kind;
    uint32_t chunk; /* BYTES: where; FILE: unused */
    uint32_t off;
    uint32_t len;
    uint64_t file_off; /* FILE: in the descriptor sent alongside; SPOOL: in
                          the stretch */
    uint64_t file_len;
};

/* What goes with a descriptor on a worker's file socket. */
struct exchange_file_note {
    uint32_t slot;
    uint32_t part;     /* the part's running number in the response */
    uint64_t sequence; /* of the exchange's word */
};

/*
 * Worker: the next part to send, checked against the arena. Returns 1, 0 when
 * none is published, or -EBADMSG when the interpreter wrote nonsense.
 */
int exchange_part_next(struct exchange_table *table, struct exchange *x,
                       uint32_t ahead, struct exchange_part *ret_part,
                       const char **ret_bytes);

/*
 * Worker: the first count parts are sent: frees chunks, lets the interpreter
 * go on.
 */
void exchange_parts_sent(struct exchange_table *table, struct exchange *x,
                         uint32_t count);

/* Worker: what a dead interpreter published goes, with its chunks. */
void exchange_parts_drop(struct exchange_table *table, struct exchange *x);
#endif
