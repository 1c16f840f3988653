/* SPDX-License-Identifier: MIT */
/*
 * generation - the templates: which code new interpreters are forked from.
 *
 *   reload: start a trial template -> it is READY: an interpreter is started
 *   from it -> that serves: the trial becomes the current one, the others are
 *   replaced -> none of the old ones is left: their template goes
 *
 * If the trial, or the first interpreter from it, fails or is not there in
 * time, it is thrown away and the current generation goes on as if nothing had
 * happened. What became of it is in master->reload.
 */
#ifndef GCORN_WORKERS_GENERATION_H
#define GCORN_WORKERS_GENERATION_H

#include "workers/master.h"

/* The first template, before there is a board. 0 or -errno. */
int generation_start(struct master *master);

/* The first template gets its settings at once, if it waits for them. */
void generation_tell(struct master *master);

/* What new interpreters are forked from. */
const struct template *generation_wanted(const struct master *master);

/* Starts what is missing, ends what is overdue. */
void generation_settle(struct master *master);

/* New code: HUP. */
void generation_reload(struct master *master);

/* Reads what the templates said. */
void generation_on_message(struct master *master);

/* A child ended. False when it was no template. */
bool generation_on_exit(struct master *master, pid_t pid, int status);

/* An interpreter of this generation serves. */
void generation_on_serving(struct master *master, uint32_t generation);

/*
 * An interpreter ended before it served. True when that decided something: a
 * reload was given up, or the server stops because nothing ever served.
 */
bool generation_on_boot_failure(struct master *master,
                                const struct interp *interp, int status);

/* Kills the first template, before there is anything but that. */
void generation_abandon(struct master *master);

/* Tells all templates to quit; they are killed at kill_ns. */
void generation_quit(struct master *master, uint64_t kill_ns);
/* A signal to the templates that handle it. */
void generation_signal(const struct master *master, int signal);
bool generation_is_gone(const struct master *master);
#endif
