/* SPDX-License-Identifier: MIT */
/*
 * exchange_offer - which event loop a worker offers a request to.
 *
 * A loop runs as many requests as come, so that one is awake says nothing. The
 * one with the fewest in flight gets the next, unless it is late in coming
 * round or has as many as it takes; when it makes little difference, the
 * worker's own. Others leave the request alone (exchange_take()) as long as
 * that one comes round.
 *
 * What a worker knows of the loops near it is of this turn, and its own
 * memory. Threads are not asked: they take what is ready.
 */
#ifndef GCORN_CORE_EXCHANGE_OFFER_H
#define GCORN_CORE_EXCHANGE_OFFER_H

#include "board.h"

struct exchange;
struct exchange_table;

/* Of the other workers, nearest first, so many are looked at. */
#define EXCHANGE_NEAR_WORKERS 16
#define EXCHANGE_OFFER_LOOPS                                                   \
    ((1 + EXCHANGE_NEAR_WORKERS) * BOARD_INTERPS_PER_WORKER)

struct exchange_offer_loop {
    uint32_t interp;
    uint32_t load; /* in flight, and offered in this turn */
    bool late;
    bool rung; /* it is to be */
};

struct exchange_offers {
    bool looked;     /* at those at home */
    bool looked_far; /* at those near */
    uint32_t known;  /* loops that serve, also those that are full */
    uint32_t home;   /* the first so many are at home */
    uint32_t count;
    struct exchange_offer_loop loop[EXCHANGE_OFFER_LOOPS];
};

/* Before the exchange becomes READY. False: nobody in particular gets it. */
bool exchange_offer(struct exchange_table *table, struct exchange *x);

/*
 * Rings those that were offered something since the last call, and offers
 * again what was not taken. False when there are no loops.
 */
bool exchange_offer_wake(struct exchange_table *table, uint64_t now);

/* A loop at home works on several requests, and none waits for events. */
bool exchange_offer_is_busy(const struct exchange_table *table);
#endif
