/* SPDX-License-Identifier: MIT */
/*
 * spawn - starts the processes: what the child does between fork and its own
 * life. Placement, limits and user are applied there, never in the master.
 */
#ifndef GCORN_WORKERS_SPAWN_H
#define GCORN_WORKERS_SPAWN_H

#include "core/conn.h"
#include "workers/master.h"

/* What connections go by, except for what is decided at a worker's start. */
void spawn_conn_config(struct conn_config *conn, const struct config *config);

/* A worker process for the slot. Returns its pid or -errno. */
pid_t spawn_worker(struct master *master, uint32_t slot);

/*
 * A template: the host program with one end of a new socket pair. Everything
 * else it is told (channel.h). Returns its pid, and our end; or -errno.
 */
pid_t spawn_template(struct master *master, int *ret_fd);

/* Orders an interpreter for the slot. 0, or -errno of the socket. */
int spawn_interp(const struct master *master, const struct template *from,
                 uint32_t interp_slot);
#endif
