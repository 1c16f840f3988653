/* SPDX-License-Identifier: MIT */
#include "migrate.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX (1 << 20)

struct list {
    char **items;
    size_t count;
};

struct migrate {
    char *module;
    char *callable;
    struct list words; /* "--flag value", quoted */
    struct list lines;
};

static printf_like(1, 2) char *text_make(const char *fmt, ...)
{
    va_list args;
    char *text;
    int n;

    va_start(args, fmt);
    n = vasprintf(&text, fmt, args);
    va_end(args);
    must(n >= 0);
    return text;
}

static void list_add(struct list *list, char *item)
{
    list->items = reallocarray(list->items, list->count + 1,
                               sizeof(*list->items));
    must(list->items != NULL);
    list->items[list->count++] = item;
}

static void list_done(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
}

struct migrate *migrate_new(void)
{
    struct migrate *migrate = calloc(1, sizeof(*migrate));

    must(migrate != NULL);
    return migrate;
}

void migrate_free(struct migrate *migrate)
{
    list_done(&migrate->words);
    list_done(&migrate->lines);
    free(migrate->module);
    free(migrate->callable);
    free(migrate);
}

/* As a shell needs it: 'it'\''s'. */
static char *quoted(const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRST"
                                "UVWXYZ0123456789_-./:=,@%+";
    char *out, *p;

    if (text[0] != '\0' && text[strspn(text, plain)] == '\0')
        return text_make("%s", text);
    out = p = malloc(strlen(text) * 4 + 3);
    must(out != NULL);
    *p++ = '\'';
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            memcpy(p, "'\\''", 4);
            p += 4;
        } else {
            *p++ = *text;
        }
    }
    *p++ = '\'';
    *p = '\0';
    return out;
}

void migrate_note(struct migrate *migrate, const char *option, const char *what)
{
    list_add(&migrate->lines, text_make("%-36s %s", option, what));
}

void migrate_flag(struct migrate *migrate, const char *option, const char *flag,
                  const char *value)
{
    char *word, *line;

    if (value != NULL) {
        char *quote = quoted(value);

        word = text_make("%s %s", flag, quote);
        free(quote);
    } else {
        word = text_make("%s", flag);
    }
    line = text_make("mapped: %s", word);
    list_add(&migrate->words, word);
    migrate_note(migrate, option, line);
    free(line);
}

void migrate_module(struct migrate *migrate, const char *option,
                    const char *module)
{
    const char *colon = strchr(module, ':');

    free(migrate->module);
    migrate->module = text_make(
        "%.*s", (int)(colon != NULL ? colon - module : (long)strlen(module)),
        module);
    if (colon != NULL) {
        free(migrate->callable);
        migrate->callable = text_make("%s", colon + 1);
    }
    migrate_note(migrate, option, "mapped: the application");
}

void migrate_callable(struct migrate *migrate, const char *option,
                      const char *callable)
{
    free(migrate->callable);
    migrate->callable = text_make("%s", callable);
    migrate_note(migrate, option, "mapped: the application");
}

void migrate_not_needed(struct migrate *migrate, const char *option,
                        const char *why)
{
    char *line = text_make("not needed: %s", why);

    migrate_note(migrate, option, line);
    free(line);
}

void migrate_no_equivalent(struct migrate *migrate, const char *option,
                           const char *instead)
{
    char *line = text_make("no equivalent: %s", instead);

    migrate_note(migrate, option, line);
    free(line);
}

bool migrate_has(const struct migrate *migrate, const char *flag)
{
    size_t len = strlen(flag);

    for (size_t i = 0; i < migrate->words.count; i++) {
        const char *word = migrate->words.items[i];

        if (strncmp(word, flag, len) == 0 &&
            (word[len] == ' ' || word[len] == '\0'))
            return true;
    }
    return false;
}

void migrate_print(const struct migrate *migrate, FILE *to)
{
    char *application = text_make(
        "%s%s%s", migrate->module != NULL ? migrate->module : "MODULE",
        migrate->callable != NULL ? ":" : "",
        migrate->callable != NULL ? migrate->callable : "");
    char *quote = quoted(application);

    fprintf(to, "gcorn %s", quote);
    for (size_t i = 0; i < migrate->words.count; i++)
        fprintf(to, " \\\n    %s", migrate->words.items[i]);
    fputs("\n\n", to);
    for (size_t i = 0; i < migrate->lines.count; i++)
        fprintf(to, "# %s\n", migrate->lines.items[i]);
    free(quote);
    free(application);
}

static char *file_read(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t n = 0;

    if (file == NULL)
        return NULL;
    text = malloc(FILE_BYTES_MAX + 1);
    if (text != NULL)
        n = fread(text, 1, FILE_BYTES_MAX, file);
    if (text != NULL)
        text[n] = '\0';
    fclose(file);
    return text;
}

static int run(const char *path, bool is_unit)
{
    struct migrate *migrate;
    char *text = file_read(path);
    int err;

    if (text == NULL) {
        fprintf(stderr, "\nError: can't read '%s': %s\n", path,
                strerror(errno));
        return 1;
    }
    migrate = migrate_new();
    err = is_unit ? migrate_unit(migrate, text)
                  : migrate_uwsgi(migrate, path, text);
    if (err == 0)
        migrate_print(migrate, stdout);
    else
        fprintf(stderr, "\nError: '%s' is not %s\n", path,
                is_unit ? "a configuration of Unit (JSON with \"listeners\" "
                          "and \"applications\")"
                        : "an ini file with a section [uwsgi]");
    migrate_free(migrate);
    free(text);
    return err == 0 ? 0 : 1;
}

bool migrate_main(int argc, char **argv, int *ret_code)
{
    bool is_unit = argc > 1 && strcmp(argv[1], "--from-unit") == 0;

    if (!is_unit && (argc < 2 || strcmp(argv[1], "--from-uwsgi") != 0))
        return false;
    if (argc != 3) {
        fprintf(stderr, "usage: gcorn %s FILE\n", argv[1]);
        *ret_code = 2;
        return true;
    }
    *ret_code = run(argv[2], is_unit);
    return true;
}
