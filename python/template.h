/* SPDX-License-Identifier: MIT */
/*
 * template - the process interpreters are forked from: it obeys the master's
 * orders (core/template.h) and never serves a request itself.
 */
#ifndef GCORN_PYTHON_TEMPLATE_H
#define GCORN_PYTHON_TEMPLATE_H

#include "host.h"

/*
 * With the GIL. Returns the exit code of this process: of the template when
 * it is told to quit or cannot go on; of an interpreter in each of those.
 */
int template_run(struct host *host);
#endif
