/* SPDX-License-Identifier: MIT */
/*
 * statsd - Gunicorn's metrics, under its names, to a statsd server. Several
 * metrics that fall together travel in one datagram, a line each.
 */
#ifndef GCORN_CORE_STATSD_H
#define GCORN_CORE_STATSD_H

#include "datagram.h"
#include "log.h"

#define STATSD_PORT 8125

struct statsd {
    struct datagram to;
    char prefix[64]; /* with its dot */
    char tags[512];  /* of DogStatsD: "a:b,c:d", or "" */
    size_t used;
    char buffer[1400]; /* what no network splits */
};

/* The address is parsed and opened by the caller. */
void statsd_init(struct statsd *statsd, const char *prefix, const char *tags);

/* A finished request: how long, how many, which status. */
void statsd_request(struct statsd *statsd, int status, uint64_t duration_ns);

/* type is "g", "h" or "c"; a counter carries its sampling rate. */
void statsd_add(struct statsd *statsd, const char *name, int64_t value,
                const char *type);

/* Sends what was collected. */
void statsd_flush(struct statsd *statsd);

/* A log_sink_fn; context is the statsd: counts what is logged. */
void statsd_on_log(void *context, enum log_level level, const char *text,
                   struct bytes block);
#endif
