/* SPDX-License-Identifier: MIT */
/*
 * upgrade - USR2: another master is started from the program as it is now on
 * disk, with our listening sockets, and both serve until one is told to go.
 *
 *   old: USR2 -> a child with the same sockets      TERM, QUIT -> it is done
 *        WINCH -> its workers leave, HUP -> they come back
 *   new: pid file FILE.2; accepts once its application serves; when the old
 *        one is gone it is promoted: takes the pid file and the CPUs.
 *        TERM -> the old one goes on as if nothing had been
 *
 * Sockets are the same ones, so nothing queued there belongs to one of the
 * two; while they are shared no slot that has one is closed.
 */
#ifndef GCORN_WORKERS_UPGRADE_H
#define GCORN_WORKERS_UPGRADE_H

#include "workers/launch.h"

#include <limits.h>

struct master;

struct upgrade {
    pid_t child;                /* the master that shall replace us; 0: none */
    pid_t parent;               /* the one that we shall replace; 0: none */
    int parent_fd;              /* its pidfd, or -1 */
    uint32_t shared;            /* slots whose sockets both have */
    char pidfile[PATH_MAX + 2]; /* as it is called now; "": none */
};

/* At the start: who was there before, and how our pid file is called. */
void upgrade_init(struct master *master);

/* The loop turns when the old master ends. 0 or -errno. */
int upgrade_watch(struct master *master);

/* USR2. */
void upgrade_start(struct master *master);

/* Looks whether the old master is gone. */
void upgrade_settle(struct master *master);

/* A child ended. False when it was no master. */
bool upgrade_on_exit(struct master *master, pid_t pid, int status);

/* Two masters have the sockets. */
bool upgrade_shares(const struct master *master);

/* How many slots are to be in service, when so many are wanted. */
uint32_t upgrade_slots(const struct master *master, uint32_t wanted);

/* Not yet: connections are the old master's until we can serve. */
bool upgrade_waits(const struct master *master);

/* We stop while the other one serves on: what is shared stays open. */
void upgrade_leave(struct master *master);

/* The pid file, if there is one, is ours or goes. */
void upgrade_done(struct master *master);
#endif
