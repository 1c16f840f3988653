/* SPDX-License-Identifier: MIT */
/*
 * config_machine - the settings about the machine, from their text.
 */
#ifndef GCORN_WORKERS_CONFIG_MACHINE_H
#define GCORN_WORKERS_CONFIG_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

/* "300M": K, M, G and T are powers of 1024. False: not understood, or 0. */
bool config_size_parse(const char *text, uint64_t *ret_bytes);

enum config_autotune {
    CONFIG_AUTOTUNE_OFF,
    CONFIG_AUTOTUNE_SERVE, /* measure, then serve */
    CONFIG_AUTOTUNE_PRINT, /* measure, print, leave */
};

/* "", "auto", "print", and what booleans are written as. */
bool config_autotune_parse(const char *text, enum config_autotune *ret_mode);

#endif
