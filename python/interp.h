/* SPDX-License-Identifier: MIT */
/*
 * interp - the life of an interpreter after its fork from the template: place
 * itself, load the application, serve.
 */
#ifndef GCORN_PYTHON_INTERP_H
#define GCORN_PYTHON_INTERP_H

#include "host.h"

#include "core/template.h"

/*
 * With the GIL, in the forked child, whose parent is the master by now.
 * Returns the exit code.
 */
int interp_run(struct host *host, const struct template_message *order);
#endif
