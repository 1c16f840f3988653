/* SPDX-License-Identifier: MIT */
#include "config_machine.h"

#include "config_rule.h"
#include "topology/size.h"

#include <string.h>
#include <strings.h>

bool config_autotune_parse(const char *text, enum config_autotune *ret_mode)
{
    static const struct {
        const char *text;
        enum config_autotune mode;
    } words[] = {
        {"", CONFIG_AUTOTUNE_OFF},        {"off", CONFIG_AUTOTUNE_OFF},
        {"false", CONFIG_AUTOTUNE_OFF},   {"auto", CONFIG_AUTOTUNE_SERVE},
        {"on", CONFIG_AUTOTUNE_SERVE},    {"true", CONFIG_AUTOTUNE_SERVE},
        {"print", CONFIG_AUTOTUNE_PRINT},
    };

    for (uint32_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcasecmp(text, words[i].text) == 0) {
            *ret_mode = words[i].mode;
            return true;
        }
    return false;
}

int rule_numa(const char *text, struct config_error *error)
{
    if (strcmp(text, "prefer") == 0 || strcmp(text, "strict") == 0)
        return 0;
    return config_fail(error, 2,
                       "argument --numa: invalid choice: '%s' (choose from "
                       "prefer, strict)",
                       text);
}

int rule_autotune(const char *text, struct config_error *error)
{
    enum config_autotune mode;

    if (config_autotune_parse(text, &mode))
        return 0;
    return config_fail(error, 2,
                       "argument --autotune: invalid choice: '%s' (choose "
                       "from auto, print)",
                       text);
}

int rule_autotune_url(const char *text, struct config_error *error)
{
    if (text[0] == '/' && strpbrk(text, " \t\r\n") == NULL)
        return 0;
    return config_fail(error, 2,
                       "argument --autotune-url: a path that begins with /, "
                       "without blanks: '%s'",
                       text);
}

int rule_memory_size(const char *text, struct config_error *error)
{
    uint64_t bytes;

    if (size_parse(text, &bytes) == 0 && bytes > 0)
        return 0;
    return config_fail(error, 1, "Invalid size (write 512M or 2G): %s", text);
}
