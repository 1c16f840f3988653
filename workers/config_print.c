/* SPDX-License-Identifier: MIT */
/* The settings as text: --help, --print-config and the table of README.md. */
#include "config.h"

#include "core/owner.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define HELP_COLUMN 24
#define HELP_WIDTH 79

static void print_list(const struct config_list *list, FILE *to)
{
    fputc('[', to);
    for (size_t i = 0; i < list->count; i++)
        fprintf(to, "%s'%s'", i > 0 ? ", " : "", list->items[i]);
    fputc(']', to);
}

/* "a, b" as ['a', 'b']. */
static void print_commas(const char *text, FILE *to)
{
    const char *before = "";

    fputc('[', to);
    while (*text != '\0') {
        int len;

        text += strspn(text, ", ");
        len = (int)strcspn(text, ",");
        if (len > 0)
            fprintf(to, "%s'%.*s'", before, len, text);
        before = ", ";
        text += len;
    }
    fputc(']', to);
}

/* Lines KEY=VALUE as {'KEY': 'VALUE'}. */
static void print_dict(const char *text, FILE *to)
{
    const char *before = "";

    fputc('{', to);
    while (*text != '\0') {
        int key = (int)strcspn(text, "=\n");
        const char *value = text + key + (text[key] == '=' ? 1 : 0);
        int len = (int)strcspn(value, "\n");

        fprintf(to, "%s'%.*s': '%.*s'", before, key, text, len, value);
        before = ", ";
        text = value + len + (value[len] == '\n' ? 1 : 0);
    }
    fputc('}', to);
}

/* What Gunicorn makes of these is a number, or the whole path. */
static bool print_resolved(enum config_setting setting, const char *text,
                           FILE *to)
{
    struct owner owner = {.uid = 0, .gid = 0};
    char cwd[PATH_MAX] = "";

    if (setting == CONFIG_AT_user && owner_find(&owner, text, "") == 0)
        return fprintf(to, "%u", (unsigned)owner.uid) > 0;
    if (setting == CONFIG_AT_group && owner_find(&owner, "", text) == 0)
        return fprintf(to, "%u", (unsigned)owner.gid) > 0;
    if (setting != CONFIG_AT_chdir ||
        realpath(text[0] != '\0' ? text : ".", cwd) == NULL)
        return false;
    return fputs(cwd, to) >= 0;
}

static void print_text(enum config_setting setting, const char *text, FILE *to)
{
    enum config_kind kind = config_row(setting)->kind;

    if (print_resolved(setting, text, to))
        return;
    if (kind == CONFIG_COMMAS)
        print_commas(text, to);
    else if (kind == CONFIG_DICT)
        print_dict(text, to);
    else
        fputs(text[0] != '\0' || kind == CONFIG_TEXT ? text : "None", to);
}

static void print_value(const struct config *config,
                        enum config_setting setting, FILE *to)
{
    const void *value = config_value(config, setting);

    switch (config_row(setting)->kind) {
    case CONFIG_INT:
    case CONFIG_OCTAL:
        fprintf(to, "%llu", (unsigned long long)*(const uint64_t *)value);
        break;
    case CONFIG_OFF:
        fputs(*(const bool *)value ? "None" : "False", to);
        break;
    case CONFIG_BOOL:
    case CONFIG_ACTION:
        fputs(*(const bool *)value ? "True" : "False", to);
        break;
    case CONFIG_STRING:
    case CONFIG_TEXT:
    case CONFIG_COMMAS:
    case CONFIG_DICT:
    case CONFIG_MODE:
    case CONFIG_OBJECT:
        print_text(setting, *(char *const *)value, to);
        break;
    case CONFIG_LIST:
        print_list(value, to);
        break;
    }
}

static int name_order(const void *a, const void *b)
{
    return strcmp(config_row(*(const uint32_t *)a)->name,
                  config_row(*(const uint32_t *)b)->name);
}

void config_print(const struct config *config, FILE *to)
{
    uint32_t order[CONFIG_SETTINGS];
    uint32_t count = 0;
    int widest = 0;

    for (uint32_t i = 0; i < CONFIG_SETTINGS; i++) {
        int width = (int)strlen(config_row(i)->name);

        if (config_row(i)->kind == CONFIG_ACTION)
            continue;
        widest = width > widest ? width : widest;
        order[count++] = i;
    }
    qsort(order, count, sizeof(order[0]), name_order);
    for (uint32_t i = 0; i < count; i++) {
        fprintf(to, "%-*s = ", widest, config_row(order[i])->name);
        print_value(config, order[i], to);
        fputc('\n', to);
    }
}

/* "-w INT, --workers INT" */
static int print_flags(const struct config_row *row, FILE *to)
{
    const char *p = row->flags;
    int width = 0;

    while (*p != '\0') {
        int len = (int)strcspn(p, " ");

        width += fprintf(to, "%.*s%s%s", len, p,
                         row->metavar[0] != '\0' ? " " : "", row->metavar);
        p += len;
        p += strspn(p, " ");
        if (*p != '\0')
            width += fprintf(to, ", ");
    }
    return width;
}

static int newline(FILE *to)
{
    fprintf(to, "\n%*s", HELP_COLUMN, "");
    return HELP_COLUMN;
}

/* Whole words, wrapped behind the column. */
static int print_wrapped(const char *text, int column, FILE *to)
{
    while (*text != '\0') {
        int len = (int)strcspn(text, " ");

        if (column + 1 + len > HELP_WIDTH)
            column = newline(to);
        else if (column > HELP_COLUMN)
            column += fprintf(to, " ");
        column += fprintf(to, "%.*s", len, text);
        text += len;
        text += strspn(text, " ");
    }
    return column;
}

static const char *status_text(const struct config_row *row)
{
    switch (row->status) {
    case CONFIG_DONE:
        return "";
    case CONFIG_IGNORED:
        return "No effect. ";
    case CONFIG_REFUSED:
        return "Refused. ";
    }
    return "";
}

static void help_row(enum config_setting setting, FILE *to)
{
    const struct config_row *row = config_row(setting);
    char ending[96] = "";
    int column;

    if (row->help == NULL || row->flags[0] == '\0')
        return;
    fputs("  ", to);
    column = 2 + print_flags(row, to);
    if (column > HELP_COLUMN - 2)
        column = newline(to);
    else
        column += fprintf(to, "%*s", HELP_COLUMN - column, "");
    column = print_wrapped(status_text(row), column, to);
    column = print_wrapped(row->help, column, to);
    if (row->kind != CONFIG_ACTION && row->kind != CONFIG_BOOL &&
        row->kind != CONFIG_OFF && row->status == CONFIG_DONE &&
        row->value[0] != '\0' && strlen(row->value) + 4 < sizeof(ending)) {
        snprintf(ending, sizeof(ending), "[%s]", row->value);
        print_wrapped(ending, column, to);
    }
    fputc('\n', to);
}

static void help_section(const char *title, FILE *to)
{
    if (title[0] != '\0')
        fprintf(to, "\n%s:\n", title);
    else
        fputc('\n', to);
}

void config_print_help(FILE *to)
{
    fputs("usage: gcorn [OPTIONS] [APP_MODULE]\n\n"
          "Serves the Python web application APP_MODULE, which is "
          "MODULE[:EXPRESSION].\nLong options may be shortened as long as "
          "they stay unambiguous. Defaults are in\nbrackets.\n",
          to);
#define SECTION(title) help_section(title, to);
#define SETTING(name, kind, status, flags, metavar, value, rule, help)         \
    help_row(CONFIG_AT_##name, to);
#include "workers/settings.def"
}

/* A bar or a new line would end the table's cell. */
static void print_cell(const char *text, FILE *to)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            fputc('\\', to);
        fputc(*text == '\n' ? ' ' : *text, to);
    }
}

static void table_flags(const struct config_row *row, FILE *to)
{
    const char *p = row->flags;

    while (*p != '\0') {
        int len = (int)strcspn(p, " ");

        fprintf(to, "`%.*s`", len, p);
        p += len;
        p += strspn(p, " ");
        if (*p != '\0')
            fputc(' ', to);
    }
}

static void table_row(enum config_setting setting, FILE *to)
{
    const struct config_row *row = config_row(setting);

    if (row->kind == CONFIG_ACTION)
        return;
    fprintf(to, "| `%s` | ", row->name);
    table_flags(row, to);
    fputs(" | ", to);
    if (row->value[0] != '\0' && row->kind != CONFIG_BOOL &&
        row->kind != CONFIG_OFF && row->kind != CONFIG_OBJECT) {
        fputc('`', to);
        print_cell(row->value, to);
        fputc('`', to);
    }
    fputs(" | ", to);
    fputs(status_text(row), to);
    print_cell(row->help, to);
    fputs(" |\n", to);
}

static void table_section(const char *title, FILE *to)
{
    if (title[0] != '\0')
        fprintf(to, "| **%s** | | | |\n", title);
}

void config_print_table(FILE *to)
{
    fputs("| setting | flags | default | |\n|---|---|---|---|\n", to);
#define SECTION(title) table_section(title, to);
#define SETTING(name, kind, status, flags, metavar, value, rule, help)         \
    table_row(CONFIG_AT_##name, to);
#include "workers/settings.def"
}
