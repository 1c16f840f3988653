/* SPDX-License-Identifier: MIT */
/*
 * config - the settings: from their table (settings.def), the environment,
 * GUNICORN_CMD_ARGS and the command line, each overriding those before it.
 *
 * Names, flags, abbreviations and exit codes are those of Gunicorn, whose
 * command line is parsed by argparse. Belongs to the master; interpreters see
 * a copy on the board. Nothing here opens, binds or changes anything.
 */
#ifndef GCORN_WORKERS_CONFIG_H
#define GCORN_WORKERS_CONFIG_H

#include "core/base.h"

#include <stdio.h>

struct config_list {
    char **items;
    size_t count;
};

/* INT and OCTAL are numbers, an empty text is "not given". */
#define CONFIG_FIELD_INT uint64_t
#define CONFIG_FIELD_OCTAL uint64_t
#define CONFIG_FIELD_BOOL bool
#define CONFIG_FIELD_STRING char *
#define CONFIG_FIELD_OFF bool
#define CONFIG_FIELD_TEXT char *
#define CONFIG_FIELD_COMMAS char *
#define CONFIG_FIELD_DICT char *
#define CONFIG_FIELD_MODE char *
#define CONFIG_FIELD_OBJECT char *
#define CONFIG_FIELD_LIST struct config_list
#define CONFIG_FIELD_ACTION bool

enum config_kind {
    CONFIG_INT,
    CONFIG_OCTAL,
    CONFIG_BOOL,
    CONFIG_OFF,
    CONFIG_STRING,
    CONFIG_TEXT,
    CONFIG_COMMAS,
    CONFIG_DICT,
    CONFIG_MODE,
    CONFIG_OBJECT,
    CONFIG_LIST,
    CONFIG_ACTION,
};

/* What a setting does here: see settings.def. */
enum config_status {
    CONFIG_DONE,
    CONFIG_IGNORED,
    CONFIG_REFUSED,
};

enum config_setting {
#define SETTING(name, kind, status, flags, metavar, value, rule, help)         \
    CONFIG_AT_##name,
#include "workers/settings.def"
    CONFIG_SETTINGS,
};

/* Who said it, from weak to strong. A weaker source never overrides. */
enum config_source {
    CONFIG_FROM_DEFAULT,
    CONFIG_FROM_ENVIRONMENT, /* PORT and its like */
    CONFIG_FROM_FILE,
    CONFIG_FROM_CMD_ARGS, /* GUNICORN_CMD_ARGS */
    CONFIG_FROM_COMMAND_LINE,
};

struct config {
#define SETTING(name, kind, status, flags, metavar, value, rule, help)         \
    CONFIG_FIELD_##kind name;
#include "workers/settings.def"
    enum config_source source[CONFIG_SETTINGS];
};

/* A message for the operator and the exit code that goes with it. */
struct config_error {
    int exit_code; /* 2: usage; 1: everything else */
    char text[512];
};

/* Where settings come from, as it was when gcorn was started. */
struct config_input {
    int argc;
    char **argv;
    char *cwd;
    char *port;            /* $PORT or NULL */
    char *web_concurrency; /* $WEB_CONCURRENCY or NULL */
    char *cmd_args;        /* $GUNICORN_CMD_ARGS or NULL */
    char *allow_ips;       /* $FORWARDED_ALLOW_IPS or NULL */
};

/*
 * What this process was given, copied: titles are written over argv, and what
 * HUP reads must not change. 0 or -ENOMEM.
 */
int config_input_init(struct config_input *ret_input, int argc, char **argv);
void config_input_done(struct config_input *input);

/*
 * Reads all sources but the configuration file (config_file.h). Returns 0, or
 * -EINVAL with the error filled in. The config must be given to config_done()
 * in both cases.
 */
int config_load(struct config *config, const struct config_input *input,
                struct config_error *error);
void config_done(struct config *config);

/* When all sources were read: what depends on several settings, and what is
 * refused. 0, or -EINVAL with the error filled in. */
int config_settle(struct config *config, struct config_error *error);

/* What config_load() is made of; also for sources that come later. */
int config_defaults(struct config *config, struct config_error *error);

/*
 * Sets one value from its text, unless a stronger source has set it already.
 * The first value of a list replaces those of weaker sources, later ones of
 * the same source are added.
 */
int config_set(struct config *config, enum config_setting setting,
               const char *text, enum config_source source,
               struct config_error *error);

/* "None", or an empty list, said by this source. */
int config_take_back(struct config *config, enum config_setting setting,
                     enum config_source source, struct config_error *error);

/* Fills the error and returns -EINVAL. */
int config_fail(struct config_error *error, int exit_code, const char *fmt, ...)
    printf_like(3, 4);

/* To standard error, unless nothing is wrong. */
void config_error_print(const struct config_error *error);

/* The row of the table. */
struct config_row {
    const char *name;
    enum config_kind kind;
    enum config_status status;
    const char *flags;
    const char *metavar;
    const char *value;
    int (*rule)(const char *text, struct config_error *error);
    const char *help;
};

const struct config_row *config_row(enum config_setting setting);

/* "-w/--workers", as argparse names an argument. */
void config_flags_name(const struct config_row *row, char out[64]);

/* Where the value lies; its type is that of the row's kind. */
const void *config_value(const struct config *config,
                         enum config_setting setting);

/* True when the value is not the default of the table. */
bool config_is_given(const struct config *config, enum config_setting setting);

bool config_list_equal(const struct config_list *a,
                       const struct config_list *b);

/* Says in the log which settings were given that have no effect. */
void config_log_ignored(const struct config *config);

/* The values: for --print-config; lists in Python's form, "" is None. */
void config_print(const struct config *config, FILE *to);
void config_print_help(FILE *to);
/* The table of README.md (Markdown) from the rows. */
void config_print_table(FILE *to);
#endif
