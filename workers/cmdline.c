/* SPDX-License-Identifier: MIT */
#include "cmdline.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MORE_MAX 256 /* bytes of a word with several short flags */

struct parser {
    struct config *config;
    struct config_error *error;
    enum config_source source;
    int argc;
    char **argv;
    int at;          /* the next word */
    uint32_t words;  /* arguments that are no flags, so far */
    int last_word;   /* where the last of them was */
    bool flags_over; /* "--" was seen */
};

/* A flag's name and the value stuck to it, if any. */
struct flag {
    const char *name;
    size_t len;
    const char *value;
};

/* The next flag of a row's list; NULL at the end. */
static const char *flag_next(const char *flags, size_t *ret_len)
{
    flags += strspn(flags, " ");
    *ret_len = strcspn(flags, " ");
    return *ret_len > 0 ? flags : NULL;
}

static bool row_has(const struct config_row *row, const struct flag *flag,
                    bool prefix)
{
    const char *p = row->flags;
    size_t len;

    while ((p = flag_next(p, &len)) != NULL) {
        bool fits = prefix ? len >= flag->len && p[1] == '-' : len == flag->len;

        if (fits && strncmp(p, flag->name, flag->len) == 0)
            return true;
        p += len;
    }
    return false;
}

/* The long name of the flag that fits the prefix. */
static void candidate_add(char *list, size_t size, const struct config_row *row)
{
    const char *p = strstr(row->flags, "--");
    size_t n = strlen(list);

    snprintf(list + n, size - n, "%s%.*s", n > 0 ? ", " : "",
             p != NULL ? (int)strcspn(p, " ") : 0, p != NULL ? p : "");
}

/*
 * Gunicorn does not have these. What is short for one of its flags stays that:
 * our own take no abbreviation from those who had it first.
 */
static const bool own[CONFIG_SETTINGS] = {
    [CONFIG_AT_admin_bind] = true,
    [CONFIG_AT_autotune] = true,
    [CONFIG_AT_autotune_log] = true,
    [CONFIG_AT_autotune_url] = true,
    [CONFIG_AT_body_timeout] = true,
    [CONFIG_AT_boot_timeout] = true,
    [CONFIG_AT_header_timeout] = true,
    [CONFIG_AT_health_log] = true,
    [CONFIG_AT_health_path] = true,
    [CONFIG_AT_io] = true,
    [CONFIG_AT_json] = true,
    [CONFIG_AT_limit_address_connections] = true,
    [CONFIG_AT_limit_request_body] = true,
    [CONFIG_AT_log_format] = true,
    [CONFIG_AT_max_worker_memory] = true,
    [CONFIG_AT_numa] = true,
    [CONFIG_AT_pin] = true,
    [CONFIG_AT_proxy_headers] = true,
    [CONFIG_AT_python] = true,
    [CONFIG_AT_ready_path] = true,
    [CONFIG_AT_ready_window] = true,
    [CONFIG_AT_static_map] = true,
    [CONFIG_AT_timeout_soft] = true,
    [CONFIG_AT_warmup_url] = true,
    [CONFIG_AT_ws_max_queue] = true,
    [CONFIG_AT_ws_per_message_deflate] = true,
    [CONFIG_AT_ws_ping_interval] = true,
    [CONFIG_AT_ws_ping_timeout] = true,
};

static int prefix_find(struct parser *parser, const struct flag *flag,
                       enum config_setting *ret_setting)
{
    char candidates[256] = "";
    uint32_t found = 0, theirs = 0;

    for (uint32_t i = 0; i < CONFIG_SETTINGS; i++) {
        if (!row_has(config_row(i), flag, true) || config_row(i)->help == NULL)
            continue;
        candidate_add(candidates, sizeof(candidates), config_row(i));
        if (theirs == 0 || !own[i])
            *ret_setting = i;
        theirs += !own[i];
        found++;
    }
    if (found == 1 || theirs == 1)
        return 0;
    if (found > 1)
        return config_fail(parser->error, 2,
                           "ambiguous option: %.*s could match %s",
                           (int)flag->len, flag->name, candidates);
    return config_fail(parser->error, 2, "unrecognized arguments: %s",
                       flag->name);
}

static int flag_find(struct parser *parser, const struct flag *flag,
                     enum config_setting *ret_setting)
{
    for (uint32_t i = 0; i < CONFIG_SETTINGS; i++) {
        if (row_has(config_row(i), flag, false)) {
            *ret_setting = i;
            return 0;
        }
    }
    if (flag->len > 2 && flag->name[1] == '-')
        return prefix_find(parser, flag, ret_setting);
    return config_fail(parser->error, 2, "unrecognized arguments: %s",
                       flag->name);
}

/* "--name=value", "-w4"; the dashes belong to the name. */
static struct flag flag_split(const char *word)
{
    struct flag flag = {word, strlen(word), NULL};

    if (word[1] != '-') {
        flag.len = 2;
        if (word[2] != '\0')
            flag.value = word[2] == '=' ? word + 3 : word + 2;
    } else if (strchr(word, '=') != NULL) {
        flag.len = strcspn(word, "=");
        flag.value = word + flag.len + 1;
    }
    return flag;
}

/* argparse: a dash, a negative number or a word with blanks is a value. */
static bool is_value(const char *word)
{
    if (word[0] != '-' || word[1] == '\0' || strchr(word, ' ') != NULL)
        return true;
    return strspn(word + 1, "0123456789.") == strlen(word + 1);
}

static int fail_flag(struct parser *parser, const struct config_row *row,
                     const char *value)
{
    char name[64];

    config_flags_name(row, name);
    if (value == NULL)
        return config_fail(parser->error, 2,
                           "argument %s: expected one "
                           "argument",
                           name);
    return config_fail(parser->error, 2,
                       "argument %s: ignored explicit argument '%s'", name,
                       value);
}

/*
 * The next word, if it is a mode: "--proxy-protocol module:app" was right when
 * the flag had no value, and still is.
 */
static const char *mode_take(struct parser *parser,
                             const struct config_row *row)
{
    struct config_error error;
    const char *next;

    if (parser->at == parser->argc)
        return "auto";
    next = parser->argv[parser->at];
    if (!is_value(next) || row->rule(next, &error) != 0)
        return "auto";
    parser->at++;
    return next;
}

/* "-Rw4" is "-R -w4"; the second word of that. */
static bool letters_follow(struct parser *parser, const char *word,
                           char rest[MORE_MAX])
{
    struct config_error error = *parser->error;
    enum config_setting setting;
    struct flag flag;
    bool known;

    if (word[1] == '-' || strlen(word) > MORE_MAX)
        return false;
    snprintf(rest, MORE_MAX, "-%s", word + 2);
    flag = flag_split(rest);
    known = flag_find(parser, &flag, &setting) == 0;
    *parser->error = error;
    return known;
}

static int flag_take(struct parser *parser, const char *word)
{
    struct flag flag = flag_split(word);
    const struct config_row *row;
    enum config_setting setting = 0;
    char rest[MORE_MAX] = "";
    int err = flag_find(parser, &flag, &setting);

    if (err < 0)
        return err;
    row = config_row(setting);
    if (row->kind == CONFIG_BOOL || row->kind == CONFIG_OFF ||
        row->kind == CONFIG_ACTION) {
        if (flag.value != NULL && !letters_follow(parser, word, rest))
            return fail_flag(parser, row, flag.value);
        flag.value = row->kind == CONFIG_OFF ? "false" : "true";
    } else if (flag.value == NULL && row->kind == CONFIG_MODE) {
        flag.value = mode_take(parser, row);
    } else if (flag.value == NULL) {
        if (parser->at == parser->argc || !is_value(parser->argv[parser->at]))
            return fail_flag(parser, row, NULL);
        flag.value = parser->argv[parser->at++];
    }
    err = config_set(parser->config, setting, flag.value, parser->source,
                     parser->error);
    return err == 0 && rest[0] != '\0' ? flag_take(parser, rest) : err;
}

/* argparse takes all words of one row, and Gunicorn the first of them. */
static int word_take(struct parser *parser, const char *word)
{
    bool in_row = parser->last_word == parser->at - 1;

    parser->last_word = parser->at;
    if (parser->words++ > 0 && in_row)
        return 0;
    if (parser->words > 1)
        return config_fail(parser->error, 2, "unrecognized arguments: %s",
                           word);
    if (parser->source == CONFIG_FROM_CMD_ARGS)
        return 0;
    return config_set(parser->config, CONFIG_AT_wsgi_app, word, parser->source,
                      parser->error);
}

int cmdline_parse(struct config *config, int argc, char **argv,
                  enum config_source source, struct config_error *error)
{
    struct parser parser = {config, error, source, argc, argv, 1, 0, -1, false};
    int err = 0;

    while (parser.at < argc && err == 0) {
        const char *word = argv[parser.at++];

        if (parser.flags_over || is_value(word))
            err = word_take(&parser, word);
        else if (strcmp(word, "--") == 0)
            parser.flags_over = true;
        else
            err = flag_take(&parser, word);
    }
    return err;
}

/* One word of a shell line, unquoted in place; NULL at the end. */
static char *shell_word(char **line, bool *ret_open)
{
    char *from = *line + strspn(*line, " \t\r\n");
    char *to = from;
    char *word = from;
    char quote = '\0';

    if (*from == '\0')
        return NULL;
    for (; *from != '\0'; from++) {
        if (quote == '\0' && isspace((unsigned char)*from))
            break;
        if (*from == '\\' && quote != '\'' && from[1] != '\0')
            *to++ = *++from;
        else if (quote == '\0' && (*from == '\'' || *from == '"'))
            quote = *from;
        else if (quote != '\0' && *from == quote)
            quote = '\0';
        else
            *to++ = *from;
    }
    *line = *from != '\0' ? from + 1 : from;
    *to = '\0';
    *ret_open = quote != '\0';
    return word;
}

int cmdline_parse_text(struct config *config, const char *text,
                       struct config_error *error)
{
    char *copy = strdup(text);
    char **argv = calloc(strlen(text) + 2, sizeof(*argv));
    char *line = copy;
    bool open = false;
    int argc = 1;
    int err;

    if (copy == NULL || argv == NULL)
        err = config_fail(error, 1, "out of memory");
    else {
        while ((argv[argc] = shell_word(&line, &open)) != NULL)
            argc++;
        err = open ? config_fail(error, 1,
                                 "No closing quotation in "
                                 "GUNICORN_CMD_ARGS")
                   : cmdline_parse(config, argc, argv, CONFIG_FROM_CMD_ARGS,
                                   error);
    }
    free(argv);
    free(copy);
    return err;
}
