/* SPDX-License-Identifier: MIT */
/*
 * runtime - starts and ends CPython in this process, configured as the python
 * executable of the settings would be: its virtual environment, the PYTHON*
 * variables, site-packages.
 */
#ifndef GCORN_PYTHON_RUNTIME_H
#define GCORN_PYTHON_RUNTIME_H

#include "internal.h"

/* Returns with the GIL. 0, or -EINVAL after logging why. */
int runtime_start(const char *python);

/* With the GIL, in the main thread. As python3 ends: joins threads, calls
 * atexit functions. Returns the exit code, code unless that went wrong. */
int runtime_stop(int code);
#endif
