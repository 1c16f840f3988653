/* SPDX-License-Identifier: MIT */
/*
 * conn_late - a line of the access log that is written when a transfer ends.
 * For conn*.c only.
 *
 * A request without an exchange lies in a receive buffer, which goes back long
 * before the last byte of a file is sent: so what the line needs of it is
 * copied. What does not fit is missing in the line; there is room for a request
 * line and the usual fields.
 */
#ifndef GCORN_CORE_CONN_LATE_H
#define GCORN_CORE_CONN_LATE_H

#include "access_log.h"

struct conn;
struct conn_set;

#define CONN_LATE_FIELDS 64
#define CONN_LATE_BYTES 6144

struct conn_late {
    struct access_entry entry;
    struct http_request request;
    struct exchange_peer peer;
    uint32_t used; /* bytes of head */
    struct http_field fields[CONN_LATE_FIELDS];
    char head[CONN_LATE_BYTES];
};

/* Copies what *entry borrows. */
void conn_late_keep(struct conn_late *late, const struct access_entry *entry);

/* The end: so many bytes of the response's body were sent. */
void conn_late_write(struct conn_set *set, const struct conn *c,
                     struct conn_late *late, uint64_t bytes);
#endif
