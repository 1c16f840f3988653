/* SPDX-License-Identifier: MIT */
/*
 * boot - from the command line to the settings that count: starts the first
 * template, and waits for what the configuration file says when there is one.
 */
#ifndef GCORN_WORKERS_BOOT_H
#define GCORN_WORKERS_BOOT_H

#include "workers/master.h"

/*
 * Settles master->config. Returns 0, or -EINVAL with a message, which is empty
 * when the template has said it all, or a signal asked to stop (exit code 0).
 */
int boot_settings(struct master *master, struct config_error *error);
#endif
