/* SPDX-License-Identifier: MIT */
/*
 * channel - the master's end of a template's socket: core/template.h. Nothing
 * here waits; what does not fit into the socket is an error.
 */
#ifndef GCORN_WORKERS_CHANNEL_H
#define GCORN_WORKERS_CHANNEL_H

#include "core/settings.h"
#include "core/template.h"
#include "workers/master.h"

union channel_message {
    uint32_t op;
    struct template_message word;
    struct settings settings;
};

/* Each 0 or -errno. */
int channel_ask(const struct master *master, int fd);
int channel_files(const struct master *master, int fd);
int channel_go(const struct master *master, int fd,
               const struct config *config);

int channel_say(int fd, const struct template_message *word);

/* 1 and a message, 0 when there is none, or -EPIPE when there will be none. */
int channel_hear(int fd, union channel_message *ret_message);
#endif
