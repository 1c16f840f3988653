/* SPDX-License-Identifier: MIT */
/*
 * conn_overdue - an interpreter that does not come back with the response: it
 * takes too long, or died (conn_on_lost()). For conn*.c only.
 */
#ifndef GCORN_CORE_CONN_OVERDUE_H
#define GCORN_CORE_CONN_OVERDUE_H

#include "base.h"

struct conn;
struct conn_set;

/* The time for its next sign of life is over. */
void conn_overdue(struct conn_set *set, struct conn *c);
#endif
