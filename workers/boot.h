/* SPDX-License-Identifier: MIT */
/*
 * boot - from the command line to the settings that count: starts the first
 * template, and waits for what the configuration file says when there is one.
 */
#ifndef GCORN_WORKERS_BOOT_H
#define GCORN_WORKERS_BOOT_H

#include "core/template.h"
#include "workers/master.h"

/*
 * Settles master->config. Returns 0, or -EINVAL with a message, which is empty
 * when the template has said it all, or a signal asked to stop (exit code 0).
 */
int boot_settings(struct master *master, struct config_error *error);

/* Waits until the first template has said this. Returns as above. */
int boot_wait(struct master *master, enum template_op op,
              struct config_error *error);
#endif
