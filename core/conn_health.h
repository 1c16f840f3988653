/* SPDX-License-Identifier: MIT */
/*
 * conn_health - the worker's answers on health_path (it lives, so it answers)
 * and ready_path (see health.h). GET and HEAD only: everything else is the
 * application's. For conn_local.c.
 */
#ifndef GCORN_CORE_CONN_HEALTH_H
#define GCORN_CORE_CONN_HEALTH_H

#include "base.h"

struct conn;
struct conn_set;

/* A conn_local_fn. */
bool conn_health(struct conn_set *set, struct conn *c, const char *head);
#endif
