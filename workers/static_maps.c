/* SPDX-License-Identifier: MIT */
#include "static_maps.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int static_maps_check(const char *text, struct config_error *error)
{
    const char *equals = strchr(text, '=');

    if (equals && text[0] == '/' && equals[1] != '\0')
        return 0;
    return config_fail(error, 1,
                       "Invalid static_map '%s': write PREFIX=DIR, for "
                       "example /static=/srv/site/static",
                       text);
}

int static_maps_check_all(const struct config *config,
                          struct config_error *error)
{
    for (size_t i = 0; i < config->static_map.count; i++) {
        const char *text = config->static_map.items[i];
        const char *directory = strchr(text, '=') + 1;
        struct stat st;

        if (stat(directory, &st) != 0)
            return config_fail(error, 1, "Can't serve static_map '%s': %s",
                               text, strerror(errno));
        if (!S_ISDIR(st.st_mode))
            return config_fail(
                error, 1, "Can't serve static_map '%s': not a directory", text);
    }
    return 0;
}

static struct bytes prefix_of(const char *text)
{
    struct bytes prefix = {text, (size_t)(strchr(text, '=') - text)};

    while (prefix.n > 0 && prefix.p[prefix.n - 1] == '/')
        prefix.n--;
    return prefix;
}

static int by_length(const void *a, const void *b)
{
    size_t one = ((const struct static_map *)a)->prefix.n;
    size_t other = ((const struct static_map *)b)->prefix.n;

    return one < other ? 1 : -(int)(one > other);
}

int static_maps_make(const struct config *config, struct static_map **ret_maps)
{
    size_t count = config->static_map.count;
    struct static_map *maps = calloc(count ? count : 1, sizeof(*maps));

    if (maps == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const char *text = config->static_map.items[i];

        maps[i] = (struct static_map){prefix_of(text), strchr(text, '=') + 1};
    }
    qsort(maps, count, sizeof(*maps), by_length);
    *ret_maps = maps;
    return (int)count;
}
