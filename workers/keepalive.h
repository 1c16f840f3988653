/* SPDX-License-Identifier: MIT */
/*
 * keepalive - how long should a connection be kept for its next request? From
 * the gaps that were seen between requests. Pure.
 *
 * A connection is worth keeping when most of those that come back find it
 * open; what it costs is the connections that wait meanwhile.
 */
#ifndef GCORN_WORKERS_KEEPALIVE_H
#define GCORN_WORKERS_KEEPALIVE_H

#include "core/stats.h"

#define KEEPALIVE_CHOICES 15
/* Of an idle connection: the kernel's socket and our 256 bytes, rounded up. */
#define KEEPALIVE_CONNECTION_BYTES 4096
/* So many of those that come back should find their connection. */
#define KEEPALIVE_SHARE 0.95

struct keepalive {
    double seconds; /* how long was looked */
    double ends;    /* waits that no request ended */
    double returns; /* and those that one did */
    /* Of the latter, by the first choice that is long enough; the last: none */
    double count[KEEPALIVE_CHOICES + 1];
    double waited_s[KEEPALIVE_CHOICES + 1];
};

struct keepalive_choice {
    uint32_t seconds;
    double kept;  /* of those that come back, 0 to 1 */
    double idle;  /* connections that wait, on average */
    double bytes; /* that these take */
};

/* n requests came after this gap. */
void keepalive_add(struct keepalive *keepalive, double gap_s, double n);

/* What a worker measured. */
void keepalive_add_histogram(struct keepalive *keepalive,
                             const struct stats_histogram *gaps);

/* Fills all choices. Returns the one recommended, or -1: nothing was seen. */
int keepalive_choose(const struct keepalive *keepalive,
                     struct keepalive_choice choices[KEEPALIVE_CHOICES]);
#endif
