/* SPDX-License-Identifier: MIT */
/*
 * stats - counters and histograms of one worker, in its arena. Written by the
 * worker only, read by anybody at any time.
 */
#ifndef GCORN_CORE_STATS_H
#define GCORN_CORE_STATS_H

#include "base.h"

#define STATS_COUNTERS(X)                                                      \
    X(connections, "connections accepted")                                     \
    X(requests, "requests completed")                                          \
    X(status_1xx, "responses with status 1xx")                                 \
    X(status_2xx, "responses with status 2xx")                                 \
    X(status_3xx, "responses with status 3xx")                                 \
    X(status_4xx, "responses with status 4xx")                                 \
    X(status_5xx, "responses with status 5xx")                                 \
    X(bad_requests, "requests refused by the parser")                          \
    X(shed, "requests answered 503 because nothing was free")                  \
    X(overdue, "requests answered 504")                                        \
    X(lost, "requests answered 502 because their interpreter died")            \
    X(retried, "requests given to a second interpreter")                       \
    X(stolen, "requests woken in an interpreter of another worker")            \
    X(crowded, "connections closed because their address had too many")        \
    X(accept_paused, "times accepting paused for want of descriptors")         \
    X(timeouts, "connections closed by a header, body or send timeout")        \
    X(idle_timeouts, "kept connections closed because keep-alive was over")    \
    X(idle_left, "kept connections that the peer closed")                      \
    X(bytes_in, "bytes received")                                              \
    X(bytes_out, "bytes sent")

/* Bucket i counts durations below 2^i microseconds; the last all others. */
#define STATS_BUCKETS 28

/* X(name, help) */
#define STATS_HISTOGRAMS(X)                                                    \
    X(latency, "head complete to last byte sent")                              \
    X(queue, "waiting for an interpreter")                                     \
    X(service, "in the application")                                           \
    X(cpu, "CPU time of the application's thread, of a sample")                \
    X(gap, "a kept connection idle until its next request")

struct stats_histogram {
    _Atomic uint64_t count;
    _Atomic uint64_t sum_us;
    _Atomic uint64_t bucket[STATS_BUCKETS];
};

struct stats {
#define X(name, help) _Atomic uint64_t name;
    STATS_COUNTERS(X)
#undef X
#define X(name, help) struct stats_histogram name;
    STATS_HISTOGRAMS(X)
#undef X
};

/* One writer: a plain load and store, no locked instruction. */
static inline void stats_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(
        counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
        memory_order_relaxed);
}

void stats_observe(struct stats_histogram *histogram, uint64_t ns);

/* The duration below which the share (0..1000 per mille) lies, in us. */
uint64_t stats_quantile_us(const struct stats_histogram *histogram,
                           uint32_t per_mille);
#endif
