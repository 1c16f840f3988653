/* SPDX-License-Identifier: MIT */
/*
 * probe_client - asks the trial run for pages, one after the other, over a
 * Unix socket without a name in the file system. Blocks.
 */
#ifndef GCORN_WORKERS_PROBE_CLIENT_H
#define GCORN_WORKERS_PROBE_CLIENT_H

#include "workers/config.h"

#include <sys/socket.h>
#include <sys/un.h>

struct probe_client {
    int listen_fd; /* for the trial; ours until it has started */
    struct sockaddr_un address;
    socklen_t address_size;
    uint32_t timeout_s; /* of a request */
};

/* Makes the listening socket. 0 or -errno. */
int probe_client_init(struct probe_client *client, const struct config *config);
/* The trial has inherited the socket: when it ends, so does that. */
void probe_client_started(struct probe_client *client);
void probe_client_done(struct probe_client *client);

/* GET; the whole answer is read. Returns its status, or -errno. */
int probe_client_get(const struct probe_client *client, const char *path);
#endif
