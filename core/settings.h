/* SPDX-License-Identifier: MIT */
/*
 * settings - names and values as they travel between the master and the
 * Python side: "name\0value\0...", in one message of core/template.h.
 *
 * Whoever receives one keeps a copy; nothing here is shared. A list is
 * several entries of one name.
 */
#ifndef GCORN_CORE_SETTINGS_H
#define GCORN_CORE_SETTINGS_H

#include "base.h"

#define SETTINGS_BYTES 65536

struct settings {
    uint32_t op; /* enum template_op, when it is a message */
    uint32_t bytes;
    char text[SETTINGS_BYTES];
};

void settings_init(struct settings *settings);

/* 0, or -ENOSPC. */
int settings_add(struct settings *settings, const char *name,
                 const char *value);

/* The value, or NULL; nth of a list. */
const char *settings_get(const struct settings *settings, const char *name,
                         uint32_t nth);

/*
 * The entry behind this name, or the first after NULL; NULL at the end. The
 * value follows the name's NUL.
 */
const char *settings_next(const struct settings *settings, const char *name);

/* Bytes of the message. */
size_t settings_size(const struct settings *settings);

/* What was received in size bytes is whole: 0, or -EPROTO. */
int settings_check(const struct settings *settings, size_t size);
#endif
