/* SPDX-License-Identifier: MIT */
#include "config_file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_FILE "gunicorn.conf.py"
#define ACCEPTS_BYTES 8192

const char *config_file_name(const struct config *config, const char *directory)
{
    char path[PATH_MAX];

    if (config->source[CONFIG_AT_config] != CONFIG_FROM_DEFAULT)
        return config->config;
    snprintf(path, sizeof(path), "%s/" DEFAULT_FILE, directory);
    return access(path, F_OK) == 0 ? "./" DEFAULT_FILE : "";
}

static const char *kind_name(enum config_kind kind)
{
    switch (kind) {
    case CONFIG_INT:
        return "INT";
    case CONFIG_OCTAL:
        return "OCTAL";
    case CONFIG_BOOL:
        return "BOOL";
    case CONFIG_OFF:
        return "OFF";
    case CONFIG_STRING:
        return "STRING";
    case CONFIG_TEXT:
        return "TEXT";
    case CONFIG_COMMAS:
        return "COMMAS";
    case CONFIG_DICT:
        return "DICT";
    case CONFIG_MODE:
        return "MODE";
    case CONFIG_OBJECT:
        return "OBJECT";
    case CONFIG_LIST:
        return "LIST";
    case CONFIG_ACTION:
        return NULL;
    }
    return NULL;
}

/* "bind=LIST backlog=INT ...". What runs the file is not in its power. */
static void accepts_write(char *out, size_t size)
{
    size_t n = 0;

    out[0] = '\0';
    for (uint32_t i = 0; i < CONFIG_SETTINGS; i++) {
        const char *kind = kind_name(config_row(i)->kind);

        if (kind == NULL || i == CONFIG_AT_python || i == CONFIG_AT_config)
            continue;
        n += (size_t)snprintf(out + n, size - n, "%s%s=%s", n > 0 ? " " : "",
                              config_row(i)->name, kind);
        must(n < size);
    }
}

int config_file_ask(const struct config *config,
                    const struct config_input *input, const char *python,
                    struct settings *ret_ask)
{
    char accepts[ACCEPTS_BYTES];
    char master[16];
    int err;

    snprintf(master, sizeof(master), "%d", (int)getpid());
    accepts_write(accepts, sizeof(accepts));
    settings_init(ret_ask);
    err = settings_add(ret_ask, "master", master);
    if (err == 0)
        err = settings_add(ret_ask, "python", python);
    if (err == 0)
        err = settings_add(ret_ask, "cwd", input->cwd);
    if (err == 0)
        err = settings_add(ret_ask, "config",
                           config_file_name(config, input->cwd));
    if (err == 0)
        err = settings_add(ret_ask, "paste", config->paste);
    if (err == 0)
        err = settings_add(ret_ask, "accepts", accepts);
    return err;
}

static bool setting_find(const char *name, enum config_setting *ret_setting)
{
    for (uint32_t i = 0; i < CONFIG_SETTINGS; i++) {
        if (config_row(i)->kind != CONFIG_ACTION &&
            strcmp(config_row(i)->name, name) == 0) {
            *ret_setting = i;
            return true;
        }
    }
    return false;
}

/* In two parts, as Gunicorn says it. */
static int take_one(struct config *config, const char *name, const char *value,
                    struct config_error *error)
{
    enum config_setting setting = 0;
    char text[sizeof(error->text)];
    bool back = name[0] == '!';

    if (!setting_find(name + (back ? 1 : 0), &setting))
        return 0;
    if (back)
        return config_take_back(config, setting, CONFIG_FROM_FILE, error);
    if (config_set(config, setting, value, CONFIG_FROM_FILE, error) == 0)
        return 0;
    memcpy(text, error->text, sizeof(text));
    return config_fail(error, 1,
                       "Invalid value for %s: %.200s\n\n\nError: %.200s", name,
                       value, text);
}

int config_file_take(struct config *config, const struct settings *file,
                     struct config_error *error)
{
    const char *name = NULL;
    int err = 0;

    while (err == 0 && (name = settings_next(file, name)) != NULL)
        err = take_one(config, name, name + strlen(name) + 1, error);
    return err;
}

int config_reload(struct config *config, const struct config_input *input,
                  const struct settings *file, struct config_error *error)
{
    int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int err = chdir(input->cwd) < 0
                  ? config_fail(error, 1, "Can't go back to '%.400s'",
                                input->cwd)
                  : 0;

    memset(config, 0, sizeof(*config));
    if (err == 0)
        err = config_load(config, input, error);
    if (err == 0)
        err = config_file_take(config, file, error);
    if (err == 0)
        err = config_settle(config, error);
    if (here >= 0) {
        if (fchdir(here) < 0 && err == 0)
            err = config_fail(error, 1, "Can't return to the directory");
        close(here);
    }
    return err;
}

static int pass_value(const struct config *config, enum config_setting setting,
                      struct settings *to)
{
    const struct config_row *row = config_row(setting);
    const void *value = config_value(config, setting);
    const struct config_list *list = value;
    char number[32];
    int err = 0;

    switch (row->kind) {
    case CONFIG_INT:
    case CONFIG_OCTAL:
        snprintf(number, sizeof(number), "%llu",
                 (unsigned long long)*(const uint64_t *)value);
        return settings_add(to, row->name, number);
    case CONFIG_BOOL:
    case CONFIG_OFF:
        return settings_add(to, row->name, *(const bool *)value ? "1" : "0");
    case CONFIG_STRING:
    case CONFIG_TEXT:
    case CONFIG_COMMAS:
    case CONFIG_DICT:
    case CONFIG_MODE:
    case CONFIG_OBJECT:
        return settings_add(to, row->name, *(char *const *)value);
    case CONFIG_LIST:
        for (size_t i = 0; i < list->count && err == 0; i++)
            err = settings_add(to, row->name, list->items[i]);
        return err;
    case CONFIG_ACTION:
        return 0;
    }
    return -EINVAL;
}

/* Interpreters see what was settled, not what was written. */
static int pass_chdir(const struct config *config,
                      const struct config_input *input, struct settings *to)
{
    char path[PATH_MAX];

    if (config->chdir[0] == '\0')
        return settings_add(to, "chdir", input->cwd);
    if (config->chdir[0] == '/')
        return settings_add(to, "chdir", config->chdir);
    if (snprintf(path, sizeof(path), "%s/%s", input->cwd, config->chdir) >=
        (int)sizeof(path))
        return -ENAMETOOLONG;
    return settings_add(to, "chdir", path);
}

int config_pass(const struct config *config, const struct config_input *input,
                struct settings *ret_settings)
{
    int err;

    settings_init(ret_settings);
    err = pass_chdir(config, input, ret_settings);
    for (uint32_t i = 0; i < CONFIG_SETTINGS && err == 0; i++) {
        if (i != CONFIG_AT_chdir)
            err = pass_value(config, i, ret_settings);
    }
    /* An application may then say by its kind which class it wants. */
    if (err == 0 &&
        config->source[CONFIG_AT_worker_class] == CONFIG_FROM_DEFAULT)
        err = settings_add(ret_settings, "worker_class_unset", "1");
    if (err == 0 &&
        config->source[CONFIG_AT_worker_connections] == CONFIG_FROM_DEFAULT)
        err = settings_add(ret_settings, "worker_connections_unset", "1");
    return err;
}
