/* SPDX-License-Identifier: MIT */
#include "runtime.h"

#include "core/log.h"

/* What python3 exits with when its last output could not be written. */
#define EXIT_UNFLUSHED 120

/*
 * getpath looks for pyvenv.cfg beside the executable, so naming the virtual
 * environment's python makes sys.prefix and sys.path the environment's.
 */
static PyStatus set_executable(PyConfig *config, const char *python)
{
    PyStatus status;

    if (!*python)
        return PyStatus_Ok();
    status = PyConfig_SetBytesString(config, &config->program_name, python);
    if (PyStatus_Exception(status))
        return status;
    return PyConfig_SetBytesString(config, &config->executable, python);
}

static PyStatus start(const char *python)
{
    char name[] = "gcorn";
    char *argv[] = {name};
    PyConfig config;
    PyStatus status;

    PyConfig_InitPythonConfig(&config);
    config.parse_argv = 0;
    config.install_signal_handlers = 0; /* ours are there already */
    status = set_executable(&config, python);
    if (!PyStatus_Exception(status))
        status = PyConfig_SetBytesArgv(&config, 1, argv);
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    return status;
}

int runtime_start(const char *python)
{
    PyStatus status = start(python);

    if (!PyStatus_Exception(status))
        return 0;
    log_critical("Python %s cannot be started as %s: %s", PY_VERSION,
                 *python ? python : "python3",
                 status.err_msg ? status.err_msg : "unknown reason");
    return -EINVAL;
}

int runtime_stop(int code)
{
    if (Py_FinalizeEx() < 0 && code == 0)
        return EXIT_UNFLUSHED;
    return code;
}
