/* SPDX-License-Identifier: MIT */
/*
 * exchange_loop - the interpreter's side where one thread with an event loop
 * runs many exchanges at once: which are its own, which of them changed, and
 * how to be woken by a descriptor.
 *
 * The loop watches exchange_loop_fd(). When that is readable, or the loop has
 * turned, the owner calls exchange_loop_rise(), looks at what changed, takes
 * requests, and tries exchange_loop_rest(); until that returns true it has to
 * come back. Nothing in here blocks.
 */
#ifndef GCORN_CORE_EXCHANGE_LOOP_H
#define GCORN_CORE_EXCHANGE_LOOP_H

#include "exchange_take.h"

struct exchange_loop {
    struct exchange_thread thread;
    uint64_t *mine;   /* bits of the slots it runs, arena after arena */
    uint32_t *count;  /* of them, by arena */
    uint32_t words;   /* of an arena */
    uint64_t turn_ns; /* when the owner asked to be called back */
    bool resting;
};

/* Another exchange_thread of the interpreter must not exist. 0 or -ENOMEM. */
int exchange_loop_init(struct exchange_loop *loop, struct exchange_site *site,
                       uint32_t interp);
void exchange_loop_done(struct exchange_loop *loop);

int exchange_loop_fd(const struct exchange_loop *loop);

/* Awake again: takes the time of the turn. */
void exchange_loop_rise(struct exchange_loop *loop);

/*
 * For loops that also call applications without a turn of their owner: calls
 * this at least each second while exchanges run. Then a loop that is stuck is
 * known by the age of its last beat.
 */
void exchange_loop_beat(struct exchange_loop *loop);

/* One that was taken and cannot be run, for want of memory: it is cut off. */
void exchange_loop_lose(struct exchange_loop *loop,
                        const struct exchange_writer *writer);

/* As exchange_take(); the exchange is the loop's until it is left. */
bool exchange_loop_take(struct exchange_loop *loop,
                        struct exchange_writer *writer);

/* The exchange was finished: its slot means others from now on. */
void exchange_loop_leave(struct exchange_loop *loop, uint32_t worker,
                         uint32_t slot);

typedef void exchange_loop_fn(void *context, uint32_t worker, uint32_t slot);

/* Calls on_change for each of the loop's exchanges that changed. */
void exchange_loop_changes(struct exchange_loop *loop,
                           exchange_loop_fn *on_change, void *context);

/* The owner asked its event loop to be called in the next turn. */
void exchange_loop_again(struct exchange_loop *loop);

/*
 * Announces what is unrung. True: the descriptor becomes readable when there
 * is something to do, requests only if `hungry`. False: there is already.
 */
bool exchange_loop_rest(struct exchange_loop *loop, bool hungry);
#endif
