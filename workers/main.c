/* SPDX-License-Identifier: MIT */
/*
 * gcorn [OPTIONS] [APP_MODULE]: reads the settings and does what they ask.
 */
#include "autotune.h"
#include "config.h"
#include "config_machine.h"
#include "keepalive_log.h"
#include "master.h"
#include "migrate.h"
#include "title.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fail(const struct config_error *error)
{
    if (error->exit_code == 2)
        fprintf(stderr,
                "usage: gcorn [OPTIONS] [APP_MODULE]\ngcorn: error: %s\n",
                error->text);
    else
        config_error_print(error);
    return error->exit_code;
}

/*
 * Started without standard streams, the next files to be opened would take
 * their numbers, and be written to by mistake.
 */
static void streams_open(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

/* True when a flag of the command line was all there is to do. */
static bool act(const struct config *config)
{
    if (config->help)
        config_print_help(stdout);
    else if (config->version)
        printf("gcorn (version %s)\n", GCORN_VERSION);
    else if (config->settings_table)
        config_print_table(stdout);
    else
        return false;
    return true;
}

/* True when there is more to do: the server is to be started. */
static bool tune(const struct config *config, const struct config_input *input,
                 const struct title *title, struct master_task *task,
                 int *ret_code)
{
    enum config_autotune mode = CONFIG_AUTOTUNE_OFF;

    config_autotune_parse(config->autotune, &mode);
    *ret_code = 0;
    if (mode == CONFIG_AUTOTUNE_OFF || config->check_config ||
        config->print_config)
        return true;
    *ret_code = autotune_run(config, input, title, &task->need);
    return *ret_code == 0 && mode == CONFIG_AUTOTUNE_SERVE;
}

static int run(struct config *config, const struct config_input *input,
               const struct title *title, struct launch *launch)
{
    struct daemon daemon = {.report_fd = -1};
    struct master_task task = {
        .launch = launch, .daemon = &daemon, .ready_fd = -1};
    int code;

    if (!tune(config, input, title, &task, &code))
        return code;
    code = master_run(config, input, title, &task);
    daemon_report(&daemon, code,
                  "The server ended before it served; see its error log");
    return code;
}

/* "gcorn ctl" and "gcorn reload" are a program beside this one. */
static int run_ctl(char **argv)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 5);

    if (n > 0) {
        memcpy(path + n, "-ctl", 5);
        execv(path, argv);
    }
    fprintf(stderr, "Error: can't run gcorn-ctl: %s\n", strerror(errno));
    return 1;
}

int main(int argc, char **argv)
{
    struct config config;
    struct config_error error;
    struct launch launch;
    struct title title;
    int code = 0;
    struct config_input input = {.argc = 0};

    streams_open();
    if (migrate_main(argc, argv, &code))
        return code;
    if (argc > 1 &&
        (strcmp(argv[1], "ctl") == 0 || strcmp(argv[1], "reload") == 0))
        return run_ctl(argv);
    if (config_input_init(&input, argc, argv) < 0 || launch_read(&launch) < 0)
        return 1;
    if (config_load(&config, &input, &error) < 0) {
        code = fail(&error);
    } else if (config.autotune_log[0] != '\0') {
        code = keepalive_log_advise(config.autotune_log, stdout);
    } else if (!act(&config)) {
        title_init(&title, argc, argv);
        code = run(&config, &input, &title, &launch);
    }
    config_done(&config);
    config_input_done(&input);
    launch_done(&launch);
    return code;
}
