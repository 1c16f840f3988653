/* SPDX-License-Identifier: MIT */
/*
 * config_machine - the settings about the machine, from their text.
 */
#ifndef GCORN_WORKERS_CONFIG_MACHINE_H
#define GCORN_WORKERS_CONFIG_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

enum config_autotune {
    CONFIG_AUTOTUNE_OFF,
    CONFIG_AUTOTUNE_SERVE, /* measure, then serve */
    CONFIG_AUTOTUNE_PRINT, /* measure, print, leave */
};

/* "", "auto", "print", and what booleans are written as. */
bool config_autotune_parse(const char *text, enum config_autotune *ret_mode);

#endif
