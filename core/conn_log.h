/* SPDX-License-Identifier: MIT */
/*
 * conn_log - a request in the access log and in the statistics. For conn*.c
 * only.
 */
#ifndef GCORN_CORE_CONN_LOG_H
#define GCORN_CORE_CONN_LOG_H

#include "access_log.h"

struct conn;
struct conn_set;

/* What there is to know of a request. */
struct conn_question {
    const struct http_request *request; /* NULL: there was no valid one */
    const char *head;
    const struct http_field *fields;
};

/* Of the connection's exchange; empty if it has none. */
struct conn_question conn_question(struct conn_set *set, const struct conn *c);

/* Fills in what the request says. False: there is no line to be written. */
bool conn_log_fill(const struct conn_set *set, const struct conn *c,
                   const struct conn_question *q, struct access_entry *entry);
/* The same, and writes the line. */
void conn_log_add(struct conn_set *set, const struct conn *c,
                  const struct conn_question *q, struct access_entry *entry);

/* A line of the access log for the connection's exchange. */
void conn_log(struct conn_set *set, struct conn *c, int status, uint64_t bytes);
/* The same, and counted, for one that ends before its response was sent. */
void conn_log_cut(struct conn_set *set, struct conn *c);
void conn_count_status(struct conn_set *set, int status);
/* The exchange in statistics and access log. */
void conn_account(struct conn_set *set, struct conn *c, uint64_t bytes);

/* Of two moments in an exchange's life; 0 when one is not known. */
static inline uint64_t conn_between(uint64_t from, uint64_t to)
{
    return from != 0 && to > from ? to - from : 0;
}
#endif
