/* SPDX-License-Identifier: MIT */
#include "settings.h"

#include <string.h>

void settings_init(struct settings *settings)
{
    settings->op = 0;
    settings->bytes = 0;
}

int settings_add(struct settings *settings, const char *name, const char *value)
{
    size_t name_bytes = strlen(name) + 1;
    size_t value_bytes = strlen(value) + 1;

    if (name_bytes + value_bytes > SETTINGS_BYTES - settings->bytes)
        return -ENOSPC;
    memcpy(settings->text + settings->bytes, name, name_bytes);
    memcpy(settings->text + settings->bytes + name_bytes, value, value_bytes);
    settings->bytes += (uint32_t)(name_bytes + value_bytes);
    return 0;
}

static const char *value_of(const char *name)
{
    return name + strlen(name) + 1;
}

const char *settings_next(const struct settings *settings, const char *name)
{
    const char *next = settings->text;

    if (name != NULL)
        next = value_of(value_of(name));
    return next < settings->text + settings->bytes ? next : NULL;
}

const char *settings_get(const struct settings *settings, const char *name,
                         uint32_t nth)
{
    const char *entry = NULL;

    while ((entry = settings_next(settings, entry)) != NULL) {
        if (strcmp(entry, name) == 0 && nth-- == 0)
            return value_of(entry);
    }
    return NULL;
}

size_t settings_size(const struct settings *settings)
{
    return offsetof(struct settings, text) + settings->bytes;
}

/* Pairs of strings, the last of them ended: no look goes over the end. */
int settings_check(const struct settings *settings, size_t size)
{
    uint32_t ends = 0;

    if (size < offsetof(struct settings, text) ||
        settings->bytes > SETTINGS_BYTES || size != settings_size(settings))
        return -EPROTO;
    for (uint32_t i = 0; i < settings->bytes; i++)
        ends += settings->text[i] == '\0';
    if (settings->bytes > 0 && settings->text[settings->bytes - 1] != '\0')
        return -EPROTO;
    return ends % 2 == 0 ? 0 : -EPROTO;
}
