/* SPDX-License-Identifier: MIT */
/*
 * notify - what systemd is told (sd_notify): READY when requests can be
 * served and not before, RELOADING, STOPPING, a line of status, more time
 * while something is under way, and WATCHDOG for as long as all is well.
 *
 * The master's. Without NOTIFY_SOCKET it does nothing. Nobody waits for it.
 */
#ifndef GCORN_WORKERS_NOTIFY_H
#define GCORN_WORKERS_NOTIFY_H

#include "core/base.h"

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

struct master;

struct notify {
    int fd; /* -1: nobody wants to know */
    struct sockaddr_un to;
    socklen_t to_len;
    uint64_t watchdog_ns; /* half of what is allowed; 0: no watchdog */
    uint64_t watchdog_due_ns;
    uint64_t extend_due_ns;
    bool ready;
    bool stopping;
    bool handed_on;   /* another master speaks now */
    uint32_t reloads; /* the serial of the last that was told of */
    bool reloading;
};

/* From the environment. */
void notify_init(struct notify *notify);
void notify_done(struct notify *notify);

/* In a child that is to run an application: none of this is its own. */
void notify_forget(void);

/* Tells what has changed since the last call. */
void notify_settle(struct master *master);

/* Another process is the main one. */
void notify_main(struct notify *notify, pid_t pid);
#endif
