/* SPDX-License-Identifier: MIT */
/*
 * static_maps - the setting static_map: PREFIX=DIR, as the operator writes it,
 * to what workers serve. Relative directories are meant from chdir.
 */
#ifndef GCORN_WORKERS_STATIC_MAPS_H
#define GCORN_WORKERS_STATIC_MAPS_H

#include "config.h"
#include "core/static_file.h"

/* The text alone. 0, or -EINVAL with the error filled in. */
int static_maps_check(const char *text, struct config_error *error);

/* The directories, once the master has changed to chdir. */
int static_maps_check_all(const struct config *config,
                          struct config_error *error);

/*
 * In a worker's process, whose end frees them: the maps, the longest prefix
 * first. Returns their number, or -ENOMEM.
 */
int static_maps_make(const struct config *config, struct static_map **ret_maps);
#endif
