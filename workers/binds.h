/* SPDX-License-Identifier: MIT */
/*
 * binds - the addresses that a master listens at, and how a reload changes
 * them: new ones are bound while the new code is tried, so that a port that is
 * in use fails the reload; old ones are closed when no worker process is left
 * that has them.
 *
 *            try            apply                 settle
 *   new:   (free) -> trial -----> counts
 *   gone:                counts -----> leaving -----> (free)
 *
 * A listener's place in master->listeners is its number on the board, which
 * connections and interpreters go by; it stays as long as the listener.
 */
#ifndef GCORN_WORKERS_BINDS_H
#define GCORN_WORKERS_BINDS_H

#include "workers/config.h"

struct master;

/* At the start: all that --bind says, or what systemd has opened. */
int binds_open(struct master *master, struct config_error *error);

/* Opens what another configuration has beside. 0, or -EINVAL: nothing is. */
int binds_try(struct master *master, const struct config *config,
              struct config_error *error);
void binds_give_up(struct master *master);

/*
 * What was tried counts, what master->config does not have is leaving. Worker
 * processes that were started before do not know: rollout.h.
 */
void binds_apply(struct master *master);

/* All of them have been replaced: what is leaving is closed. */
void binds_close_leaving(struct master *master);

/* The sockets of one worker slot. 0 or -errno. */
int binds_open_slot(struct master *master, uint32_t slot);
bool binds_slot_is_open(const struct master *master, uint32_t slot);
#endif
