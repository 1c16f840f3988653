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

/*
 * Appends decoded body bytes, moving from inline to chunks to the spools as
 * it grows. expected is the length when known, else 0, and picks the place at
 * once. Returns 0 or -errno of the spool (-ENOSPC, -EIO).
 */
int exchange_body_append(struct exchange_table *table, struct exchange *x,
                         struct bytes data, uint64_t expected);

/*
 * The place of the body's next bytes, and how many fit, or NULL when it is
 * not in memory as one run. Received there, they are appended without a copy.
 */
char *exchange_body_room(const struct exchange_table *table,
                         const struct exchange *x, size_t *ret_room);

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

/*
 * Wakes interpreters for what became ready: the own one, else an idle one in
 * steal order once a request has waited a moment or the own interpreter is
 * known to be slow. Returns true when requests are still waiting: call again
 * within recheck_ns.
 */
bool exchange_wake(struct exchange_table *table, uint64_t now,
                   uint64_t *ret_recheck_ns);

/*
 * After exchange_wake(): how long the worker may leave alone an interpreter
 * that deals quickly with a queue of requests; 0: there is no such queue.
 * More requests can wait that long, and the responses are best sent together.
 */
uint64_t exchange_rest_ns(const struct exchange_table *table);

/* A thread of the worker's own interpreters has nothing to do. */
bool exchange_home_idles(const struct exchange_table *table);

/* Takes the next slot that made progress; false when there is none. */
bool exchange_progress(struct exchange_table *table, uint32_t *ret_slot);
bool exchange_has_progress(const struct exchange_table *table);

/* It is to be looked at in the next turn, as if it had made progress. */
void exchange_again(struct exchange_table *table, const struct exchange *x);

/*
 * The next part to send, checked against the arena. Returns 1, 0 when none is
 * published, or -EBADMSG when the interpreter wrote nonsense.
 */
int exchange_part_next(struct exchange_table *table, struct exchange *x,
                       uint32_t ahead, struct exchange_part *ret_part,
                       const char **ret_bytes);

/* The first count parts are sent: frees chunks, lets the interpreter go on. */
void exchange_parts_sent(struct exchange_table *table, struct exchange *x,
                         uint32_t count);

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
