/* SPDX-License-Identifier: MIT */
#include "stop.h"

#include "core/board_worker.h"
#include "core/log.h"
#include "generation.h"
#include "hooks.h"
#include "interp.h"
#include "worker_slot.h"

/* After workers are gone: for atexit handlers, and when stopping quickly. */
#define LEAVE_NS (2 * NS_PER_S)
/* Told to quit, a worker has this long. */
#define KILL_NS NS_PER_S

/* No new connections; the workers finish what is there. */
static void drain(struct master *master, uint64_t patience_ns)
{
    master->phase = MASTER_DRAINING;
    master->stop_ns = master->now + patience_ns;
    atomic_store(&master->board->draining, 1);
    /* The workers hold the last references and take what is queued. */
    if (upgrade_shares(master))
        upgrade_leave(master);
    for (uint32_t i = 0; i < master->listener_count; i++) {
        if (!upgrade_shares(master))
            listener_refuse(&master->listeners[i]);
        listener_close(&master->listeners[i]);
    }
    master->listener_count = 0;
    worker_slot_command_all(master, BOARD_COMMAND_DRAIN);
}

static void hurry(struct master *master)
{
    master->quick = true;
    master->stop_ns = min_u64(master->stop_ns, master->now + LEAVE_NS);
    worker_slot_command_all(master, BOARD_COMMAND_QUIT);
    if (master->phase == MASTER_LEAVING) {
        interp_drain_all(master, master->stop_ns);
        if (master->templates_quit)
            generation_quit(master, master->stop_ns);
    }
}

void stop_start(struct master *master, uint64_t patience_ns)
{
    if (master->phase == MASTER_SERVING)
        drain(master, patience_ns);
    if (patience_ns == 0 && !master->quick)
        hurry(master);
}

void stop_fail(struct master *master, int exit_code, const char *reason)
{
    if (master->reason == NULL) {
        master->exit_code = master->checks_only ? 1 : exit_code;
        master->reason = reason;
    }
    stop_start(master, 0);
}

static void settle_draining(struct master *master)
{
    uint64_t leave_ns = master->now + LEAVE_NS;

    if (worker_slot_alive(master) > 0) {
        if (master->now >= master->stop_ns && !master->quick)
            hurry(master);
        if (master->now >= master->stop_ns + KILL_NS)
            worker_slot_kill_all(master);
        master_wake_at(master, master->now < master->stop_ns
                                   ? master->stop_ns
                                   : master->stop_ns + KILL_NS);
        return;
    }
    master->phase = MASTER_LEAVING;
    /* With the time that is left; atexit handlers get a moment anyway. */
    if (master->stop_ns < leave_ns)
        master->stop_ns = leave_ns;
    interp_drain_all(master, master->stop_ns);
}

/* Last, since it runs the hooks that tell of the interpreters' end. */
static void templates_quit(struct master *master)
{
    if (master->templates_quit)
        return;
    master->templates_quit = true;
    hooks_on_exit(master);
    generation_quit(master, max_u64(master->stop_ns, master->now + LEAVE_NS));
}

void stop_settle(struct master *master)
{
    if (master->phase == MASTER_DRAINING)
        settle_draining(master);
    if (master->phase != MASTER_LEAVING)
        return;
    if (interp_alive(master) == 0 || master->now >= master->stop_ns)
        templates_quit(master);
    else
        master_wake_at(master, master->stop_ns);
    if (interp_alive(master) == 0 && generation_is_gone(master))
        master->phase = MASTER_GONE;
}
