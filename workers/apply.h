/* SPDX-License-Identifier: MIT */
/*
 * apply - a reload's settings come into force: each that has changed is
 * applied, or named in a warning that says what it takes.
 */
#ifndef GCORN_WORKERS_APPLY_H
#define GCORN_WORKERS_APPLY_H

#include "workers/master.h"

/*
 * The new code serves. Its settings become the master's, and *fresh those
 * that were before.
 */
void apply_settings(struct master *master, struct config *fresh);
#endif
