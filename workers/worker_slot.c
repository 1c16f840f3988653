/* SPDX-License-Identifier: MIT */
#include "worker_slot.h"

#include "binds.h"
#include "core/board.h"
#include "core/board_worker.h"
#include "core/crowd.h"
#include "core/log.h"
#include "spawn.h"
#include "stop.h"

#include <string.h>
#include <sys/wait.h>

#define QUICK_DEATH_NS NS_PER_S
/* So many quick deaths without any worker that serves: it will not work. */
#define START_FAILURES_MAX 4
/* A worker ends by itself at graceful_timeout; then this much is added. */
#define KILL_NS NS_PER_S

static void command(struct master *master, uint32_t slot,
                    enum board_command what)
{
    struct board_worker *worker = board_worker(master->board, slot);
    uint32_t none = BOARD_COMMAND_NONE;

    if (what == BOARD_COMMAND_REOPEN)
        atomic_compare_exchange_strong(&worker->command, &none, what);
    else
        atomic_store(&worker->command, what);
    board_wake_worker(worker);
}

/* Interpreters look into the arenas of slots below this number. */
static void count_update(struct master *master)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < master->board->worker_slots; i++) {
        if (master->slots[i].state != WORKER_SLOT_EMPTY)
            count = i + 1;
    }
    atomic_store(&master->board->worker_count, count);
}

static void open_slot(struct master *master, uint32_t slot)
{
    int err = binds_open_slot(master, slot);

    if (err < 0) {
        log_error("Can't open the sockets of worker %u: %s", slot,
                  strerror(-err));
        master->wanted = slot > 0 ? slot : 1;
        return;
    }
    master->slots[slot].state = WORKER_SLOT_OPEN;
    placement_open(&master->placement, slot);
    count_update(master);
}

static void start(struct master *master, uint32_t slot)
{
    struct board_worker *worker = board_worker(master->board, slot);
    struct worker_slot *mine = &master->slots[slot];
    pid_t pid;

    atomic_store(&worker->command, BOARD_COMMAND_NONE);
    atomic_store(&worker->sleeping, 0);
    atomic_store(&worker->state, BOARD_WORKER_STARTING);
    pid = spawn_worker(master, slot);
    mine->started_ns = master->now;
    if (pid < 0) {
        log_error("Can't start worker %u: %s", slot, strerror(-pid));
        atomic_store(&worker->state, BOARD_WORKER_DEAD);
        mine->retry_ns = master->now + master_backoff_ns(++mine->failures);
        return;
    }
    mine->pid = pid;
    mine->serial = rollout_serial(master, worker_slot_sockets(master, slot));
    mine->replaced = false;
    mine->verified = false;
    mine->kill_ns = 0;
    atomic_store(&worker->pid, pid);
    atomic_fetch_add(&worker->starts, 1);
}

static uint32_t slots_wanted(const struct master *master)
{
    return master->paused ? 0 : upgrade_slots(master, master->wanted);
}

static uint32_t count_retiring(const struct master *master)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < master->board->worker_slots; i++)
        count += master->slots[i].state == WORKER_SLOT_RETIRING;
    return count;
}

void worker_slot_drain(struct master *master, uint32_t slot)
{
    master->slots[slot].kill_ns =
        master_deadline(master, master->config->graceful_timeout) + KILL_NS;
    atomic_store(&board_worker(master->board, slot)->state,
                 BOARD_WORKER_DRAINING);
    command(master, slot, BOARD_COMMAND_DRAIN);
}

/* New connections stay away first, so that the queue it empties is the last. */
static void retire(struct master *master, uint32_t slot)
{
    uint32_t stay = slots_wanted(master);

    /* Paused, all leave, and what is queued waits or is another's to take. */
    for (uint32_t i = 0; i < master->listener_count && stay > 0; i++)
        listener_confine(&master->listeners[i], stay);
    master->slots[slot].state = WORKER_SLOT_RETIRING;
    worker_slot_drain(master, slot);
}

void worker_slot_stand_in(struct master *master, uint32_t slot,
                          uint32_t stands_for)
{
    master->slots[slot] = (struct worker_slot){
        .state = WORKER_SLOT_STANDING_IN,
        .stands_in = true,
        .stands_for = stands_for,
    };
    count_update(master);
    start(master, slot);
}

void worker_slot_retire_stand_in(struct master *master, uint32_t slot)
{
    must(master->slots[slot].state == WORKER_SLOT_STANDING_IN);
    master->slots[slot].state = WORKER_SLOT_RETIRING;
    if (master->slots[slot].pid != 0)
        worker_slot_drain(master, slot);
}

uint32_t worker_slot_sockets(const struct master *master, uint32_t slot)
{
    const struct worker_slot *mine = &master->slots[slot];

    return mine->stands_in ? mine->stands_for : slot;
}

static void close_slot(struct master *master, uint32_t slot)
{
    /* Paused, or wanted again meanwhile, it keeps its sockets. */
    bool keep = master->paused || slot < slots_wanted(master);
    bool stood_in = master->slots[slot].stands_in;

    for (uint32_t i = 0; i < master->listener_count && !keep; i++)
        listener_close_slot(&master->listeners[i], slot);
    master->slots[slot] = (struct worker_slot){.state = WORKER_SLOT_EMPTY};
    if (!stood_in)
        placement_close(&master->placement, slot);
    atomic_store(&board_worker(master->board, slot)->state, BOARD_WORKER_EMPTY);
    count_update(master);
    if (count_retiring(master) == 0) {
        for (uint32_t i = 0; i < master->listener_count; i++)
            listener_unconfine(&master->listeners[i]);
    }
}

static void kill_overdue(struct master *master, struct worker_slot *slot)
{
    if (slot->pid == 0 || slot->kill_ns == 0)
        return;
    if (master->now < slot->kill_ns) {
        master_wake_at(master, slot->kill_ns);
        return;
    }
    kill(slot->pid, SIGKILL);
    slot->kill_ns = 0;
}

static void settle_slot(struct master *master, uint32_t index)
{
    struct worker_slot *slot = &master->slots[index];

    switch (slot->state) {
    case WORKER_SLOT_EMPTY:
        /* Sockets stay in slot order only if no retired one is left. */
        if (index < slots_wanted(master) && count_retiring(master) == 0 &&
            !master->rollout.active)
            open_slot(master, index);
        break;
    case WORKER_SLOT_OPEN:
        if (index >= slots_wanted(master))
            retire(master, index);
        break;
    case WORKER_SLOT_STANDING_IN: /* rollout.c decides */
        break;
    case WORKER_SLOT_RETIRING:
        if (slot->pid == 0)
            close_slot(master, index);
        break;
    }
    kill_overdue(master, slot);
    if (slot->state != WORKER_SLOT_OPEN || slot->pid != 0 ||
        upgrade_waits(master))
        return;
    if (master->now >= slot->retry_ns)
        start(master, index);
    else
        master_wake_at(master, slot->retry_ns);
}

void worker_slot_settle(struct master *master)
{
    if (master->phase != MASTER_SERVING || master->checks_only)
        return;
    for (uint32_t i = 0; i < master->board->worker_slots; i++)
        settle_slot(master, i);
}

static bool any_serves(const struct master *master)
{
    for (uint32_t i = 0; i < master->board->worker_slots; i++) {
        if (atomic_load(&board_worker(master->board, i)->state) ==
            BOARD_WORKER_SERVING)
            return true;
    }
    return false;
}

static void log_death(uint32_t slot, pid_t pid, int status)
{
    if (WIFSIGNALED(status))
        log_error("I/O worker %u (pid:%d) was ended by SIG%s; its connections "
                  "are lost, starting it again",
                  slot, (int)pid,
                  sigabbrev_np(WTERMSIG(status)) != NULL
                      ? sigabbrev_np(WTERMSIG(status))
                      : "?");
    else
        log_error("I/O worker %u (pid:%d) exited with code %d; starting it "
                  "again",
                  slot, (int)pid, WEXITSTATUS(status));
}

static void on_death(struct master *master, uint32_t index, pid_t pid,
                     int status)
{
    struct worker_slot *slot = &master->slots[index];
    bool quick = master->now - slot->started_ns < QUICK_DEATH_NS;

    slot->pid = 0;
    crowd_hall_clear(master->crowd, index);
    queues_look(master);
    atomic_store(&board_worker(master->board, index)->pid, 0);
    atomic_store(&board_worker(master->board, index)->state, BOARD_WORKER_DEAD);
    if (master->phase != MASTER_SERVING ||
        slot->state == WORKER_SLOT_RETIRING || slot->replaced)
        return;
    log_death(index, pid, status);
    if (slot->state == WORKER_SLOT_STANDING_IN) {
        slot->state = WORKER_SLOT_RETIRING;
        rollout_on_death(master, index);
        return;
    }
    slot->failures = quick ? slot->failures + 1 : 0;
    slot->retry_ns = master->now;
    if (slot->failures > 0)
        slot->retry_ns += master_backoff_ns(slot->failures - 1);
    if (slot->failures >= START_FAILURES_MAX && !master->ever_served &&
        !any_serves(master))
        stop_fail(master, 1, "No worker could start.");
}

bool worker_slot_on_exit(struct master *master, pid_t pid, int status)
{
    for (uint32_t i = 0; i < master->board->worker_slots; i++) {
        if (master->slots[i].pid == pid) {
            on_death(master, i, pid, status);
            return true;
        }
    }
    return false;
}

void worker_slot_scale(struct master *master, int by)
{
    if (by > 0 && master->wanted == master->board->worker_slots) {
        log_warning("There is no room for more than %u workers; restart with "
                    "--workers to have more",
                    master->wanted);
        return;
    }
    if (by < 0 && master->wanted == 1)
        return;
    master->wanted = (uint32_t)((int)master->wanted + by);
    log_info("%u workers are wanted", master->wanted);
}

void worker_slot_pause(struct master *master, bool pause)
{
    if (master->paused == pause || master->phase != MASTER_SERVING)
        return;
    master->paused = pause;
    log_info(pause ? "No worker is wanted until HUP" : "Workers are back");
}

void worker_slot_command_all(struct master *master, enum board_command what)
{
    for (uint32_t i = 0; i < master->board->worker_slots; i++) {
        if (master->slots[i].pid != 0)
            command(master, i, what);
    }
}

void worker_slot_kill_all(const struct master *master)
{
    for (uint32_t i = 0; i < master->board->worker_slots; i++) {
        if (master->slots[i].pid != 0)
            kill(master->slots[i].pid, SIGKILL);
    }
}

uint32_t worker_slot_alive(const struct master *master)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < master->board->worker_slots; i++)
        count += master->slots[i].pid != 0;
    return count;
}
