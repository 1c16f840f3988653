/* SPDX-License-Identifier: MIT */
#include "title.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* The strings lie one after another from argv[0] on; where that run ends. */
static char *strings_end(int argc, char **argv)
{
    char *end = argv[0];

    for (int i = 0; i < argc && argv[i] == end; i++)
        end += strlen(argv[i]) + 1;
    for (char **env = environ; *env != NULL && *env == end; env++)
        end += strlen(*env) + 1;
    return end;
}

/* Copies that stay for the life of the process. */
static bool environment_move(void)
{
    size_t count = 0;
    char **copy;

    while (environ[count] != NULL)
        count++;
    copy = calloc(count + 1, sizeof(*copy));
    if (copy == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        copy[i] = strdup(environ[i]);
        /* Where the old one is will be overwritten, so it must be all. */
        if (copy[i] == NULL) {
            free(copy);
            return false;
        }
    }
    environ = copy;
    return true;
}

void title_init(struct title *title, int argc, char **argv)
{
    title->start = argc > 0 ? argv[0] : NULL;
    title->room = 0;
    if (argc > 0) {
        char *end = strings_end(argc, argv);

        if (environment_move())
            title->room = (size_t)(end - argv[0]);
    }
}

void title_set(const struct title *title, const char *role, const char *name)
{
    char text[256];

    snprintf(text, sizeof(text), "gcorn: %s", role);
    prctl(PR_SET_NAME, text);
    if (title->room < 2)
        return;
    snprintf(text, sizeof(text), "gcorn: %s [%s]", role, name);
    memset(title->start, '\0', title->room);
    snprintf(title->start, title->room, "%s", text);
}
