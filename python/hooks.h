/* SPDX-License-Identifier: MIT */
/*
 * hooks - the functions of the configuration file that are called when
 * something happens; the C side of hooks.py.
 *
 * With the GIL. A host without hooks has hooks == NULL, and all of this does
 * nothing. What a hook raises is logged; only where it says so here does it
 * matter beyond that.
 */
#ifndef GCORN_PYTHON_HOOKS_H
#define GCORN_PYTHON_HOOKS_H

#include "host.h"

#include "core/template.h"

/* When the settings are final. 0, or the exit code. */
int hooks_init(struct host *host);

/* The template: the master says what happened. False when the hook failed. */
bool hooks_event(const struct host *host, const struct template_message *word);

/* The template, around the fork of an interpreter. */
void hooks_pre_fork(const struct host *host, uint32_t age);
void hooks_forked(const struct host *host, pid_t pid);

/* The interpreter. 0, or the exit code. */
int hooks_post_fork(const struct host *host);
/* post_worker_init; host->application becomes what requests go to. */
int hooks_loaded(struct host *host, bool is_asgi);
void hooks_leaving(const struct host *host, bool interrupted);
#endif
