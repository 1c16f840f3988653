/* SPDX-License-Identifier: MIT */
/*
 * conn_evict - who has to leave when all exchanges are taken. For conn*.c only.
 */
#ifndef GCORN_CORE_CONN_EVICT_H
#define GCORN_CORE_CONN_EVICT_H

#include "base.h"

struct conn_set;

/* Takes its exchange from the request whose body comes most slowly (408), for
 * one that is complete. False: there is no more room yet. */
bool conn_evict(struct conn_set *set);
#endif
