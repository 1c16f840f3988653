/* SPDX-License-Identifier: MIT */
/*
 * pyhost - which Python runs the application, and which host program
 * (gcorn-python3.X) goes with it.
 */
#ifndef GCORN_WORKERS_PYHOST_H
#define GCORN_WORKERS_PYHOST_H

#include "workers/config.h"

#include <limits.h>

struct pyhost {
    char python[PATH_MAX];  /* as it calls itself: inside a venv, the venv's */
    char version[16];       /* "3.12", "3.13t" */
    char program[PATH_MAX]; /* gcorn-python3.12 */
    char library[PATH_MAX]; /* libgcorn-python3.12.so, or "": see below */
};

/*
 * python: a path or name, or "": that of the virtual environment whose bin
 * directory gcorn was called in, else $VIRTUAL_ENV/bin/python3, else python3.
 * Asks it who it is. Returns 0, or -EINVAL with a message that says what
 * there is and what to do.
 */
int pyhost_find(struct pyhost *ret_host, const char *python,
                struct config_error *error);

/*
 * Becomes the host, with this socket to the master: inside the Python itself where that
 * takes the library, else as the program. Returns -errno if neither runs.
 */
int pyhost_exec(const struct pyhost *host, int channel_fd);
#endif
