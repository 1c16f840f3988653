/* SPDX-License-Identifier: MIT */
/*
 * daemon - --daemon: goes into the background, but whoever started it waits
 * until the server serves, and gets the message and the exit code of one that
 * does not come to that. Standard streams are left at once, since all the
 * processes to come have them too.
 */
#ifndef GCORN_WORKERS_DAEMON_H
#define GCORN_WORKERS_DAEMON_H

#include <stdbool.h>

struct daemon {
    int report_fd; /* to the process that waits; -1: none does */
};

/* Returns in the background process only: 0, or -errno in the first one. */
int daemon_start(struct daemon *daemon, bool keep_streams);

/* 0: it serves; else it ends with this code. Only the first call counts. */
void daemon_report(struct daemon *daemon, int code, const char *text);
#endif
