/* SPDX-License-Identifier: MIT */
#include "migrate_vars.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void migrate_vars_done(struct migrate_vars *vars)
{
    for (size_t i = 0; i < vars->count; i++) {
        free(vars->list[i].name);
        free(vars->list[i].value);
    }
    free(vars->list);
    *vars = (struct migrate_vars){.list = NULL};
}

void migrate_vars_set(struct migrate_vars *vars, const char *name,
                      const char *value)
{
    struct migrate_var var = {strdup(name), strdup(value)};

    vars->list = reallocarray(vars->list, vars->count + 1, sizeof(*vars->list));
    must(var.name != NULL && var.value != NULL && vars->list != NULL);
    vars->list[vars->count++] = var;
}

/* The option as it was set last, else NULL. */
static const char *find(const struct migrate_vars *vars, const char *name,
                        size_t len)
{
    for (size_t i = vars->count; i > 0; i--) {
        const struct migrate_var *var = &vars->list[i - 1];

        if (strlen(var->name) == len && strncmp(var->name, name, len) == 0)
            return var->value;
    }
    return NULL;
}

static void put_environment(FILE *to, const char *name, size_t len)
{
    char *copy = strndup(name, len);
    const char *value;

    must(copy != NULL);
    value = getenv(copy);
    if (value != NULL)
        fputs(value, to);
    else
        fprintf(to, "$(%s)", copy);
    free(copy);
}

/* %d its directory, %n its name without what follows the last dot, %s its
 * name, %p its path. False: none of these. */
static bool put_about_file(FILE *to, const char *path, char what)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    const char *dot = strrchr(name, '.');

    if (what == 'd')
        fprintf(to, "%.*s", (int)(name - path), path);
    else if (what == 'n')
        fprintf(to, "%.*s",
                (int)(dot != NULL ? dot - name : (long)strlen(name)), name);
    else if (what == 's')
        fputs(name, to);
    else if (what == 'p')
        fputs(path, to);
    else
        return false;
    return true;
}

/* One reference at the start of text; returns its length, 0: there is none. */
static size_t put_reference(const struct migrate_vars *vars, FILE *to,
                            const char *text)
{
    const char *end = text[1] == '(' ? strchr(text, ')') : NULL;
    size_t len = end != NULL ? (size_t)(end - text - 2) : 0;
    const char *value;

    if (end != NULL && text[0] == '$') {
        put_environment(to, text + 2, len);
        return len + 3;
    }
    if (text[0] != '%')
        return 0;
    if (end == NULL)
        return put_about_file(to, vars->path, text[1]) ? 2 : 0;
    value = find(vars, text + 2, len);
    if (value == NULL)
        return 0;
    fputs(value, to);
    return len + 3;
}

char *migrate_vars_expand(const struct migrate_vars *vars, const char *text)
{
    char *out = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&out, &size);

    must(to != NULL);
    while (*text != '\0') {
        size_t len = put_reference(vars, to, text);

        if (len == 0)
            fputc(*text++, to);
        text += len;
    }
    fclose(to);
    must(out != NULL);
    return out;
}
