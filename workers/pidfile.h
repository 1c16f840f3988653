/* SPDX-License-Identifier: MIT */
/*
 * pidfile - the file with the master's process number. It appears complete or
 * not at all, and only its writer removes it.
 */
#ifndef GCORN_WORKERS_PIDFILE_H
#define GCORN_WORKERS_PIDFILE_H

#include "workers/config.h"

/*
 * Writes our number. Returns 0, or -EINVAL with a message when another
 * process that is alive has written there or when it cannot be written.
 */
int pidfile_make(const char *path, struct config_error *error);

/* Removes it if it is still ours. */
void pidfile_remove(const char *path);
#endif
