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

#include "interp.h"
#include "signals.h"

#include "core/template.h"

static void tell(const struct board *board, enum template_op op, int code)
{
    struct template_message message = {
        .op = op, .slot = TEMPLATE_SLOT_NONE, .code = code, .node = -1};
    ssize_t n;

    /* A master that is gone is noticed by the next order's end of file. */
    do {
        n = send(board->template_fd, &message, sizeof(message), MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
}

void template_failed(const struct board *board, int code)
{
    tell(board, TEMPLATE_FAILED, code);
}

/* Returns 1, 0 when there is no master any more, or -errno. */
static int next_order(const struct host *host, struct template_message *order)
{
    ssize_t n;
    int error;

    /* With the GIL released: what was preloaded may have threads. */
    Py_BEGIN_ALLOW_THREADS do
    {
        n = recv(host->board->template_fd, order, sizeof(*order), 0);
        error = n < 0 ? errno : 0;
    }
    while (error == EINTR)
        ;
    Py_END_ALLOW_THREADS if (error) return -error;
    if (n == 0)
        return 0;
    return n == sizeof(*order) ? 1 : -EPROTO;
}

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
    close(host->board->template_fd);
    signals_become_interp(self);
    PyOS_AfterFork_Child();
}

/* True in the new interpreter. */
static bool fork_interp(struct host *host, uint32_t slot)
{
    struct board_interp *self = board_interp(host->board, slot);
    pid_t between;

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
    }
    return false;
}

static int preload(struct host *host)
{
    if (!host_flag(host, "preload_app"))
        return 0;
    return loader_load(&host->loader, host_text(host, "wsgi_app"),
                       &host->application);
}

int template_run(struct host *host)
{
    struct template_message order;
    int code = preload(host);
    int result;

    if (code) {
        template_failed(host->board, code);
        return code;
    }
    loader_settle(&host->loader);
    tell(host->board, TEMPLATE_READY, 0);
    while ((result = next_order(host, &order)) > 0) {
        if (order.op == TEMPLATE_QUIT)
            break;
        must(order.op == TEMPLATE_FORK);
        if (fork_interp(host, order.slot))
            return interp_run(host, &order);
    }
    if (result < 0)
        log_error("The template cannot hear the master: %s", strerror(-result));
    return result < 0 ? 1 : 0;
}
