/* SPDX-License-Identifier: MIT */
#include "boot.h"

#include "channel.h"
#include "config_file.h"
#include "generation.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int silent(struct config_error *error, int exit_code)
{
    error->exit_code = exit_code;
    error->text[0] = '\0';
    return -EINVAL;
}

/* Only what ends gcorn counts before it serves. */
static bool asked_to_stop(const struct master *master)
{
    struct signalfd_siginfo info;

    while (read(master->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT ||
            info.ssi_signo == SIGQUIT)
            return true;
    }
    return false;
}

static int wait_for(struct master *master, enum template_op op,
                    union channel_message *message, struct config_error *error)
{
    struct pollfd sources[] = {
        {.fd = master->current.fd, .events = POLLIN},
        {.fd = master->signal_fd, .events = POLLIN},
    };

    for (;;) {
        int got = channel_hear(master->current.fd, message);

        if (got < 0)
            return silent(error, 1);
        if (got > 0 && message->op == op)
            return 0;
        if (got > 0 && message->op == TEMPLATE_FAILED)
            return silent(error, message->word.code);
        if (got > 0 && message->op == TEMPLATE_READY)
            master->current.ready = true;
        if (got > 0)
            continue;
        if (asked_to_stop(master))
            return silent(error, 0);
        poll(sources, ARRAY_SIZE(sources), -1);
    }
}

static int file_read(struct master *master, struct config_error *error)
{
    union channel_message *message = malloc(sizeof(*message));
    int err = message == NULL ? config_fail(error, 1, "out of memory")
                              : wait_for(master, TEMPLATE_FILE, message, error);

    if (err == 0)
        err = config_file_take(master->config, &message->settings, error);
    if (err == 0)
        master->current.configured = true;
    free(message);
    return err;
}

int boot_wait(struct master *master, enum template_op op,
              struct config_error *error)
{
    union channel_message message;

    return wait_for(master, op, &message, error);
}

int boot_settings(struct master *master, struct config_error *error)
{
    struct config *config = master->config;
    int err;

    master->now = now_ns();
    err = generation_start(master);
    if (err < 0)
        return config_fail(error, 1, "Can't start the template: %s",
                           strerror(-err));
    /* Without a file there is nothing to wait for. */
    if (config_file_name(config, master->input->cwd)[0] != '\0' ||
        config->paste[0] != '\0')
        err = file_read(master, error);
    if (err == 0)
        err = config_settle(config, error);
    if (err == 0 && config->wsgi_app[0] == '\0')
        err = config_fail(error, 1, "No application module specified.");
    if (err < 0)
        return err;
    if (config->print_config)
        config_print(config, stdout);
    fflush(stdout);
    master->checks_only |= config->print_config || config->check_config;
    return 0;
}
