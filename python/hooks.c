/* SPDX-License-Identifier: MIT */
#include "hooks.h"

#include <string.h>

#include "hooks_source.h"
#include "core/board.h"

static const char *const event_names[] = {
    [TEMPLATE_ON_STARTING] = "on_starting",
    [TEMPLATE_WHEN_READY] = "when_ready",
    [TEMPLATE_NWORKERS_CHANGED] = "nworkers_changed",
    [TEMPLATE_CHILD_EXIT] = "child_exit",
    [TEMPLATE_ON_RELOAD] = "on_reload",
    [TEMPLATE_PRE_EXEC] = "pre_exec",
    [TEMPLATE_ON_EXIT] = "on_exit",
};

/* The settings as [(name, text), ...]. */
static PyObject *pairs_of(const struct settings *settings)
{
    owned PyObject *list = PyList_New(0);
    const char *name = NULL;

    while (list && (name = settings_next(settings, name))) {
        owned PyObject *pair =
            Py_BuildValue("(NN)", PyUnicode_DecodeFSDefault(name),
                          PyUnicode_DecodeFSDefault(name + strlen(name) + 1));

        if (!pair || PyList_Append(list, pair) < 0)
            return NULL;
    }
    return give(&list);
}

static PyObject *make(const struct host *host)
{
    owned PyObject *names = loader_run_source(hooks_source, "<gcorn hooks>");
    owned PyObject *pairs = pairs_of(&host->settings);
    PyObject *function = names ? PyDict_GetItemString(names, "make") : NULL;

    if (!function || !pairs)
        return NULL;
    return PyObject_CallFunction(
        function, "OOOii", pairs, conffile_get(&host->conffile, "kinds"),
        conffile_get(&host->conffile, "objects"), host->board->master_pid,
        host->board->error_log_fd);
}

/* Quickly, for the many who set none of these: hooks.py has the last word. */
static bool logs_in_python(const struct host *host)
{
    const char *logger = host_text(host, "logger_class");

    return *host_text(host, "logconfig") ||
           *host_text(host, "logconfig_json") ||
           (*logger && strcmp(logger, "gunicorn.glogging.Logger") != 0);
}

int hooks_init(struct host *host)
{
    owned PyObject *objects = NULL;

    objects = Py_NewRef(conffile_get(&host->conffile, "objects"));
    /* To check a configuration is not to run it. */
    if (host_flag(host, "check_config") || host_flag(host, "print_config"))
        return 0;
    if (PyDict_Size(objects) == 0 && !logs_in_python(host))
        return 0;
    host->hooks = make(host);
    if (!host->hooks) {
        loader_log_exception(&host->loader, "The hooks cannot be prepared");
        return 1;
    }
    if (host->hooks == Py_None)
        Py_CLEAR(host->hooks);
    return 0;
}

static bool done(const struct host *host, PyObject *result, const char *title)
{
    owned PyObject *given = result;

    if (!given)
        loader_log_exception(&host->loader, title);
    return given != NULL;
}

bool hooks_event(const struct host *host, const struct template_message *word)
{
    const char *name = event_names[word->code];

    if (!host->hooks)
        return true;
    return done(host,
                PyObject_CallMethod(host->hooks, "event", "siii", name,
                                    word->pid, (int)word->age, word->before),
                "Exception in a hook");
}

void hooks_pre_fork(const struct host *host, uint32_t age)
{
    if (host->hooks)
        done(host, PyObject_CallMethod(host->hooks, "pre_fork", "I", age),
             "Exception in pre_fork hook");
}

void hooks_forked(const struct host *host, pid_t pid)
{
    if (host->hooks)
        done(host, PyObject_CallMethod(host->hooks, "forked", "i", (int)pid),
             "Exception after a fork");
}

int hooks_post_fork(const struct host *host)
{
    if (!host->hooks)
        return 0;
    return done(host, PyObject_CallMethod(host->hooks, "post_fork", NULL),
                "Exception in post_fork hook")
               ? 0
               : LOADER_BOOT_ERROR;
}

int hooks_loaded(struct host *host, bool is_asgi)
{
    PyObject *application;

    if (!host->hooks)
        return 0;
    application = PyObject_CallMethod(host->hooks, "loaded", "Oi",
                                      host->application, is_asgi);
    if (!application) {
        loader_log_exception(&host->loader,
                             "Exception in post_worker_init hook");
        return LOADER_BOOT_ERROR;
    }
    Py_SETREF(host->application, application);
    return 0;
}

void hooks_leaving(const struct host *host, bool interrupted)
{
    if (host->hooks)
        done(host,
             PyObject_CallMethod(host->hooks, "leaving", "i", interrupted),
             "Exception in worker_exit hook");
}
