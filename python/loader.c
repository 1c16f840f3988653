/* SPDX-License-Identifier: MIT */
#include "loader.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "core/board_interp.h"
#include "core/log.h"
#include "loader_source.h"

/* Not a file: what the code objects of loader.py have for a file name. */
#define FILE_NAME "<gcorn>"

/* Calls a function of loader.py; the reference to args is taken. */
static PyObject *call(const struct loader *loader, const char *name,
                      PyObject *args)
{
    owned PyObject *given = args;
    PyObject *function = PyDict_GetItemString(loader->names, name);

    must(function);
    return given ? PyObject_CallObject(function, given) : NULL;
}

static void log_text(const char *title, PyObject *text)
{
    Py_ssize_t len = 0;
    owned PyObject *bytes = PyUnicode_AsEncodedString(text, "utf-8",
                                                      "backslashreplace");

    if (bytes)
        len = PyBytes_Size(bytes);
    if (len > 0)
        log_block(LOG_LEVEL_ERROR, title, PyBytes_AsString(bytes), (size_t)len);
    else
        log_error("%s", title);
}

void loader_log_exception(const struct loader *loader, const char *title)
{
    owned PyObject *error = exception_take();
    owned PyObject *text = call(loader, "describe",
                                error ? PyTuple_Pack(1, error) : NULL);

    if (text)
        log_text(title, text);
    else
        log_error("%s", title);
    PyErr_Clear();
}

PyObject *loader_run_source(const char *source, const char *name)
{
    owned PyObject *code = Py_CompileString(source, name, Py_file_input);
    owned PyObject *names = PyDict_New();
    owned PyObject *file = PyUnicode_FromString(name);
    owned PyObject *result = NULL;

    if (!code || !names || !file ||
        PyDict_SetItemString(names, "__file__", file) < 0 ||
        PyDict_SetItemString(names, "__name__", file) < 0 ||
        PyDict_SetItemString(names, "__builtins__", PyEval_GetBuiltins()) < 0)
        return NULL;
    result = PyEval_EvalCode(code, names, names);
    return result ? give(&names) : NULL;
}

PyObject *loader_engine(PyMethodDef *methods, size_t count, PyObject *self)
{
    owned PyObject *types = PyImport_ImportModule("types");
    owned PyObject *engine =
        types ? PyObject_CallMethod(types, "SimpleNamespace", NULL) : NULL;
    size_t i;

    for (i = 0; engine && i < count; i++) {
        owned PyObject *method = PyCFunction_New(&methods[i], self);

        if (!method ||
            PyObject_SetAttrString(engine, methods[i].ml_name, method) < 0)
            return NULL;
    }
    return give(&engine);
}

int loader_init(struct loader *loader)
{
    loader->names = loader_run_source(loader_source, FILE_NAME);
    if (loader->names)
        return 0;
    PyErr_Print();
    return -EINVAL;
}

static bool insert_paths(const struct loader *loader, const char *chdir,
                         const char *pythonpath)
{
    owned PyObject *result =
        call(loader, "insert_paths",
             Py_BuildValue("(NN)", PyUnicode_DecodeFSDefault(chdir),
                           PyUnicode_DecodeFSDefault(pythonpath)));

    return result != NULL;
}

static bool show_stacks(const struct loader *loader, int log_fd)
{
    owned PyObject *result =
        call(loader, "show_stacks",
             Py_BuildValue("(ii)", log_fd, BOARD_STACKS_SIGNAL));

    return result != NULL;
}

int loader_prepare(const struct loader *loader, const char *chdir,
                   const char *pythonpath, int log_fd)
{
    if (insert_paths(loader, chdir, pythonpath) && show_stacks(loader, log_fd))
        return 0;
    loader_log_exception(loader, "Python cannot be prepared");
    return -EINVAL;
}

bool loader_paste_global(const struct loader *loader, const char *text)
{
    owned PyObject *done =
        call(loader, "add_paste_global",
             Py_BuildValue("(N)", PyUnicode_DecodeFSDefault(text)));

    return done != NULL;
}

static int load_with(const struct loader *loader, const char *function,
                     const char *uri, PyObject **ret_application)
{
    owned PyObject *result = call(
        loader, function, Py_BuildValue("(N)", PyUnicode_DecodeFSDefault(uri)));
    PyObject *second;
    int code = LOADER_BOOT_ERROR;

    if (!result) {
        loader_log_exception(loader, "Exception in worker process");
        return code;
    }
    code = (int)PyLong_AsLong(PyTuple_GetItem(result, 0));
    second = PyTuple_GetItem(result, 1);
    if (code == 0) {
        *ret_application = Py_NewRef(second);
        return 0;
    }
    log_text(PyUnicode_AsUTF8(second), PyTuple_GetItem(result, 2));
    if (PyTuple_Size(result) == 4)
        *ret_application = Py_NewRef(PyTuple_GetItem(result, 3));
    return code;
}

int loader_load(const struct loader *loader, const char *uri,
                PyObject **ret_application)
{
    return load_with(loader, "load", uri, ret_application);
}

int loader_explain(const struct loader *loader, const char *uri,
                   PyObject **ret_application)
{
    return load_with(loader, "explain", uri, ret_application);
}

bool loader_says(const struct loader *loader, const char *question,
                 PyObject *application)
{
    owned PyObject *answer = call(loader, question,
                                  PyTuple_Pack(1, application));

    if (!answer)
        loader_log_exception(loader, question);
    return answer == Py_True;
}

int loader_warm_up(const struct loader *loader, PyObject *application,
                   const char *path)
{
    owned PyObject *result = call(
        loader, "warm_up_checked",
        Py_BuildValue("(ON)", application, PyUnicode_DecodeFSDefault(path)));
    PyObject *title;

    if (!result) {
        loader_log_exception(loader, "Exception in worker process");
        return LOADER_BOOT_ERROR;
    }
    title = PyTuple_GetItem(result, 0);
    if (PyUnicode_GetLength(title) == 0)
        return 0;
    log_text(PyUnicode_AsUTF8(title), PyTuple_GetItem(result, 1));
    return LOADER_BOOT_ERROR;
}

static void call_plainly(const struct loader *loader, const char *name)
{
    owned PyObject *result = call(loader, name, PyTuple_New(0));

    if (!result)
        loader_log_exception(loader, name);
}

void loader_settle(const struct loader *loader)
{
    call_plainly(loader, "settle");
}

void loader_flush(const struct loader *loader)
{
    call_plainly(loader, "flush");
}

void loader_run_threads(const struct loader *loader, uint32_t count,
                        PyObject *serve, PyObject *stop)
{
    owned PyObject *failure = call(loader, "run_threads",
                                   Py_BuildValue("(IOO)", count, serve, stop));

    if (!failure)
        loader_log_exception(loader, "The threads could not be run");
    else if (PyUnicode_GetLength(failure) > 0)
        log_text("Exception outside of a request", failure);
}

bool loader_start_thread(const struct loader *loader, PyObject *target)
{
    owned PyObject *result = call(loader, "start_thread",
                                  PyTuple_Pack(1, target));

    if (!result)
        loader_log_exception(loader, "A thread could not be started");
    return result != NULL;
}

PyObject *loader_request_timeout(const struct loader *loader)
{
    PyObject *found = PyDict_GetItemString(loader->names, "RequestTimeout");

    must(found);
    return found;
}
