/* SPDX-License-Identifier: MIT */
#include "conffile.h"

#include <stdio.h>

#include "conffile_source.h"
#include "loader.h"
#include "shims_source.h"

#include "core/log.h"

/* Calls a function of conffile.py; the reference to args is taken. */
static PyObject *call(const struct conffile *file, const char *name,
                      PyObject *args)
{
    owned PyObject *given = args;
    PyObject *function = PyDict_GetItemString(file->names, name);

    must(function);
    return given ? PyObject_CallObject(function, given) : NULL;
}

static PyObject *text_of(const struct settings *asked, const char *name)
{
    const char *text = settings_get(asked, name, 0);

    return PyUnicode_DecodeFSDefault(text ? text : "");
}

/* One (name, value) of what the file sets. */
static int add(struct settings *set, PyObject *pair)
{
    owned PyObject *name = PyUnicode_EncodeFSDefault(PyTuple_GetItem(pair, 0));
    owned PyObject *value = PyUnicode_EncodeFSDefault(PyTuple_GetItem(pair, 1));
    const char *value_text = value ? PyBytes_AsString(value) : NULL;

    if (!name || !value_text)
        return -1;
    if (settings_add(set, PyBytes_AsString(name), value_text) == 0)
        return 0;
    PyErr_SetString(PyExc_ValueError,
                    "the configuration file has more than 64 KiB of values");
    return -1;
}

static int add_all(struct settings *set, PyObject *pairs)
{
    settings_init(set);
    for (Py_ssize_t i = 0; i < PyList_Size(pairs); i++) {
        if (add(set, PyList_GetItem(pairs, i)) < 0)
            return -1;
    }
    return 0;
}

static void say(PyObject *text, bool to_log)
{
    Py_ssize_t len = 0;
    owned PyObject *bytes = PyUnicode_AsEncodedString(text, "utf-8",
                                                      "backslashreplace");

    if (bytes)
        len = PyBytes_Size(bytes);
    if (len > 0 && to_log)
        log_block(LOG_LEVEL_ERROR, "The configuration file cannot be used",
                  PyBytes_AsString(bytes), (size_t)len);
    else if (len > 0)
        fprintf(stderr, "%s\n", PyBytes_AsString(bytes));
    PyErr_Clear();
}

/* The pairs, or NULL with an exception or after saying what is wrong. */
static PyObject *run(const struct conffile *file, const struct settings *asked,
                     bool to_log)
{
    owned PyObject *result = call(
        file, "read",
        Py_BuildValue("(NNNN)", text_of(asked, "config"), text_of(asked, "cwd"),
                      text_of(asked, "accepts"), text_of(asked, "paste")));

    if (result && PyUnicode_Check(result)) {
        say(result, to_log);
        return NULL;
    }
    return give(&result);
}

static int add_shims(const struct conffile *file)
{
    owned PyObject *source = PyUnicode_FromString(shims_source);

    if (!source)
        return -1;
    return PyDict_SetItemString(file->names, "shims_source", source);
}

int conffile_read(struct conffile *file, const struct settings *asked,
                  struct settings *ret_set, bool to_log)
{
    owned PyObject *pairs = NULL;

    file->names = loader_run_source(conffile_source, "<gcorn configuration>");
    if (file->names && add_shims(file) == 0)
        pairs = run(file, asked, to_log);
    if (pairs && add_all(ret_set, pairs) == 0)
        return 0;
    if (PyErr_Occurred())
        PyErr_Print();
    return 1;
}

PyObject *conffile_get(const struct conffile *file, const char *name)
{
    PyObject *found = PyDict_GetItemString(file->names, name);

    must(found);
    return found;
}

int conffile_environ(const struct conffile *file,
                     const struct settings *settings)
{
    const char *text;

    for (uint32_t i = 0; (text = settings_get(settings, "raw_env", i)); i++) {
        owned PyObject *done =
            call(file, "set_environ",
                 Py_BuildValue("(N)", PyUnicode_DecodeFSDefault(text)));

        if (!done)
            return -1;
    }
    return 0;
}
