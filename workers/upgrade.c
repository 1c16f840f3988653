/* SPDX-License-Identifier: MIT */
#include "upgrade.h"

#include "core/log.h"
#include "hooks.h"
#include "master.h"
#include "notify.h"
#include "observer.h"
#include "pidfile.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOCKETS_TEXT_MAX 65536

void upgrade_init(struct master *master)
{
    struct upgrade *upgrade = &master->upgrade;
    const char *pidfile = master->config->pidfile;

    upgrade->parent = master->launch->predecessor;
    upgrade->parent_fd = -1;
    upgrade->pidfile[0] = '\0';
    if (pidfile[0] != '\0')
        snprintf(upgrade->pidfile, sizeof(upgrade->pidfile), "%s%s", pidfile,
                 upgrade->parent != 0 ? ".2" : "");
}

int upgrade_watch(struct master *master)
{
    struct upgrade *upgrade = &master->upgrade;
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT};

    if (upgrade->parent == 0)
        return 0;
    upgrade->parent_fd = (int)syscall(SYS_pidfd_open, upgrade->parent, 0);
    if (upgrade->parent_fd < 0)
        return errno == ESRCH ? 0 : -errno;
    event.data.fd = upgrade->parent_fd;
    if (epoll_ctl(master->epoll_fd, EPOLL_CTL_ADD, upgrade->parent_fd, &event) <
        0)
        return -errno;
    return 0;
}

bool upgrade_shares(const struct master *master)
{
    return master->upgrade.child != 0 || master->upgrade.parent != 0;
}

uint32_t upgrade_slots(const struct master *master, uint32_t wanted)
{
    if (master->upgrade.child != 0)
        return master->upgrade.shared;
    if (master->upgrade.parent != 0 && master->upgrade.shared > wanted)
        return master->upgrade.shared;
    return wanted;
}

bool upgrade_waits(const struct master *master)
{
    return master->upgrade.parent != 0 && !master->ever_served;
}

/* "5,6,7", in the order of its slots. */
static size_t sockets_add(const struct listener *listener, char *text,
                          size_t size)
{
    size_t n = strlen(text);

    for (uint32_t slot = 0; slot < listener->slots && n < size; slot++) {
        if (listener->fds[slot] >= 0)
            n += (size_t)snprintf(text + n, size - n, "%s%d", n > 0 ? "," : "",
                                  listener->fds[slot]);
    }
    return n;
}

static int sockets_list(const struct master *master, char *text, size_t size)
{
    size_t n = 0;

    text[0] = '\0';
    for (uint32_t i = 0; i < master->listener_count && n < size; i++)
        n = sockets_add(&master->listeners[i], text, size);
    if (master->observer != NULL && n < size)
        n = sockets_add(&master->observer->admin_listener, text, size);
    return n < size ? 0 : -ENOBUFS;
}

/* Files of Unix sockets go with us, or stay for the other master. */
static void sockets_own(struct master *master, bool ours)
{
    for (uint32_t i = 0; i < master->listener_count; i++)
        listener_own(&master->listeners[i], ours);
    if (master->observer != NULL)
        listener_own(&master->observer->admin_listener, ours);
}

static _Noreturn void become_new_master(const struct master *master,
                                        const char *sockets)
{
    sigset_t none;
    int err;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    err = launch_again(master->launch, master->input, sockets);
    log_critical("Can't run %s: %s", master->input->argv[0], strerror(-err));
    _exit(127);
}

static bool may_start(const struct master *master)
{
    const struct upgrade *upgrade = &master->upgrade;

    if (upgrade->child != 0)
        log_warning("USR2: the new master (pid:%d) is there already",
                    (int)upgrade->child);
    else if (upgrade->parent != 0)
        log_warning("USR2: the old master (pid:%d) is still there: stop it "
                    "first",
                    (int)upgrade->parent);
    else if (master->rollout.active)
        log_warning("USR2: I/O workers are just being replaced; ask again when "
                    "the reload is done");
    return !upgrade_shares(master) && !master->rollout.active;
}

/* A stand-in that still drains has no sockets of its own. */
static uint32_t slots_shared(const struct master *master)
{
    uint32_t count = atomic_load(&master->board->worker_count);

    while (count > 0 && master->slots[count - 1].stands_in)
        count--;
    return count;
}

void upgrade_start(struct master *master)
{
    char sockets[SOCKETS_TEXT_MAX];
    pid_t pid;

    if (master->phase != MASTER_SERVING || !may_start(master))
        return;
    if (sockets_list(master, sockets, sizeof(sockets)) < 0) {
        log_error("USR2: there are too many sockets to be handed over");
        return;
    }
    hooks_pre_exec(master);
    fflush(NULL);
    pid = fork();
    if (pid == 0)
        become_new_master(master, sockets);
    if (pid < 0) {
        log_error("USR2: no process could be started: %s", strerror(errno));
        return;
    }
    master->upgrade.child = pid;
    master->upgrade.shared = slots_shared(master);
    log_info("The new master is pid %d; TERM to this one (pid %d) completes "
             "the upgrade, TERM to the new one takes it back",
             (int)pid, (int)getpid());
}

static void unconfine_all(struct master *master)
{
    for (uint32_t i = 0; i < master->listener_count; i++)
        listener_unconfine(&master->listeners[i]);
}

static void pidfile_take(struct master *master, pid_t predecessor)
{
    char *own = master->upgrade.pidfile;
    const char *path = master->config->pidfile;
    int err;

    if (own[0] == '\0')
        return;
    err = pidfile_succeed(own, path, predecessor);
    if (err < 0)
        log_error("The pid file stays %s: %s", own, strerror(-err));
    else
        snprintf(own, sizeof(master->upgrade.pidfile), "%s", path);
}

static void promote(struct master *master)
{
    struct upgrade *upgrade = &master->upgrade;

    log_info("Master has been promoted.");
    if (upgrade->parent_fd >= 0)
        close(upgrade->parent_fd);
    upgrade->parent_fd = -1;
    pidfile_take(master, upgrade->parent);
    upgrade->parent = 0;
    upgrade->shared = 0;
    unconfine_all(master);
    sockets_own(master, true);
    placement_inherit(&master->placement);
    notify_main(&master->notify, getpid());
    queues_look(master);
}

void upgrade_settle(struct master *master)
{
    if (master->upgrade.parent != 0 && getppid() != master->upgrade.parent)
        promote(master);
}

bool upgrade_on_exit(struct master *master, pid_t pid, int status)
{
    if (pid == 0 || pid != master->upgrade.child)
        return false;
    master->upgrade.child = 0;
    master->upgrade.shared = 0;
    /* It may have kept connections away from sockets of its own. */
    unconfine_all(master);
    queues_look(master);
    if (WIFSIGNALED(status))
        log_error("The new master (pid:%d) was ended by signal %d; this one "
                  "goes on",
                  (int)pid, WTERMSIG(status));
    else
        log_line(WEXITSTATUS(status) != 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
                 "The new master (pid:%d) exited with code %d; this one goes "
                 "on",
                 (int)pid, WEXITSTATUS(status));
    return true;
}

void upgrade_leave(struct master *master)
{
    sockets_own(master, false);
    /* Sockets of later slots are ours alone, and go with us. */
    for (uint32_t i = 0; i < master->listener_count; i++) {
        if (master->upgrade.parent != 0)
            listener_confine(&master->listeners[i], master->upgrade.shared);
    }
    /* systemd is to follow the one that stays. */
    if (master->upgrade.child != 0)
        notify_main(&master->notify, master->upgrade.child);
}

void upgrade_done(struct master *master)
{
    pidfile_remove(master->upgrade.pidfile);
    if (master->upgrade.parent_fd >= 0)
        close(master->upgrade.parent_fd);
}
