/* SPDX-License-Identifier: MIT */
#include "title.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where the strings of a vector end that follow one another from *end on. */
static void extend(char **end, char *const *strings)
{
    for (; *strings && *strings == *end; strings++)
        *end += strlen(*strings) + 1;
}

static void free_strings(char **strings)
{
    for (size_t i = 0; strings[i]; i++)
        free(strings[i]);
    free(strings);
}

static char **copy_strings(char *const *from)
{
    size_t count = 0;
    char **copy;

    while (from[count])
        count++;
    copy = calloc(count + 1, sizeof(*copy));
    if (!copy)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        copy[i] = strdup(from[i]);
        if (!copy[i]) {
            free_strings(copy);
            return NULL;
        }
    }
    return copy;
}

int title_init(struct title *title, int argc, char **argv)
{
    char *end;
    char **moved;

    *title = (struct title){0};
    if (argc < 1)
        return 0;
    end = argv[0];
    extend(&end, argv);
    extend(&end, environ);
    moved = copy_strings(environ);
    if (!moved)
        return -ENOMEM;
    environ = moved;
    title->area = argv[0];
    title->room = (size_t)(end - argv[0]);
    return 0;
}

/* What is left of the old text is cleared, so that ps shows none of it. */
void title_set(const struct title *title, const char *fmt, ...)
{
    va_list args;

    if (!title->area)
        return;
    memset(title->area, 0, title->room);
    va_start(args, fmt);
    vsnprintf(title->area, title->room, fmt, args);
    va_end(args);
}
