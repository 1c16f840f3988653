/* SPDX-License-Identifier: MIT */
/*
 * keepalive_log - gaps between requests from a log that nginx (combined, or
 * any format that begins with the client's address) or HAProxy (httplog) has
 * written. HAProxy names the client's port, so its gaps are those of a
 * connection; nginx names the client only, who may have had several.
 */
#ifndef GCORN_WORKERS_KEEPALIVE_LOG_H
#define GCORN_WORKERS_KEEPALIVE_LOG_H

#include "workers/keepalive.h"

#include <stdio.h>

struct keepalive_log {
    struct keepalive keepalive;
    uint64_t lines;
    uint64_t strange; /* lines that were not understood */
    uint64_t clients;
};

/* Reads to the end. 0 or -ENOMEM. */
int keepalive_log_read(struct keepalive_log *log, FILE *from);

/* Reads it and writes the advice. Returns the exit status. */
int keepalive_log_advise(const char *path, FILE *to);
#endif
