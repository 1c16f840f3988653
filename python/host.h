/* SPDX-License-Identifier: MIT */
/*
 * host - what one process of gcorn-python has: the template, and each
 * interpreter as its copy. Made by host_main(), passed down, never freed.
 */
#ifndef GCORN_PYTHON_HOST_H
#define GCORN_PYTHON_HOST_H

#include "internal.h"

#include <stdlib.h>

#include "conffile.h"
#include "loader.h"
#include "title.h"

#include "core/exchange_take.h"
#include "core/log_remote.h"
#include "core/settings.h"

struct host {
    int channel_fd;      /* to the master: see channel.h */
    struct board *board; /* NULL until it has come */
    struct settings settings;
    struct conffile conffile;
    PyObject *hooks; /* owned; NULL where no hook is set */
    struct log_remote log_remote;
    struct exchange_site site;
    struct title title;
    struct loader loader;
    const char *name;      /* for titles: proc_name, or the application's */
    PyObject *application; /* owned; NULL until it is loaded */
    PyObject *green;       /* owned: the package's hub of gevent or eventlet */
    bool green_patched;    /* Python's library is patched */
    bool explains;         /* why there is no application: it is ours */
};

/*
 * PROGRAM --channel FD: the host of one Python version. The master starts it,
 * and over the channel come its settings and every descriptor that the board
 * names; it becomes the template. Returns the exit code.
 */
int host_main(int argc, char **argv);

/* A setting as a number; fallback when it is not set. */
static inline uint64_t host_number(const struct host *host, const char *name,
                                   uint64_t fallback)
{
    const char *text = settings_get(&host->settings, name, 0);

    return text && *text ? strtoull(text, NULL, 10) : fallback;
}

/* A setting as text, "" when it is not set. */
static inline const char *host_text(const struct host *host, const char *name)
{
    const char *text = settings_get(&host->settings, name, 0);

    return text ? text : "";
}

/* The last second of the graceful timeout is for what comes after the requests:
 * an application's shutdown, and those that have to be killed. */
static inline double host_grace_s(const struct host *host)
{
    double seconds = (double)host_number(host, "graceful_timeout", 30);

    return seconds > 5 ? seconds - 1 : seconds * 0.8;
}

static inline bool host_flag(const struct host *host, const char *name)
{
    const char *text = host_text(host, name);

    return *text == '1' || *text == 't'; /* "true" */
}
#endif
