/* SPDX-License-Identifier: MIT */
#include "control_path.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int join(char out[CONTROL_PATH_MAX], const char *directory,
                const char *name)
{
    int n = snprintf(out, CONTROL_PATH_MAX, "%s/%s", directory, name);

    return n < CONTROL_PATH_MAX ? 0 : -ENAMETOOLONG;
}

int control_path_find(const char *name, char out[CONTROL_PATH_MAX])
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    const char *home = getenv("HOME");
    char cwd[PATH_MAX];
    struct stat st;

    if (name[0] == '/') {
        if (strlen(name) >= CONTROL_PATH_MAX)
            return -ENAMETOOLONG;
        memcpy(out, name, strlen(name) + 1);
        return 0;
    }
    if (name[0] != '\0')
        return getcwd(cwd, sizeof(cwd)) ? join(out, cwd, name) : -errno;
    if (runtime != NULL && stat(runtime, &st) == 0 && S_ISDIR(st.st_mode))
        return join(out, runtime, "gunicorn.ctl");
    return join(out, home != NULL ? home : "", ".gunicorn/gunicorn.ctl");
}

void control_path_directory(const char *path, char out[CONTROL_PATH_MAX])
{
    const char *end = strrchr(path, '/');

    snprintf(out, CONTROL_PATH_MAX, "%.*s", (int)(end - path), path);
}
