/* SPDX-License-Identifier: MIT */
#include "template.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel.h"
#include "hooks.h"
#include "interp.h"
#include "nodes.h"
#include "signals.h"
#include "wait_green.h"

#include "core/board.h"
#include "core/board_interp.h"
#include "core/template.h"

/*
 * The parent is the process between until that has exited; the kernel gives
 * its children away before it tells so through the pidfd. Only then can the
 * death signal be asked for, and the master may be gone even so.
 */
static void become_child_of_master(const struct board *board, int between_fd)
{
    struct pollfd between = {.fd = between_fd, .events = POLLIN};

    while (poll(&between, 1, -1) < 0 && errno == EINTR)
        ;
    close(between_fd);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != board->master_pid)
        _exit(1);
}

/*
 * In the process between: no Python, which would take it for an interpreter.
 * Returns, with a pidfd of its parent, in the new interpreter only.
 */
static int fork_again(struct board_interp *interp)
{
    int between_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    pid_t pid = between_fd < 0 ? -1 : fork();

    if (pid == 0) {
        atomic_store(&interp->pid, getpid());
        return between_fd;
    }
    atomic_store(&interp->pid, pid);
    _exit(pid < 0 ? 1 : 0);
}

static bool ended_well(pid_t between)
{
    int status = 0;

    while (waitpid(between, &status, 0) < 0 && errno == EINTR)
        ;
    return status == 0;
}

static void start_interp(struct host *host, struct board_interp *self,
                         int between_fd)
{
    become_child_of_master(host->board, between_fd);
    /* Else the master would not see the template's end of it close. */
    close(host->channel_fd);
    signals_become_interp(self);
    PyOS_AfterFork_Child();
}

/* True in the new interpreter. */
static bool fork_interp(struct host *host, uint32_t slot, uint32_t age)
{
    struct board_interp *self = board_interp(host->board, slot);
    pid_t between;

    hooks_pre_fork(host, age);
    loader_flush(&host->loader);
    PyOS_BeforeFork();
    between = fork();
    if (between == 0) {
        start_interp(host, self, fork_again(self));
        return true;
    }
    PyOS_AfterFork_Parent();
    if (between < 0 || !ended_well(between)) {
        log_error("Interpreter %u cannot be started: fork failed", slot);
        atomic_store(&self->pid, -1);
        board_wake_master(host->board);
        return false;
    }
    hooks_forked(host, atomic_load(&self->pid));
    return false;
}

static int preload(struct host *host)
{
    int code;

    if (!host_flag(host, "preload_app"))
        return 0;
    code = wait_green_patch(host);
    if (code)
        return code;
    return loader_load(&host->loader, host_text(host, "wsgi_app"),
                       &host->application);
}

/* As in Gunicorn, without these two there is no start. 0 or the exit code. */
static int on_hook(const struct host *host, const struct template_message *word)
{
    bool good = hooks_event(host, word);

    if (!good && (word->code == TEMPLATE_ON_STARTING ||
                  word->code == TEMPLATE_WHEN_READY)) {
        channel_tell(host, TEMPLATE_FAILED, 1);
        return 1;
    }
    if (word->code == TEMPLATE_ON_STARTING)
        channel_tell(host, TEMPLATE_HOOKED, 0);
    return 0;
}

int template_run(struct host *host)
{
    struct template_message order;
    int code, result;

    if (nodes_split(host, &code))
        return code;
    code = preload(host);
    if (code) {
        channel_tell(host, TEMPLATE_FAILED, code);
        return code;
    }
    loader_settle(&host->loader);
    channel_tell(host, TEMPLATE_READY, 0);
    while ((result = channel_order(host, &order)) > 0) {
        if (order.op == TEMPLATE_QUIT)
            break;
        if (order.op == TEMPLATE_HOOK) {
            code = on_hook(host, &order);
            if (code)
                return code;
            continue;
        }
        must(order.op == TEMPLATE_FORK);
        if (fork_interp(host, order.slot, order.age))
            return interp_run(host, &order);
    }
    if (result < 0)
        log_error("The template cannot hear the master: %s", strerror(-result));
    return result < 0 ? 1 : 0;
}
