/* SPDX-License-Identifier: MIT */
/*
 * apply - a reload's settings come into force: each that has changed is
 * applied, or named in a warning that says what it takes.
 */
#ifndef GCORN_WORKERS_APPLY_H
#define GCORN_WORKERS_APPLY_H

#include "workers/master.h"

/* Before anything is changed: can these come into force? 0 or -EINVAL. */
int apply_try(struct master *master, const struct config *fresh,
              struct config_error *error);

/*
 * The new code serves. Its settings become the master's, and *fresh those
 * that were before; true when those were given to rollout.h.
 */
bool apply_settings(struct master *master, struct config *fresh);

/* What only new worker processes take is as it was before. */
void apply_take_back(struct master *master, struct config *before);
#endif
