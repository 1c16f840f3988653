/* SPDX-License-Identifier: MIT */
#include "notify.h"

#include "interp.h"
#include "master.h"
#include "worker_slot.h"
#include "core/board.h"
#include "core/board_interp.h"
#include "core/board_worker.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* While something takes its time, systemd hears of it so often. */
#define EXTEND_EVERY_NS (5 * NS_PER_S)
#define EXTEND_US 15000000ULL
/* A worker looks at its clock every second at least; see worker.c. */
#define HEARTBEAT_MIN_NS (3 * NS_PER_S)

static void address_set(struct notify *notify, const char *path)
{
    size_t len = strlen(path);

    if ((path[0] != '/' && path[0] != '@') ||
        len >= sizeof(notify->to.sun_path))
        return;
    notify->to.sun_family = AF_UNIX;
    memcpy(notify->to.sun_path, path, len + 1);
    notify->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (path[0] == '@')
        notify->to.sun_path[0] = '\0';
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static void watchdog_set(struct notify *notify)
{
    const char *usec = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");

    if (usec == NULL || (pid != NULL && strtol(pid, NULL, 10) != getpid()))
        return;
    notify->watchdog_ns = strtoull(usec, NULL, 10) * NS_PER_US / 2;
}

void notify_init(struct notify *notify)
{
    const char *path = getenv("NOTIFY_SOCKET");

    memset(notify, 0, sizeof(*notify));
    notify->fd = -1;
    if (path == NULL)
        return;
    address_set(notify, path);
    watchdog_set(notify);
}

void notify_done(struct notify *notify)
{
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
}

void notify_forget(void)
{
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

static void tell(const struct notify *notify, const char *fmt, ...)
    printf_like(2, 3);

static void tell(const struct notify *notify, const char *fmt, ...)
{
    char text[512];
    va_list args;
    int n;

    if (notify->fd < 0 || notify->handed_on)
        return;
    va_start(args, fmt);
    n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (n > (int)sizeof(text) - 1)
        n = (int)sizeof(text) - 1;
    /* A systemd that does not listen is no reason not to serve. */
    sendto(notify->fd, text, (size_t)n, MSG_NOSIGNAL,
           (const struct sockaddr *)&notify->to, notify->to_len);
}

void notify_main(struct notify *notify, pid_t pid)
{
    tell(notify, "MAINPID=%d", (int)pid);
    notify->handed_on = pid != getpid();
}

/* A worker takes connections, and an interpreter requests. */
static bool can_serve(const struct master *master)
{
    bool worker = false;

    for (uint32_t i = 0; i < master->board->worker_slots && !worker; i++)
        worker = atomic_load(&board_worker(master->board, i)->state) ==
                 BOARD_WORKER_SERVING;
    return worker && master->ever_served && master->phase == MASTER_SERVING;
}

static bool worker_hangs(const struct master *master, uint32_t slot)
{
    const struct worker_slot *mine = &master->slots[slot];
    uint64_t beat =
        atomic_load(&board_worker(master->board, slot)->heartbeat_ns);
    uint64_t allowed = max_u64(HEARTBEAT_MIN_NS, master->notify.watchdog_ns);

    return mine->state == WORKER_SLOT_OPEN && mine->pid != 0 &&
           master->now > max_u64(beat, mine->started_ns) + allowed;
}

/* None of the workers hangs, and requests find an interpreter. */
static bool is_healthy(const struct master *master)
{
    bool interp = false;

    if (master->phase != MASTER_SERVING)
        return true; /* the timeout of the stop is systemd's to keep */
    for (uint32_t i = 0; i < master->board->worker_slots; i++) {
        if (worker_hangs(master, i))
            return false;
    }
    for (uint32_t i = 0; i < master->board->interp_slots && !interp; i++)
        interp = board_interp_serves(
            atomic_load(&board_interp(master->board, i)->state));
    return interp || !master->ever_served || master->paused;
}

static void watchdog_settle(struct master *master)
{
    struct notify *notify = &master->notify;

    if (notify->watchdog_ns == 0)
        return;
    if (master->now >= notify->watchdog_due_ns && is_healthy(master)) {
        tell(notify, "WATCHDOG=1");
        notify->watchdog_due_ns = master->now + notify->watchdog_ns;
    }
    master_wake_at(
        master, max_u64(notify->watchdog_due_ns, master->now + NS_PER_S / 10));
}

/* What has a limit of its own may take its time. */
static void extend_settle(struct master *master)
{
    struct notify *notify = &master->notify;
    bool boots = !notify->ready && master->phase == MASTER_SERVING;
    bool drains = notify->stopping && master->now < master->stop_ns;

    if (!boots && !drains && !notify->reloading)
        return;
    if (master->now >= notify->extend_due_ns) {
        tell(notify, "EXTEND_TIMEOUT_USEC=%llu", EXTEND_US);
        notify->extend_due_ns = master->now + EXTEND_EVERY_NS;
    }
    master_wake_at(master, notify->extend_due_ns);
}

static void reload_settle(struct master *master)
{
    struct notify *notify = &master->notify;
    const struct reload *reload = &master->reload;

    if (reload->serial != notify->reloads) {
        notify->reloads = reload->serial;
        notify->reloading = true;
        tell(notify,
             "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=Loading new code",
             (unsigned long long)(master->now / NS_PER_US));
    }
    if (!notify->reloading || !reload_is_over(reload))
        return;
    notify->reloading = false;
    if (reload->state == RELOAD_FAILED)
        tell(notify, "READY=1\nSTATUS=Serving; reload failed: %s", reload->why);
    else
        tell(notify, "READY=1\nSTATUS=Serving, reloaded");
}

void notify_settle(struct master *master)
{
    struct notify *notify = &master->notify;

    if (notify->fd < 0)
        return;
    if (!notify->ready && can_serve(master)) {
        notify->ready = true;
        tell(notify, "READY=1\nMAINPID=%d\nSTATUS=Serving", (int)getpid());
    }
    if (!notify->stopping && master->phase != MASTER_SERVING) {
        notify->stopping = true;
        tell(notify, "STOPPING=1\nSTATUS=Finishing what is there");
    }
    if (!notify->stopping)
        reload_settle(master);
    extend_settle(master);
    watchdog_settle(master);
}
