/* SPDX-License-Identifier: MIT */
/*
 * conffile - runs the configuration file; the C side of conffile.py.
 *
 * The file is Python, so what it says stays here: hooks and other objects are
 * kept in conffile->names. What the master can use, it is told.
 */
#ifndef GCORN_PYTHON_CONFFILE_H
#define GCORN_PYTHON_CONFFILE_H

#include "internal.h"

#include "core/settings.h"

struct conffile {
    PyObject *names; /* owned: the namespace of conffile.py */
};

/*
 * With the GIL. asked: "cwd", "config" (the file, "" for none), "accepts"
 * (name=kind ...). Returns 0 and what the file sets, or the exit code after
 * it said what is wrong: in the log if to_log, else on standard error.
 */
int conffile_read(struct conffile *file, const struct settings *asked,
                  struct settings *ret_set, bool to_log);

/* With the GIL. "objects": the hooks and other values that are Python's, by
 * name; "kinds": what the settings are. A borrowed reference. */
PyObject *conffile_get(const struct conffile *file, const char *name);

/* With the GIL. raw_env goes into os.environ. 0, or -1 with an exception. */
int conffile_environ(const struct conffile *file,
                     const struct settings *settings);
#endif
