/* SPDX-License-Identifier: MIT */
/*
 * signals - what the template and the interpreters do on signals. Only C
 * handlers: Python's would run when the GIL comes free, or never.
 *
 *   INT QUIT HUP USR2   nothing: meant for the master, but a terminal sends
 *                       them to the whole group. Not ignored, since programs
 *                       that the application starts would inherit that.
 *   USR1                opens the error log again
 *   TERM, template      nothing: it ends with the master
 *   TERM, interpreter   asks the master for a successor (RETIRING) and goes
 *                       on serving; a second one: finishes and exits
 *
 * SIGPIPE and SIGXFSZ are ignored as in python3 itself.
 */
#ifndef GCORN_PYTHON_SIGNALS_H
#define GCORN_PYTHON_SIGNALS_H

#include "core/base.h"

struct board;
struct board_interp;

/* The template, before Python starts. */
void signals_init(void);

/* When the settings are known: USR1 opens errorlog again, if it is a file. */
void signals_log(const struct board *board, const char *errorlog, bool capture);

/* In a new interpreter. */
void signals_become_interp(struct board_interp *self);

/* INT or QUIT came, from a terminal for example. */
bool signals_interrupted(void);

/* The interpreter serves: a SIGTERM that came while it started acts now. */
void signals_serving(void);

/* RETIRING, unless it already is or is beyond; true when this did it. */
bool signals_retire(const struct board *board, struct board_interp *self);

/* DRAINING, with every thread awake to see it. */
void signals_drain(struct board_interp *self);
#endif
