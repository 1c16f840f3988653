/* SPDX-License-Identifier: MIT */
/*
 * watch - --reload: one interpreter looks at the files of its code, and tells
 * the master when one has changed, which then reloads as for HUP. Development
 * only: it costs a thread, and looks at some thousand files.
 *
 * Engines: inotify wakes it when something happens in a directory, poll once
 * a second; what has changed is found by looking in both cases.
 */
#ifndef GCORN_PYTHON_WATCH_H
#define GCORN_PYTHON_WATCH_H

#include "host.h"

/* With the GIL, in the interpreter, when --reload is on. began_ns: the time of
 * day (not monotonic) when loading began. Failures are logged. */
void watch_start(const struct host *host, int64_t began_ns);
#endif
