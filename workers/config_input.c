/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The shell's name for this directory keeps symbolic links, as in Gunicorn. */
static const char *directory(char out[PATH_MAX])
{
    const char *shell = getenv("PWD");
    struct stat theirs, ours;

    if (shell != NULL && shell[0] == '/' && stat(shell, &theirs) == 0 &&
        stat(".", &ours) == 0 && theirs.st_dev == ours.st_dev &&
        theirs.st_ino == ours.st_ino)
        return shell;
    return getcwd(out, PATH_MAX);
}

/* A copy of the variable, or NULL when it is not set. */
static int variable(const char *name, char **ret_value)
{
    const char *value = getenv(name);

    *ret_value = value != NULL ? strdup(value) : NULL;
    return value != NULL && *ret_value == NULL ? -ENOMEM : 0;
}

static int words_copy(struct config_input *input, int argc, char **argv)
{
    input->argc = argc;
    input->argv = calloc((size_t)argc + 1, sizeof(*input->argv));
    if (input->argv == NULL)
        return -ENOMEM;
    for (int i = 0; i < argc; i++) {
        input->argv[i] = strdup(argv[i]);
        if (input->argv[i] == NULL)
            return -ENOMEM;
    }
    return 0;
}

int config_input_init(struct config_input *ret_input, int argc, char **argv)
{
    char path[PATH_MAX];
    const char *cwd = directory(path);
    int err = words_copy(ret_input, argc, argv);

    ret_input->cwd = strdup(cwd != NULL ? cwd : "/");
    if (err == 0 && ret_input->cwd == NULL)
        err = -ENOMEM;
    if (err == 0)
        err = variable("PORT", &ret_input->port);
    if (err == 0)
        err = variable("WEB_CONCURRENCY", &ret_input->web_concurrency);
    if (err == 0)
        err = variable("GUNICORN_CMD_ARGS", &ret_input->cmd_args);
    if (err == 0)
        err = variable("FORWARDED_ALLOW_IPS", &ret_input->allow_ips);
    return err;
}

void config_input_done(struct config_input *input)
{
    for (int i = 0; i < input->argc; i++)
        free(input->argv[i]);
    free(input->argv);
    free(input->cwd);
    free(input->port);
    free(input->web_concurrency);
    free(input->cmd_args);
    free(input->allow_ips);
    *input = (struct config_input){.argc = 0};
}
