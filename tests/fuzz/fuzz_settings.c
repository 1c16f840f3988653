/* SPDX-License-Identifier: MIT */
/*
 * Any text as GUNICORN_CMD_ARGS, as an address and as a value of each setting:
 * taken, or refused with a message that fits.
 */
#include <stdlib.h>
#include <string.h>

#include "workers/address.h"
#include "workers/cmdline.h"

static void check(int rc, const struct config_error *error)
{
    must(rc == 0 || rc == -EINVAL || rc == -ENOMEM);
    must(memchr(error->text, 0, sizeof(error->text)));
    if (rc == -EINVAL)
        must(error->text[0] != 0 && error->exit_code > 0);
}

static void parse_args(const char *text)
{
    struct config_error error = {0};
    struct config config = {0};
    int rc = config_defaults(&config, &error);

    check(rc, &error);
    if (rc == 0)
        check(cmdline_parse_text(&config, text, &error), &error);
    if (error.text[0] == 0)
        check(config_settle(&config, &error), &error);
    config_done(&config);
}

static void parse_value(const char *text, uint8_t which)
{
    struct config_error error = {0};
    struct config config = {0};

    check(config_defaults(&config, &error), &error);
    check(config_set(&config, (enum config_setting)(which % CONFIG_SETTINGS),
                     text, CONFIG_FROM_COMMAND_LINE, &error),
          &error);
    config_done(&config);
}

static void parse_address(const char *text)
{
    struct config_error error = {0};
    struct address address = {0};
    int rc = address_parse(text, &address, &error);

    check(rc, &error);
    if (rc == 0)
        must(memchr(address.host, 0, sizeof(address.host)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;

    if (size < 1)
        return 0;
    text = calloc(1, size);
    must(text);
    memcpy(text, data + 1, size - 1);
    parse_args(text);
    parse_value(text, data[0]);
    parse_address(text);
    free(text);
    return 0;
}
