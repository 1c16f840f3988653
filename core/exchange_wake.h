/* SPDX-License-Identifier: MIT */
/*
 * exchange_wake - which interpreters a worker wakes for what became ready, and
 * when it leaves them alone.
 */
#ifndef GCORN_CORE_EXCHANGE_WAKE_H
#define GCORN_CORE_EXCHANGE_WAKE_H

#include "base.h"

struct exchange_table;

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
#endif
