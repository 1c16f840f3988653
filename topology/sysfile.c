/* SPDX-License-Identifier: MIT */
#include "topology/sysfile.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool sysfile_text(const char *root, const char *path, char *text, size_t size)
{
    char full[PATH_MAX];
    FILE *file;
    size_t n;

    text[0] = '\0';
    snprintf(full, sizeof(full), "%s%s", root, path);
    file = fopen(full, "re");
    if (!file)
        return false;
    n = fread(text, 1, size - 1, file);
    if (ferror(file))
        n = 0;
    fclose(file);
    while (n > 0 && strchr(" \t\r\n", text[n - 1]))
        n--;
    text[n] = '\0';
    return n > 0;
}

/* Files in /sys may fail to be read, not only to be opened. */
bool sysfile_number(const char *root, const char *path, int64_t *ret_number)
{
    char text[64], *end;
    long long number;

    if (!sysfile_text(root, path, text, sizeof(text)))
        return false;
    errno = 0;
    number = strtoll(text, &end, 10);
    if (end == text || errno)
        return false;
    *ret_number = number;
    return true;
}

bool sysfile_exists(const char *root, const char *path)
{
    char full[PATH_MAX];

    snprintf(full, sizeof(full), "%s%s", root, path);
    return access(full, F_OK) == 0;
}

bool sysfile_link_name(const char *root, const char *path, char *name,
                       size_t size)
{
    char full[PATH_MAX], target[PATH_MAX];
    const char *last;
    ssize_t n;

    snprintf(full, sizeof(full), "%s%s", root, path);
    n = readlink(full, target, sizeof(target) - 1);
    name[0] = '\0';
    if (n <= 0)
        return false;
    target[n] = '\0';
    last = strrchr(target, '/');
    snprintf(name, size, "%s", last ? last + 1 : target);
    return true;
}

static int is_shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

bool sysfile_each(const char *root, const char *path,
                  void (*on_entry)(const char *name, void *data), void *data)
{
    struct dirent **entries = NULL;
    char full[PATH_MAX];
    int count;

    snprintf(full, sizeof(full), "%s%s", root, path);
    count = scandir(full, &entries, is_shown, versionsort);
    if (count < 0)
        return false;
    for (int i = 0; i < count; i++) {
        on_entry(entries[i]->d_name, data);
        free(entries[i]);
    }
    free(entries);
    return true;
}
