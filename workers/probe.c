/* SPDX-License-Identifier: MIT */
#include "probe.h"

#include "master.h"
#include "probe_client.h"
#include "process_memory.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_FAILED 1
/* From TERM to KILL: its requests are done, only atexit handlers are left. */
#define END_MS 10000

struct probe {
    const struct config *config;
    const struct config_input *input;
    pid_t pid;
    int pid_fd;
    int ready_fd; /* we read */
    struct probe_client client;
    struct master_ready processes;
};

static char *text_of(const char *text)
{
    char *copy = strdup(text);

    must(copy != NULL);
    return copy;
}

/* No configuration file overrides these. */
static void settings_hold(struct config *config)
{
    static const enum config_setting held[] = {
        CONFIG_AT_bind,
        CONFIG_AT_pin,
        CONFIG_AT_accesslog,
        CONFIG_AT_pidfile,
        CONFIG_AT_autotune,
        CONFIG_AT_protocol,
        CONFIG_AT_proxy_protocol,
        CONFIG_AT_loglevel,
        CONFIG_AT_daemon,
        CONFIG_AT_admin_bind,
        CONFIG_AT_control_socket_disable,
    };

    for (size_t i = 0; i < ARRAY_SIZE(held); i++)
        config->source[held[i]] = CONFIG_FROM_COMMAND_LINE;
}

/* The trial's settings: this one process changes its copy of them. */
static void settings_change(struct config *config, int listen_fd)
{
    static char *items[1];
    char address[32];

    snprintf(address, sizeof(address), "fd://%d", listen_fd);
    items[0] = text_of(address);
    config->bind = (struct config_list){.items = items, .count = 1};
    config->pin = text_of("off");
    config->accesslog = text_of("");
    config->pidfile = text_of("");
    config->autotune = text_of("");
    config->admin_bind = text_of("");
    config->control_socket_disable = true;
    config->daemon = false;
    config->protocol = text_of("http");
    config->proxy_protocol = text_of("off");
    if (strcmp(config->loglevel, "debug") != 0)
        config->loglevel = text_of("warning");
    settings_hold(config);
}

static _Noreturn void trial(const struct probe *probe,
                            const struct title *title, int ready_fd,
                            pid_t parent)
{
    struct master_task task = {.ready_fd = ready_fd};
    struct config config = *probe->config;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILED);
    close(probe->ready_fd);
    /* systemd is to hear of the server, not of its trial. */
    unsetenv("NOTIFY_SOCKET");
    settings_change(&config, probe->client.listen_fd);
    exit(master_run(&config, probe->input, title, &task));
}

static int start(struct probe *probe, const struct title *title)
{
    pid_t parent = getpid();
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    probe->ready_fd = fds[0];
    fflush(NULL);
    probe->pid = fork();
    if (probe->pid == 0)
        trial(probe, title, fds[1], parent);
    close(fds[1]);
    if (probe->pid < 0)
        return -errno;
    probe->pid_fd = (int)syscall(SYS_pidfd_open, probe->pid, 0);
    return probe->pid_fd < 0 ? -errno : 0;
}

/* However long the application takes to load. False: it ended instead. */
static bool wait_ready(struct probe *probe)
{
    ssize_t n;

    do {
        n = read(probe->ready_fd, &probe->processes, sizeof(probe->processes));
    } while (n < 0 && errno == EINTR);
    return n == sizeof(probe->processes);
}

/* Pages of one process alone, and what it has of shared memory. */
static int look_at(pid_t pid, struct probe_memory *memory,
                   struct process_memory *ret_process)
{
    int err = process_memory_read(pid, ret_process);

    memory->total += ret_process->pss;
    memory->arena += ret_process->shmem;
    return err;
}

static int look(const struct probe *probe, struct probe_memory *ret_memory)
{
    struct probe_memory memory = {0};
    struct process_memory one = {0};
    int err = look_at(probe->pid, &memory, &one);

    if (err == 0)
        err = look_at(probe->processes.template, &memory, &one);
    if (err == 0)
        err = look_at(probe->processes.worker, &memory, &one);
    memory.worker = one.own;
    if (err == 0)
        err = look_at(probe->processes.interp, &memory, &one);
    memory.interp = one.own;
    memory.dirty = one.dirty;
    *ret_memory = memory;
    return err;
}

static const char *path_nth(const struct config *config, size_t i)
{
    return config->autotune_url.items[i];
}

/* Each path so many times; adds up what went wrong. */
static uint32_t ask(struct probe *probe, uint32_t times,
                    struct probe_result *result)
{
    size_t paths = probe->config->autotune_url.count;
    uint32_t good = 0;

    for (uint32_t n = 0; n < times; n++) {
        for (size_t i = 0; i < paths; i++) {
            int status = probe_client_get(&probe->client,
                                          path_nth(probe->config, i));

            if (status > 0 && status < 500) {
                good++;
                continue;
            }
            result->failed++;
            result->last_status = status > 0 ? status : 0;
            /* Nobody answers: asking on would only take long. */
            if (status < 0)
                return good;
        }
    }
    return good;
}

static int measure(struct probe *probe, struct probe_result *result)
{
    struct probe_memory warm;
    int err = look(probe, &result->loaded);

    result->used = result->loaded;
    if (err < 0 || probe->config->autotune_url.count == 0)
        return err;
    ask(probe, PROBE_WARM_UP, result);
    err = look(probe, &warm);
    if (err < 0)
        return err;
    result->requests = ask(probe, PROBE_MORE, result);
    err = look(probe, &result->used);
    if (result->requests > 0 && result->used.interp > warm.interp)
        result->growth_bytes = (result->used.interp - warm.interp) /
                               result->requests;
    return err;
}

/* Tells it to go, and sees to it that it does. Returns its exit code. */
static int finish(struct probe *probe)
{
    struct pollfd ended = {.fd = probe->pid_fd, .events = POLLIN};
    int status = 0;

    kill(probe->pid, SIGTERM);
    if (poll(&ended, 1, END_MS) <= 0)
        kill(probe->pid, SIGKILL);
    while (waitpid(probe->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

static void release(struct probe *probe)
{
    if (probe->ready_fd >= 0)
        close(probe->ready_fd);
    if (probe->pid_fd >= 0)
        close(probe->pid_fd);
    probe_client_done(&probe->client);
}

static int fail(const char *what, int err)
{
    fprintf(stderr, "\nError: --autotune: %s: %s\n", what, strerror(-err));
    return EXIT_FAILED;
}

int probe_run(const struct config *config, const struct config_input *input,
              const struct title *title, struct probe_result *ret_result)
{
    struct probe probe = {
        .config = config, .input = input, .pid_fd = -1, .ready_fd = -1};
    struct probe_result result = {0};
    int code = 0;
    int err = probe_client_init(&probe.client, config);

    if (err == 0)
        err = start(&probe, title);
    if (err < 0) {
        release(&probe);
        return fail("Can't start the trial run", err);
    }
    probe_client_started(&probe.client);
    if (wait_ready(&probe)) {
        result.asked = probe.processes.asked;
        err = measure(&probe, &result);
        finish(&probe);
    } else {
        code = finish(&probe);
        code = code != 0 ? code : EXIT_FAILED;
    }
    release(&probe);
    if (err < 0)
        return fail("Can't measure the trial run", err);
    *ret_result = result;
    return code;
}
