/* SPDX-License-Identifier: MIT */
#include "interp_hang.h"

#include "core/board.h"
#include "core/board_interp.h"
#include "core/log.h"
#include "interp.h"

/* From the stacks' signal to the kill: time to write them to the log. */
#define STUCK_KILL_NS NS_PER_S
#define STACKS_APART_NS (100 * NS_PER_MS)

/*
 * Stacks are written piece by piece: those of two processes at once would be
 * mixed in the log. False: it is another's turn, come back.
 */
static bool stacks_may_start(struct master *master)
{
    if (master->now < master->stacks_ns) {
        master_wake_at(master, master->stacks_ns);
        return false;
    }
    master->stacks_ns = master->now + STACKS_APART_NS;
    return true;
}

static void on_stuck(struct master *master, uint32_t slot)
{
    struct board_interp *place = board_interp(master->board, slot);
    struct interp *interp = &master->interps[slot];
    pid_t pid = atomic_load(&place->pid);
    uint64_t kill_ns = master->now + STUCK_KILL_NS;

    /* The I/O worker has logged the timeout, and of which request. */
    log_warning("Worker (pid:%d) is stuck; replacing it", (int)pid);
    interp->stuck_ns = master->now;
    interp->killed = true;
    if (pid > 0)
        kill(pid, BOARD_STACKS_SIGNAL);
    if (pid > 0 && config_is_given(master->config, CONFIG_AT_worker_abort))
        kill(pid, SIGABRT);
    /* Its other threads may finish what they have. */
    if (atomic_load(&place->threads) > 1)
        kill_ns = master_deadline(master, master->config->graceful_timeout);
    interp_drain(master, slot, kill_ns);
}

/* Where the thread is, before an exception gets it out of there. */
static void show_late(struct master *master, uint32_t slot)
{
    struct board_interp *place = board_interp(master->board, slot);
    pid_t pid = atomic_load(&place->pid);

    if (atomic_load(&place->late_ns) == 0 || pid <= 0 ||
        !stacks_may_start(master))
        return;
    kill(pid, BOARD_STACKS_SIGNAL);
    atomic_store(&place->late_ns, 0);
}

/* Of several threads only the stuck one is left. */
static bool only_stuck_left(const struct master *master, uint32_t slot)
{
    const struct interp *interp = &master->interps[slot];

    return interp->stuck_ns != 0 &&
           master->now >= interp->stuck_ns + STUCK_KILL_NS &&
           atomic_load(&board_interp(master->board, slot)->running) <= 1;
}

static void kill_overdue(struct master *master, uint32_t slot)
{
    struct interp *interp = &master->interps[slot];
    pid_t pid = atomic_load(&board_interp(master->board, slot)->pid);

    if (interp->kill_ns == 0)
        return;
    if (pid <= 0) {
        /* Ordered, but not forked yet. */
        master_wake_at(master, master->now + NS_PER_S / 10);
        return;
    }
    if (master->now < interp->kill_ns && !only_stuck_left(master, slot)) {
        master_wake_at(master, interp->stuck_ns != 0
                                   ? master->now + NS_PER_S / 5
                                   : interp->kill_ns);
        return;
    }
    if (!interp->killed)
        log_warning("Worker (pid:%d) did not finish in time; killing it",
                    (int)pid);
    interp->killed = true;
    interp->kill_ns = 0;
    kill(pid, SIGKILL);
}

static bool is_stuck(struct master *master, uint32_t slot)
{
    const struct interp *interp = &master->interps[slot];
    uint64_t timeout_ns = master->config->timeout * NS_PER_S;

    if (atomic_load(&board_interp(master->board, slot)->stuck_ns) != 0)
        return true;
    if (interp->stopped_ns == 0 || timeout_ns == 0)
        return false;
    master_wake_at(master, interp->stopped_ns + timeout_ns);
    return master->now >= interp->stopped_ns + timeout_ns;
}

/* It loads, or hangs in an import: only time can tell. */
static void check_boot_time(struct master *master, uint32_t slot)
{
    struct interp *interp = &master->interps[slot];
    pid_t pid = atomic_load(&board_interp(master->board, slot)->pid);
    uint64_t patience_ns = master->config->boot_timeout * NS_PER_S;

    if (pid <= 0 || patience_ns == 0 || interp->killed)
        return;
    if (master->now < interp->started_ns + patience_ns) {
        master_wake_at(master, interp->started_ns + patience_ns);
        return;
    }
    if (!stacks_may_start(master))
        return;
    log_error("Worker (pid:%d) has not loaded the application after %llu s; "
              "giving it up (see --boot-timeout)",
              (int)pid, (unsigned long long)master->config->boot_timeout);
    interp->late = true;
    interp->killed = true;
    interp->kill_ns = master->now + STUCK_KILL_NS;
    kill(pid, BOARD_STACKS_SIGNAL);
}

void interp_hang_look(struct master *master, uint32_t slot)
{
    struct board_interp *place = board_interp(master->board, slot);
    struct interp *interp = &master->interps[slot];

    if (atomic_load(&place->state) == BOARD_INTERP_STARTING)
        check_boot_time(master, slot);
    if (interp->stuck_ns == 0 && is_stuck(master, slot) &&
        stacks_may_start(master))
        on_stuck(master, slot);
    if (interp->stuck_ns == 0)
        show_late(master, slot);
    kill_overdue(master, slot);
}
