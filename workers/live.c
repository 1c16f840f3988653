/* SPDX-License-Identifier: MIT */
#include "live.h"

#include "config_file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int live_new(struct live **ret_live)
{
    void *at = mmap(NULL, sizeof(struct live), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (at == MAP_FAILED)
        return -ENOMEM;
    *ret_live = at;
    return 0;
}

void live_free(struct live *live)
{
    if (live != NULL)
        munmap(live, sizeof(*live));
}

int live_set(struct live *live, const struct config *config,
             const struct config_input *input)
{
    struct settings *settings = malloc(sizeof(*settings));
    int err = settings != NULL ? config_pass(config, input, settings) : -ENOMEM;

    if (err == 0) {
        atomic_fetch_add(&live->serial, 1);
        memcpy(&live->settings, settings, sizeof(*settings));
        atomic_fetch_add(&live->serial, 1);
    }
    free(settings);
    return err;
}

static bool is_flag(enum config_kind kind)
{
    return kind == CONFIG_BOOL || kind == CONFIG_OFF;
}

static void take_one(struct config *config, const char *name, const char *value)
{
    struct config_error error;

    for (uint32_t i = 0; i < CONFIG_SETTINGS; i++) {
        const struct config_row *row = config_row(i);

        if (strcmp(row->name, name) != 0)
            continue;
        if (is_flag(row->kind))
            value = value[0] == '1' ? "true" : "false";
        /* A rule that looks at files may say no in here: not our concern. */
        config_set(config, i, value, CONFIG_FROM_FILE, &error);
        return;
    }
}

bool live_take(const struct live *live, uint32_t *seen,
               struct config *ret_config)
{
    uint32_t serial = atomic_load(&live->serial);
    struct settings *settings;
    struct config_error error;
    const char *name = NULL;

    if (serial == *seen || serial % 2 != 0)
        return false;
    settings = malloc(sizeof(*settings));
    if (settings == NULL)
        return false;
    memcpy(settings, &live->settings, sizeof(*settings));
    if (atomic_load(&live->serial) != serial ||
        config_defaults(ret_config, &error) < 0) {
        free(settings);
        return false;
    }
    while ((name = settings_next(settings, name)) != NULL)
        take_one(ret_config, name, name + strlen(name) + 1);
    *seen = serial;
    free(settings);
    return true;
}
