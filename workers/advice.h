/* SPDX-License-Identifier: MIT */
/*
 * advice - how many threads an interpreter could use, from what requests were
 * measured to do: time on the CPU, and time waiting for a database or another
 * service, in which another thread could run.
 *
 * One interpreter runs Python on one CPU at a time: with w the time of a
 * request and c its CPU time, w / c threads keep it busy. Threads that already
 * run wait for each other too, so with many of them w / c is an upper bound.
 */
#ifndef GCORN_WORKERS_ADVICE_H
#define GCORN_WORKERS_ADVICE_H

#include "workers/observer.h"

#include <jansson.h>

/* Fewer requests say too little. */
#define ADVICE_REQUESTS 1000
#define ADVICE_THREADS_MAX 64

/* What was measured; means over all requests so far. */
struct advice {
    uint64_t requests;
    uint64_t service_us; /* of a request: taken by a thread to answered */
    uint64_t cpu_us;     /* of that: on the CPU */
    uint64_t queue_us;   /* before that: waiting for a free thread */
    uint32_t threads;    /* of an interpreter now */
    uint32_t wanted;     /* threads that would keep one busy; 0: unknown */
};

/* Pure: fills `wanted` from the rest. */
void advice_solve(struct advice *advice);

void advice_take(const struct observer *observer, struct advice *ret_advice);

/* One sentence: what was measured and what follows. Returns its length. */
size_t advice_text(const struct advice *advice, char *text, size_t size);

/* Adds "threads_advice" to a status. */
void advice_json(const struct observer *observer, json_t *status);

/* Tells the log, when there is something new to tell. */
void advice_settle(struct master *master);
#endif
