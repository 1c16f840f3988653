/* SPDX-License-Identifier: MIT */
/*
 * control_path - where the control socket is, for the server and for those
 * who look for it. Opens nothing.
 */
#ifndef GCORN_WORKERS_CONTROL_PATH_H
#define GCORN_WORKERS_CONTROL_PATH_H

#include "core/base.h"

#define CONTROL_PATH_MAX 108 /* what the kernel takes */

/*
 * As Gunicorn has it: $XDG_RUNTIME_DIR/gunicorn.ctl when that directory is
 * there, else $HOME/.gunicorn/gunicorn.ctl. A name that is given counts from
 * the current directory. Returns 0, or -ENAMETOOLONG.
 */
int control_path_find(const char *name, char out[CONTROL_PATH_MAX]);

/* The directory of a path that control_path_find() made. */
void control_path_directory(const char *path, char out[CONTROL_PATH_MAX]);
#endif
