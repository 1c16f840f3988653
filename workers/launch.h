/* SPDX-License-Identifier: MIT */
/*
 * launch - what whoever started this program handed over: systemd its sockets,
 * a master that is being replaced its own; and how the program is started
 * again. Made once in main(), then constant but for fds.
 */
#ifndef GCORN_WORKERS_LAUNCH_H
#define GCORN_WORKERS_LAUNCH_H

#include "workers/config.h"

#include <sys/types.h>

/* The first descriptor of socket activation. */
#define LAUNCH_ACTIVATED_FD 3

struct launch {
    pid_t predecessor;  /* the master to be replaced, our parent; or 0 */
    int *fds;           /* its sockets; -1: taken */
    uint32_t fd_count;  /* of fds */
    uint32_t activated; /* sockets from systemd, from descriptor 3 on */
};

/*
 * Takes from the environment what is not meant for the application. 0 or
 * -ENOMEM.
 */
int launch_read(struct launch *launch);
void launch_done(struct launch *launch);

/* Closes the sockets that no bind address has taken. */
void launch_close_rest(struct launch *launch);

/*
 * In a child of the master: becomes this program, started in the same way, but
 * from what now lies at its path. sockets ("5,6,7") go to it. Returns -errno.
 */
int launch_again(const struct launch *launch, const struct config_input *input,
                 const char *sockets);
#endif
