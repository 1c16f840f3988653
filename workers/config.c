/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "cmdline.h"
#include "core/log.h"
#include "config_rule.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const struct config_row rows[CONFIG_SETTINGS] = {
#define SETTING(name, kind, status, flags, metavar, value, rule, help)         \
    [CONFIG_AT_##name] = {#name, CONFIG_##kind, CONFIG_##status,               \
                          flags, metavar,       value,                         \
                          rule,  help},
#include "workers/settings.def"
};

static const size_t offsets[CONFIG_SETTINGS] = {
#define SETTING(name, kind, status, flags, metavar, value, rule, help)         \
    [CONFIG_AT_##name] = offsetof(struct config, name),
#include "workers/settings.def"
};

const struct config_row *config_row(enum config_setting setting)
{
    return &rows[setting];
}

const void *config_value(const struct config *config,
                         enum config_setting setting)
{
    return (const char *)config + offsets[setting];
}

static void *value_at(struct config *config, enum config_setting setting)
{
    return (char *)config + offsets[setting];
}

int config_fail(struct config_error *error, int exit_code, const char *fmt, ...)
{
    va_list args;

    error->exit_code = exit_code;
    va_start(args, fmt);
    vsnprintf(error->text, sizeof(error->text), fmt, args);
    va_end(args);
    return -EINVAL;
}

void config_error_print(const struct config_error *error)
{
    bool says_so = strstr(error->text, "\nError: ") != NULL;

    if (error->text[0] != '\0')
        fprintf(stderr, "%s%s\n", says_so ? "" : "\nError: ", error->text);
}

static int out_of_memory(struct config_error *error)
{
    return config_fail(error, 1, "out of memory");
}

void config_flags_name(const struct config_row *row, char out[64])
{
    size_t n = 0;

    for (const char *p = row->flags; *p != '\0' && n < 63; p++)
        out[n++] = *p == ' ' ? '/' : *p;
    out[n] = '\0';
}

static int not_a_number(const struct config_row *row, const char *text,
                        enum config_source source, struct config_error *error)
{
    const char *type = row->kind == CONFIG_OCTAL ? "auto_int" : "int";
    char name[64];

    if (source != CONFIG_FROM_CMD_ARGS && source != CONFIG_FROM_COMMAND_LINE)
        return config_fail(error, 1, "Invalid value for %s: %s", row->name,
                           text);
    config_flags_name(row, name);
    return config_fail(error, 2, "argument %s: invalid %s value: '%s'", name,
                       type, text);
}

/* Numbers as Python's int() takes them; 022 and 0o22 only where octal. */
static int number_parse(const struct config_row *row, const char *text,
                        enum config_source source, struct config_error *error,
                        uint64_t *ret_number)
{
    bool octal = row->kind == CONFIG_OCTAL;
    const char *digits = text;
    long long number;
    char *end;
    int base = octal ? 0 : 10;

    if (octal && strncasecmp(text, "0o", 2) == 0) {
        digits = text + 2;
        base = 8;
    }
    errno = 0;
    number = strtoll(digits, &end, base);
    if (errno != 0 || end == digits || *end != '\0')
        return not_a_number(row, text, source, error);
    if (number < 0)
        return config_fail(error, 1, "Value must be positive: %lld", number);
    *ret_number = (uint64_t)number;
    return 0;
}

static int bool_parse(const char *text, struct config_error *error,
                      bool *ret_value)
{
    if (strcasecmp(text, "true") == 0)
        *ret_value = true;
    else if (strcasecmp(text, "false") == 0)
        *ret_value = false;
    else
        return config_fail(error, 1, "Invalid boolean: %s", text);
    return 0;
}

static int string_set(char **value, const char *text,
                      struct config_error *error)
{
    char *copy = strdup(text);

    if (copy == NULL)
        return out_of_memory(error);
    free(*value);
    *value = copy;
    return 0;
}

static void list_done(struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct config_list){NULL, 0};
}

static int list_add(struct config_list *list, const char *text,
                    struct config_error *error)
{
    char **items = reallocarray(list->items, list->count + 1, sizeof(*items));

    if (items == NULL)
        return out_of_memory(error);
    list->items = items;
    items[list->count] = strdup(text);
    if (items[list->count] == NULL)
        return out_of_memory(error);
    list->count++;
    return 0;
}

/* The field is a string of its own. */
static bool kind_is_text(enum config_kind kind)
{
    return kind == CONFIG_STRING || kind == CONFIG_TEXT ||
           kind == CONFIG_COMMAS || kind == CONFIG_DICT ||
           kind == CONFIG_MODE || kind == CONFIG_OBJECT;
}

static int value_set(struct config *config, enum config_setting setting,
                     const char *text, enum config_source source,
                     struct config_error *error)
{
    void *value = value_at(config, setting);

    switch (rows[setting].kind) {
    case CONFIG_INT:
    case CONFIG_OCTAL:
        return number_parse(&rows[setting], text, source, error, value);
    case CONFIG_BOOL:
    case CONFIG_OFF:
    case CONFIG_ACTION:
        return bool_parse(text, error, value);
    case CONFIG_STRING:
    case CONFIG_TEXT:
    case CONFIG_COMMAS:
    case CONFIG_DICT:
    case CONFIG_MODE:
    case CONFIG_OBJECT:
        return string_set(value, text, error);
    case CONFIG_LIST:
        if (config->source[setting] != source)
            list_done(value);
        /* A default that is no value: the list is empty. */
        if (source == CONFIG_FROM_DEFAULT && text[0] == '\0')
            return 0;
        return list_add(value, text, error);
    }
    return -EINVAL;
}

/* Gunicorn's classes also have the names of Python's. */
static const char *class_plain(const char *text)
{
    static const char *const names[][2] = {
        {"gunicorn.workers.sync.SyncWorker", "sync"},
        {"egg:gunicorn#sync", "sync"},
        {"gunicorn.workers.gthread.ThreadWorker", "gthread"},
        {"egg:gunicorn#gthread", "gthread"},
        {"gunicorn.workers.ggevent.GeventWorker", "gevent"},
        {"egg:gunicorn#gevent", "gevent"},
        {"gunicorn.workers.ggevent.GeventPyWSGIWorker", "gevent"},
        {"gevent_wsgi", "gevent"},
        {"gevent_pywsgi", "gevent"},
        {"egg:gunicorn#gevent_wsgi", "gevent"},
        {"egg:gunicorn#gevent_pywsgi", "gevent"},
        {"gunicorn.workers.geventlet.EventletWorker", "eventlet"},
        {"egg:gunicorn#eventlet", "eventlet"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(text, names[i][0]) == 0)
            return names[i][1];
    }
    return text;
}

int config_set(struct config *config, enum config_setting setting,
               const char *text, enum config_source source,
               struct config_error *error)
{
    const struct config_row *row = &rows[setting];
    int err;

    if (setting == CONFIG_AT_worker_class)
        text = class_plain(text);

    if (config->source[setting] > source)
        return 0;
    err = value_set(config, setting, text, source, error);
    /* An empty string takes a setting back, whatever its rule. */
    if (err == 0 && row->rule != NULL && text[0] != '\0')
        err = row->rule(text, error);
    if (err == 0)
        config->source[setting] = source;
    return err;
}

int config_take_back(struct config *config, enum config_setting setting,
                     enum config_source source, struct config_error *error)
{
    int err = 0;

    if (config->source[setting] > source)
        return 0;
    if (rows[setting].kind == CONFIG_LIST)
        list_done(value_at(config, setting));
    else if (kind_is_text(rows[setting].kind))
        err = string_set(value_at(config, setting), "", error);
    if (err == 0)
        config->source[setting] = source;
    return err;
}

int config_defaults(struct config *config, struct config_error *error)
{
    int err = 0;

    memset(config, 0, sizeof(*config));
    for (uint32_t i = 0; i < CONFIG_SETTINGS && err == 0; i++) {
        const char *text = rows[i].value;

        if (rows[i].kind == CONFIG_ACTION)
            text = "false";
        err = config_set(config, i, text, CONFIG_FROM_DEFAULT, error);
    }
    return err;
}

static int environment_set(struct config *config,
                           const struct config_input *input,
                           struct config_error *error)
{
    char bind[280];
    int err = 0;

    if (input->port != NULL && input->port[0] != '\0') {
        snprintf(bind, sizeof(bind), "0.0.0.0:%s", input->port);
        err = config_set(config, CONFIG_AT_bind, bind, CONFIG_FROM_ENVIRONMENT,
                         error);
    }
    if (err == 0 && input->web_concurrency != NULL &&
        input->web_concurrency[0] != '\0')
        err = config_set(config, CONFIG_AT_workers, input->web_concurrency,
                         CONFIG_FROM_ENVIRONMENT, error);
    if (err == 0 && input->allow_ips != NULL) /* empty is nobody */
        err = config_set(config, CONFIG_AT_forwarded_allow_ips,
                         input->allow_ips, CONFIG_FROM_ENVIRONMENT, error);
    return err;
}

bool config_is_given(const struct config *config, enum config_setting setting)
{
    const struct config_row *row = &rows[setting];
    const void *value = config_value(config, setting);
    const struct config_list *list = value;

    if (config->source[setting] == CONFIG_FROM_DEFAULT)
        return false;
    switch (row->kind) {
    case CONFIG_INT:
    case CONFIG_OCTAL:
        return *(const uint64_t *)value != strtoull(row->value, NULL, 0);
    case CONFIG_BOOL:
    case CONFIG_OFF:
        return *(const bool *)value != (strcmp(row->value, "true") == 0);
    case CONFIG_STRING:
    case CONFIG_TEXT:
    case CONFIG_COMMAS:
    case CONFIG_DICT:
    case CONFIG_MODE:
    case CONFIG_OBJECT:
        return strcmp(*(char *const *)value, row->value) != 0;
    case CONFIG_LIST:
        return list->count > 0;
    case CONFIG_ACTION:
        return false;
    }
    return false;
}

static int config_refuse(const struct config *config,
                         struct config_error *error)
{
    for (uint32_t i = 0; i < CONFIG_SETTINGS; i++) {
        if (rows[i].status == CONFIG_REFUSED && config_is_given(config, i))
            return config_fail(error, 1, "%s: %s", rows[i].name, rows[i].help);
    }
    return 0;
}

void config_log_ignored(const struct config *config)
{
    for (uint32_t i = 0; i < CONFIG_SETTINGS; i++) {
        if (rows[i].status == CONFIG_IGNORED && config_is_given(config, i))
            log_warning("Setting %s has no effect: %s", rows[i].name,
                        rows[i].help);
    }
}

/* The application is what the file says it is; loader.py knows the prefix. */
static int config_paste(struct config *config, struct config_error *error)
{
    char uri[PATH_MAX + sizeof("config:")], here[PATH_MAX] = "";
    size_t len = strcspn(config->paste, "#");
    char *path = uri + strlen("config:");

    if (len == 0)
        return 0;
    if (config->paste[0] != '/' && getcwd(here, sizeof(here)) == NULL)
        return config_fail(error, 1, "The current directory is not there");
    if (snprintf(uri, sizeof(uri), "config:%s%s%.*s", here,
                 here[0] != '\0' ? "/" : "", (int)len,
                 config->paste) >= (int)sizeof(uri))
        return config_fail(error, 1, "The name of a file is too long");
    if (access(path, F_OK) < 0)
        return config_fail(error, 1, "'%.400s' not found", path);
    snprintf(uri + strlen(uri), sizeof(uri) - strlen(uri), "%s",
             config->paste + len);
    return string_set(&config->wsgi_app, uri, error);
}

int config_settle(struct config *config, struct config_error *error)
{
    if (config_refuse(config, error) < 0)
        return -EINVAL;
    if (config_paste(config, error) < 0)
        return -EINVAL;
    if (config->threads == 0)
        config->threads = 1;
    if (config->threads > 1 && strcmp(config->worker_class, "sync") == 0)
        return string_set(&config->worker_class, "gthread", error);
    return 0;
}

int config_load(struct config *config, const struct config_input *input,
                struct config_error *error)
{
    int err = config_defaults(config, error);

    if (err == 0)
        err = environment_set(config, input, error);
    if (err == 0 && input->cmd_args != NULL)
        err = cmdline_parse_text(config, input->cmd_args, error);
    if (err == 0)
        err = cmdline_parse(config, input->argc, input->argv,
                            CONFIG_FROM_COMMAND_LINE, error);
    return err;
}

bool config_list_equal(const struct config_list *a, const struct config_list *b)
{
    bool equal = a->count == b->count;

    for (size_t i = 0; i < a->count && equal; i++)
        equal = strcmp(a->items[i], b->items[i]) == 0;
    return equal;
}

void config_done(struct config *config)
{
    for (uint32_t i = 0; i < CONFIG_SETTINGS; i++) {
        if (rows[i].kind == CONFIG_LIST)
            list_done(value_at(config, i));
        else if (kind_is_text(rows[i].kind))
            free(*(char **)value_at(config, i));
    }
    memset(config, 0, sizeof(*config));
}
