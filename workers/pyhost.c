/* SPDX-License-Identifier: MIT */
#include "pyhost.h"

#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

#define PREFIX "gcorn-python"
#define LIBRARY "lib" PREFIX "%s.so"
#define PRELOAD "LD_PRELOAD"
#define NOT_FOUND 127

/* Isolated and without site: who it is depends on neither, and it is quick. */
static const char question[] =
    "import sys\n"
    "print('%d.%d%s' % (sys.version_info[:2] + (getattr(sys, 'abiflags', "
    "''),)))\n"
    "print(sys.executable)\n";

static _Noreturn void ask_child(const char *python, int out)
{
    dup2(out, STDOUT_FILENO);
    execlp(python, python, "-I", "-S", "-c", question, (char *)NULL);
    _exit(NOT_FOUND);
}

/* Up to size - 1 bytes, until the end. */
static size_t read_all(int fd, char *out, size_t size)
{
    size_t have = 0;

    while (have < size - 1) {
        ssize_t n = read(fd, out + have, size - 1 - have);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        have += (size_t)n;
    }
    out[have] = '\0';
    return have;
}

/* What the Python prints. 0, -ENOENT when there is none, -EIO if it fails. */
static int ask(const char *python, char *out, size_t size)
{
    int fds[2];
    int status = 0;
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    pid = fork();
    if (pid == 0)
        ask_child(python, fds[1]);
    close(fds[1]);
    if (pid > 0) {
        read_all(fds[0], out, size);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            continue;
    }
    close(fds[0]);
    if (pid < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND))
        return -ENOENT;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

/* "3.12\n/path/python3\n" into the host. */
static int answer_take(struct pyhost *host, char *answer)
{
    char *line = strchr(answer, '\n');
    char *end = line != NULL ? strchr(line + 1, '\n') : NULL;

    if (end == NULL || line - answer >= (int)sizeof(host->version))
        return -EIO;
    *line = *end = '\0';
    if (strspn(answer, "0123456789.tdmu") != strlen(answer))
        return -EIO;
    memcpy(host->version, answer, strlen(answer) + 1);
    snprintf(host->python, sizeof(host->python), "%s", line + 1);
    return 0;
}

/* Where host programs may be; nth from 0. False behind the last. */
static bool place_nth(uint32_t nth, char *out, size_t size)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    const char *here;

    self[n > 0 ? n : 0] = '\0';
    here = dirname(self);
    switch (nth) {
    case 0: /* a build tree: workers/gcorn, python/gcorn-python3.X */
        snprintf(out, size, "%s/../python", here);
        return true;
    case 1: /* installed, wherever it was moved to */
        snprintf(out, size, "%s/../" GCORN_LIBEXEC_RELATIVE "/gcorn", here);
        return true;
    case 2:
        snprintf(out, size, "%s", GCORN_LIBEXECDIR "/gcorn");
        return true;
    default:
        return false;
    }
}

/* Puts the library first in the list of what the loader preloads. */
static int preload(const char *library)
{
    const char *users = getenv(PRELOAD);
    char *list;
    int rc;

    if (users == NULL || users[0] == '\0')
        return setenv(PRELOAD, library, 1) == 0 ? 0 : -errno;
    rc = asprintf(&list, "%s:%s", library, users);
    if (rc < 0)
        return -ENOMEM;
    rc = setenv(PRELOAD, list, 1) == 0 ? 0 : -errno;
    free(list);
    return rc;
}

/* A Python that ignores the library does not know the option. */
static _Noreturn void try_child(const struct pyhost *host)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    if (preload(host->library) == 0)
        execl(host->python, host->program, "--channel", (char *)NULL);
    _exit(NOT_FOUND);
}

static bool library_works(const struct pyhost *host)
{
    int status = 1;
    pid_t pid = fork();

    if (pid == 0)
        try_child(host);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return pid > 0 && status == 0;
}

/*
 * Reasons not to take the library: this build has none (sanitizers), a path
 * that LD_PRELOAD cannot hold, or a Python with capabilities, for which the
 * loader does not preload.
 */
static void library_find(struct pyhost *host, const char *place)
{
    int n = snprintf(host->library, sizeof(host->library), "%s/" LIBRARY, place,
                     host->version);

    if (n >= (int)sizeof(host->library) || access(host->library, R_OK) != 0 ||
        strpbrk(host->library, ": ") != NULL || !library_works(host))
        host->library[0] = '\0';
}

static bool program_find(struct pyhost *host)
{
    char place[PATH_MAX];

    for (uint32_t i = 0; place_nth(i, place, sizeof(place)); i++) {
        int n = snprintf(host->program, sizeof(host->program),
                         "%s/" PREFIX "%s", place, host->version);

        if (n < (int)sizeof(host->program) &&
            access(host->program, X_OK) == 0) {
            library_find(host, place);
            return true;
        }
    }
    return false;
}

static void version_add(char *list, size_t size, const char *version)
{
    size_t n = strlen(list);

    if (strstr(list, version) == NULL)
        snprintf(list + n, size - n, "%s%s", n > 0 ? ", " : "", version);
}

/* The versions there are hosts for: "3.11, 3.12". */
static void versions_list(char *list, size_t size)
{
    char place[PATH_MAX];

    list[0] = '\0';
    for (uint32_t i = 0; place_nth(i, place, sizeof(place)); i++) {
        DIR *dir = opendir(place);
        struct dirent *entry;

        if (dir == NULL)
            continue;
        while ((entry = readdir(dir)) != NULL) {
            const char *version = entry->d_name + strlen(PREFIX);

            if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0 &&
                strspn(version, "0123456789.t") == strlen(version))
                version_add(list, size, version);
        }
        closedir(dir);
    }
}

static int no_program(const struct pyhost *host, struct config_error *error)
{
    char versions[128];

    versions_list(versions, sizeof(versions));
    if (versions[0] == '\0')
        return config_fail(error, 1,
                           "No host program (" PREFIX "3.X) is installed. "
                           "Build gcorn with the development files of Python "
                           "%s.",
                           host->version);
    return config_fail(error, 1,
                       "%.200s is Python %s, but this gcorn has hosts for "
                       "Python %s only. Choose one of these with --python, or "
                       "build gcorn with the development files of Python %s.",
                       host->python, host->version, versions, host->version);
}

/*
 * A link to gcorn in a virtual environment is about that environment, as the
 * scripts are that pip installs there: venv/bin/gunicorn -> gcorn leaves units
 * and entry points as they are. The kernel knows by which path we were run.
 */
static bool python_beside(char *out, size_t size)
{
    const char *path = (const char *)getauxval(AT_EXECFN);
    const char *slash = path != NULL ? strrchr(path, '/') : NULL;
    int len = slash != NULL ? (int)(slash - path) : 0;

    if (slash == NULL)
        return false;
    snprintf(out, size, "%.*s/../pyvenv.cfg", len, path);
    if (access(out, R_OK) < 0)
        return false;
    snprintf(out, size, "%.*s/python3", len, path);
    return access(out, X_OK) == 0;
}

static void python_choose(const char *python, char *out, size_t size)
{
    const char *venv = getenv("VIRTUAL_ENV");

    if (python[0] == '\0' && python_beside(out, size))
        return;
    snprintf(out, size, "%s", python[0] != '\0' ? python : "python3");
    if (python[0] != '\0' || venv == NULL || venv[0] == '\0')
        return;
    snprintf(out, size, "%s/bin/python3", venv);
    /* A variable that outlived its environment is no reason to fail. */
    if (access(out, X_OK) < 0)
        snprintf(out, size, "python3");
}

int pyhost_find(struct pyhost *ret_host, const char *python,
                struct config_error *error)
{
    char chosen[PATH_MAX];
    char answer[PATH_MAX + 64];
    int err;

    python_choose(python, chosen, sizeof(chosen));
    err = ask(chosen, answer, sizeof(answer));
    if (err == 0)
        err = answer_take(ret_host, answer);
    if (err == -ENOENT)
        return config_fail(error, 1,
                           "Can't run '%.200s'. Name a Python with --python, "
                           "or put python3 on PATH.",
                           chosen);
    if (err < 0)
        return config_fail(error, 1, "'%.200s' does not answer as a Python.",
                           chosen);
    if (!program_find(ret_host))
        return no_program(ret_host, error);
    return 0;
}

int pyhost_exec(const struct pyhost *host, int channel_fd)
{
    const char *file = host->program;
    char fd[16];
    int err = 0;

    snprintf(fd, sizeof(fd), "%d", channel_fd);
    if (host->library[0] != '\0') {
        file = host->python;
        err = preload(host->library);
    }
    if (err == 0)
        execl(file, host->program, "--channel", fd, (char *)NULL);
    return err < 0 ? err : -errno;
}
