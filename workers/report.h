/* SPDX-License-Identifier: MIT */
/*
 * report - the state of the server as JSON: for /status.json and for the
 * control socket, where the fields that Gunicorn has bear Gunicorn's names.
 * Reads only. Each returns a new object, NULL when memory is short.
 */
#ifndef GCORN_WORKERS_REPORT_H
#define GCORN_WORKERS_REPORT_H

#include "workers/keepalive.h"
#include "workers/observer.h"

#include <jansson.h>

/* Everything that follows. */
json_t *report_status(const struct observer *observer);

/* A "worker" is what runs the application, as in Gunicorn: an interpreter. */
json_t *report_workers(const struct observer *observer);
json_t *report_all(const struct observer *observer);
json_t *report_stats(const struct observer *observer);
json_t *report_config(const struct observer *observer);
json_t *report_listeners(const struct observer *observer);
/* What --keep-alive should be, from the gaps between requests so far. */
json_t *report_keepalive(const struct observer *observer);
/* The counters and histograms of all workers together. */
void report_sum(const struct observer *observer, struct stats *sum);
/* Each connection, as the workers told it last (roll.h), and of each I/O
 * worker what its connections wait for. */
json_t *report_connections(const struct observer *observer);
#endif
