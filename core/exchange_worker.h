/* SPDX-License-Identifier: MIT */
/*
 * exchange_worker - the worker's side of the exchanges in its own arena.
 *
 * Owned by one worker process and used by its one thread. The free list is
 * the worker's private memory; it is rebuilt from the state words when a new
 * process takes over the arena of one that died.
 */
#ifndef GCORN_CORE_EXCHANGE_WORKER_H
#define GCORN_CORE_EXCHANGE_WORKER_H

#include "exchange.h"
#include "exchange_offer.h"

struct exchange_table {
    struct arena arena;
    struct board *board;
    uint32_t free_count;
    uint32_t orphans;       /* left by a dead worker, still in interpreters */
    uint32_t made_ready;    /* since the last exchange_wake() */
    uint32_t progress_word; /* of the bits below */
    uint64_t progress_bits; /* taken from the arena, not yet handed out */
    uint64_t foreign_ns;    /* when another worker's interpreter was woken */
    uint64_t service_ns;    /* what a request takes, moving average */
    uint32_t waiting;       /* requests, as exchange_wake() last saw */
    uint16_t *free_slots;   /* a stack, lowest slots on top at first */
    uint8_t *slot_use;      /* of each slot, private */
    uint8_t *body_run;      /* of each slot: chunks of its body's run */
    uint32_t run_chunks;    /* all of these */
    struct exchange_offers offers;
};

/*
 * Maps the worker's arena and takes it over: what was waiting is freed, what
 * an interpreter still runs is cancelled and freed later. 0 or -errno.
 */
int exchange_table_init(struct exchange_table *table, struct board *board,
                        uint32_t worker_slot);
void exchange_table_done(struct exchange_table *table);

/* A slot in READING with an empty request, or NULL when all are taken. */
struct exchange *exchange_new(struct exchange_table *table);

/*
 * Room for a head of len bytes: inline, else contiguous chunks. NULL when
 * there is none. Likewise for count fields. Both may be called again with a
 * larger number; the content is not kept.
 */
char *exchange_head_room(struct exchange_table *table, struct exchange *x,
                         size_t len);
struct http_field *exchange_fields_room(struct exchange_table *table,
                                        struct exchange *x, uint32_t count);

/* READING -> READY: interpreters may take it. Wakes nobody yet. */
void exchange_ready(struct exchange_table *table, struct exchange *x);

/*
 * The body of an exchange that was ready before its body (EXPECT) is there or
 * will never be. Wakes the interpreter that waits for it.
 */
void exchange_body_done(struct exchange_table *table, struct exchange *x,
                        enum exchange_body_state state);

/* Something changed: an event loop that runs it is to look. */
void exchange_attend(struct exchange_table *table, const struct exchange *x);

/* The interpreter that has it, or NULL: none, or the word is nonsense. */
struct board_interp *exchange_taker(const struct exchange_table *table,
                                    const struct exchange *x);

/* The interpreter has let go. */
bool exchange_is_done(const struct exchange *x);

/* DONE and everything published was sent. */
bool exchange_is_over(struct exchange *x);

/*
 * The worker has no use for it any more (client left, deadline): sets
 * EXCHANGE_CANCELLED and the flags given. Frees it at once when no
 * interpreter runs it; else exchange_settle() does when it lets go.
 */
void exchange_cancel(struct exchange_table *table, struct exchange *x,
                     uint32_t flags);

/* Frees a cancelled exchange that its interpreter has let go; true if so. */
bool exchange_settle(struct exchange_table *table, struct exchange *x);

/* Frees a slot nobody runs: READING, READY taken back, or DONE. */
void exchange_free(struct exchange_table *table, struct exchange *x);

/* READY -> READING again; false when an interpreter was faster. */
bool exchange_take_back(struct exchange_table *table, struct exchange *x);

/*
 * Makes a request READY again whose interpreter died before anything was
 * sent. False when it was tried before.
 */
bool exchange_retry(struct exchange_table *table, struct exchange *x);

/* Frees an exchange whose interpreter died. Only from on_lost. */
void exchange_bury(struct exchange_table *table, struct exchange *x);

/*
 * After interpreters died: calls on_lost for each slot that one of them ran
 * (also cancelled ones that no connection waits for); the callee calls
 * exchange_retry() or exchange_bury(). Then tells the master that this worker
 * has swept.
 */
typedef void exchange_lost_fn(void *context, struct exchange *x);
void exchange_sweep(struct exchange_table *table, exchange_lost_fn *on_lost,
                    void *context);
#endif
