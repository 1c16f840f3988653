/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "watch_source.h"
#include "core/board.h"

#define POLL_MS 1000
/* A file is written in several steps; the last one counts. */
#define SETTLE_MS 100
#define EVENTS                                                                 \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_ATTRIB)

/* Made once, for as long as the process lives. */
struct watch {
    const struct host *host;
    int fd; /* inotify, or -1: poll */
    int64_t began_ns;
    PyObject *names; /* owned: the namespace of watch.py */
};

static struct watch *of(PyObject *self)
{
    return PyCapsule_GetPointer(self, NULL);
}

/* Directories that are watched already stay so. */
static bool add_all(const struct watch *watch, PyObject *directories)
{
    Py_ssize_t count = PyList_Size(directories);

    for (Py_ssize_t i = 0; i < count; i++) {
        owned PyObject *path =
            PyUnicode_EncodeFSDefault(PyList_GetItem(directories, i));

        if (!path)
            return false;
        /* One that is gone is no error: its files are looked for anyway. */
        inotify_add_watch(watch->fd, PyBytes_AsString(path), EVENTS);
    }
    return true;
}

/* Or for a second, where there are no events. */
static void wait_for_event(const struct watch *watch)
{
    struct pollfd poller = {.fd = watch->fd, .events = POLLIN};
    char events[4096];

    if (watch->fd < 0) {
        poll(NULL, 0, POLL_MS);
        return;
    }
    if (poll(&poller, 1, -1) <= 0)
        return;
    poll(NULL, 0, SETTLE_MS);
    while (poll(&poller, 1, 0) > 0 &&
           read(watch->fd, events, sizeof(events)) > 0)
        continue;
}

/* arm(directories) */
static PyObject *arm(PyObject *self, PyObject *directories)
{
    const struct watch *watch = of(self);

    if (!PyList_Check(directories) ||
        (watch->fd >= 0 && !add_all(watch, directories)))
        return NULL;
    Py_RETURN_NONE;
}

/* wait() */
static PyObject *wait_changed(PyObject *self, PyObject *unused)
{
    const struct watch *watch = of(self);

    (void)unused;
    Py_BEGIN_ALLOW_THREADS wait_for_event(watch);
    Py_END_ALLOW_THREADS Py_RETURN_NONE;
}

/* report(path) */
static PyObject *report(PyObject *self, PyObject *path)
{
    const struct watch *watch = of(self);
    owned PyObject *text = PyUnicode_EncodeFSDefault(path);

    if (!text)
        return NULL;
    log_info("Worker reloading: %s modified", PyBytes_AsString(text));
    atomic_store(&watch->host->board->reload_wanted, 1);
    board_wake_master(watch->host->board);
    Py_RETURN_NONE;
}

static PyMethodDef arm_method = {"arm", arm, METH_O, NULL};
static PyMethodDef wait_method = {"wait", wait_changed, METH_NOARGS, NULL};
static PyMethodDef report_method = {"report", report, METH_O, NULL};

static PyObject *extra_files(const struct host *host)
{
    owned PyObject *list = PyList_New(0);
    const char *text;

    for (uint32_t i = 0;
         list && (text = settings_get(&host->settings, "reload_extra_files",
                                      i)) != NULL;
         i++) {
        owned PyObject *item = PyUnicode_DecodeFSDefault(text);

        if (!item || PyList_Append(list, item) < 0)
            return NULL;
    }
    return give(&list);
}

/* What threading.Thread calls; self is a capsule of the struct watch. */
static PyObject *run(PyObject *self, PyObject *unused)
{
    const struct watch *watch = of(self);
    owned PyObject *begin = PyCFunction_New(&arm_method, self);
    owned PyObject *wait = PyCFunction_New(&wait_method, self);
    owned PyObject *tell = PyCFunction_New(&report_method, self);
    owned PyObject *extra = extra_files(watch->host);
    owned PyObject *root =
        PyUnicode_DecodeFSDefault(host_text(watch->host, "chdir"));
    PyObject *function = PyDict_GetItemString(watch->names, "watch");

    (void)unused;
    if (!begin || !wait || !tell || !extra || !root || !function)
        return NULL;
    return PyObject_CallFunction(function, "OOLOOO", root, extra,
                                 (long long)watch->began_ns, begin, wait, tell);
}

static PyMethodDef run_method = {"run", run, METH_NOARGS, NULL};

static int engine_open(const struct host *host)
{
    const char *engine = host_text(host, "reload_engine");
    int fd = -1;

    if (strcmp(engine, "poll") != 0)
        fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0 && strcmp(engine, "inotify") == 0)
        log_warning("No inotify: %s; files are looked at every second",
                    strerror(errno));
    return fd;
}

void watch_start(const struct host *host, int64_t began_ns)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    owned PyObject *self = watch ? PyCapsule_New(watch, NULL, NULL) : NULL;
    owned PyObject *go = self ? PyCFunction_New(&run_method, self) : NULL;

    if (!go) {
        loader_log_exception(&host->loader, "Files cannot be watched");
        free(watch);
        return;
    }
    watch->host = host;
    watch->began_ns = began_ns;
    watch->fd = engine_open(host);
    watch->names = loader_run_source(watch_source, "<gcorn watch>");
    if (!watch->names || !loader_start_thread(&host->loader, go))
        loader_log_exception(&host->loader, "Files cannot be watched");
}
