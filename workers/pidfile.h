/* SPDX-License-Identifier: MIT */
/*
 * pidfile - the file with the master's process number. It appears complete or
 * not at all, and only its writer removes it.
 */
#ifndef GCORN_WORKERS_PIDFILE_H
#define GCORN_WORKERS_PIDFILE_H

#include "workers/config.h"

#include <sys/types.h>

/*
 * Writes our number. Returns 0, or -EINVAL with a message when another
 * process that is alive has written there or when it cannot be written.
 */
int pidfile_make(const char *path, struct config_error *error);

/*
 * Our file takes the name that the predecessor's had, who has just ended. 0,
 * -EEXIST when somebody else has written there who is alive, or -errno.
 */
int pidfile_succeed(const char *own, const char *path, pid_t predecessor);

/* Removes it if it is still ours. */
void pidfile_remove(const char *path);
#endif
