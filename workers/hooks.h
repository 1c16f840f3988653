/* SPDX-License-Identifier: MIT */
/*
 * hooks - tells the templates what happens in the master, for the hooks of
 * the configuration file that Gunicorn calls there. They run in the template,
 * in this order and between its forks; only on_starting is waited for.
 *
 * Where no such hook is set, nothing is sent.
 */
#ifndef GCORN_WORKERS_HOOKS_H
#define GCORN_WORKERS_HOOKS_H

#include "workers/master.h"

/*
 * Before sockets are opened: nworkers_changed and on_starting. 0, or -EINVAL
 * with a message, which is empty when the template has said it all.
 */
int hooks_start(struct master *master, struct config_error *error);

/* The sockets are there, no worker is. */
void hooks_when_ready(const struct master *master);

/* nworkers_changed, when the number is another. */
void hooks_settle(struct master *master);

/* An interpreter was reaped. */
void hooks_child_exit(const struct master *master, uint32_t generation,
                      pid_t pid);

/* The trial has its settings, and forks soon. */
void hooks_on_reload(const struct master *master);

/* Before another program takes over (USR2); not waited for. */
void hooks_pre_exec(const struct master *master);

/* All interpreters are gone, the templates go next. */
void hooks_on_exit(const struct master *master);
#endif
