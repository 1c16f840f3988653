/* SPDX-License-Identifier: MIT */
/*
 * ctl_client - asks a server over its control socket: see control.h for what
 * is said. Waits for answers as long as they take. For the program gcorn-ctl.
 */
#ifndef GCORN_WORKERS_CTL_CLIENT_H
#define GCORN_WORKERS_CTL_CLIENT_H

#include "core/base.h"

#include <jansson.h>

struct ctl_client {
    int fd;
    int64_t id; /* of the last command */
};

/* Returns 0 or -errno. */
int ctl_connect(struct ctl_client *client, const char *path);
void ctl_close(struct ctl_client *client);

/*
 * Returns what is in "data", or NULL: then *ret_why says why, to be freed.
 */
json_t *ctl_ask(struct ctl_client *client, const char *command, char **ret_why);
#endif
