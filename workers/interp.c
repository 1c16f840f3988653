/* SPDX-License-Identifier: MIT */
#include "interp.h"

#include "core/board.h"
#include "core/board_interp.h"
#include "core/board_worker.h"
#include "core/log.h"
#include "generation.h"
#include "hooks.h"
#include "interp_hang.h"
#include "spawn.h"

#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Dying sooner than this after it began to serve counts as a failure. */
#define QUICK_DEATH_NS NS_PER_S
/* What the template puts in place of a pid when it could not fork. */
#define NO_PID (-1)

enum interp_step interp_decide(const struct interp_view *view)
{
    if (!view->in_service)
        return view->starting + view->fresh + view->leaving > 0
                   ? INTERP_DRAIN_ALL
                   : INTERP_NOTHING;
    if (view->fresh > 0)
        return view->leaving > 0 ? INTERP_DRAIN_LEAVING : INTERP_NOTHING;
    if (view->leaving > 1)
        return INTERP_DRAIN_OLDER;
    if (view->starting > 0 || !view->may_start || view->places == 0)
        return INTERP_NOTHING;
    if (view->leaving > 0 && view->others_move)
        return INTERP_NOTHING;
    return INTERP_START;
}

static bool is_alive(uint32_t state)
{
    return state != BOARD_INTERP_EMPTY && state != BOARD_INTERP_DEAD;
}

static void wake_all(struct board_interp *place)
{
    while (board_wake_interp(place))
        continue;
}

void interp_drain(struct master *master, uint32_t slot, uint64_t kill_ns)
{
    struct board_interp *place = board_interp(master->board, slot);
    struct interp *interp = &master->interps[slot];

    uint32_t starting = BOARD_INTERP_STARTING;

    if (atomic_compare_exchange_strong(&place->state, &starting,
                                       BOARD_INTERP_DRAINING)) {
        /* It can take no request now, so there is nothing to wait for. */
        interp->killed = true;
        interp->kill_ns = master->now;
        master_wake_at(master, master->now + NS_PER_S / 10);
        return;
    }
    atomic_store(&place->state, BOARD_INTERP_DRAINING);
    if (interp->kill_ns == 0 || interp->kill_ns > kill_ns)
        interp->kill_ns = kill_ns;
    wake_all(place);
}

static void place_reset(struct board_interp *place)
{
    for (uint32_t i = 0; i < ARRAY_SIZE(place->asleep); i++)
        atomic_store(&place->asleep[i], 0);
    atomic_store(&place->beds, 0);
    atomic_store(&place->pid, 0);
    atomic_store(&place->stuck_ns, 0);
    atomic_store(&place->late_ns, 0);
    atomic_store(&place->busy_since_ns, 0);
    atomic_store(&place->requests, 0);
    atomic_store(&place->cpu_ns, 0);
    atomic_store(&place->running, 0);
    atomic_store(&place->threads, 0);
    atomic_store(&place->by_doorbell, 0);
    atomic_store(&place->rung_ns, 0);
    atomic_store(&place->called, 0);
    atomic_store(&place->full, 0);
    atomic_store(&place->beat_ns, 0);
    atomic_store(&place->beats, 0);
    atomic_store(&place->lag_ns, 0);
    atomic_store(&place->exit_code, 0);
}

static void start(struct master *master, uint32_t slot)
{
    const struct template *from = generation_wanted(master);
    struct board_interp *place = board_interp(master->board, slot);

    place_reset(place);
    master->interps[slot] = (struct interp){
        .generation = from->generation,
        .age = ++master->interps_started,
        .started_ns = master->now,
    };
    atomic_store(&place->state, BOARD_INTERP_STARTING);
    /* A full or broken socket: tried again when the next turn comes. */
    if (spawn_interp(master, from, slot) < 0)
        atomic_store(&place->state, BOARD_INTERP_EMPTY);
}

/* Workers find what it ran by its state; the epoch tells them to look. */
static void bury(struct master *master, uint32_t slot)
{
    struct board *board = master->board;
    struct board_interp *place = board_interp(board, slot);
    uint64_t epoch = atomic_load(&board->death_epoch) + 1;

    atomic_store(&place->death_epoch, epoch);
    atomic_store(&place->pid, 0);
    atomic_store(&place->state, BOARD_INTERP_DEAD);
    atomic_store(&board->death_epoch, epoch);
    for (uint32_t i = 0; i < board->worker_slots; i++)
        board_wake_worker(board_worker(board, i));
}

/* No worker has one of its requests any more. */
static bool is_swept(const struct master *master, uint64_t epoch)
{
    for (uint32_t i = 0; i < master->board->worker_slots; i++) {
        const struct board_worker *worker = board_worker(master->board, i);

        if (master->slots[i].pid != 0 &&
            atomic_load(&worker->swept_epoch) < epoch)
            return false;
    }
    return true;
}

static void tell_ready(const struct master *master, uint32_t slot)
{
    const struct master_ready ready = {
        .worker = master->slots[board_home(slot)].pid,
        .interp = atomic_load(&board_interp(master->board, slot)->pid),
        .template = master->current.pid,
        .asked = master->asked,
    };

    if (master->task->ready_fd < 0 || master->ever_served)
        return;
    /* A pipe takes so little at once; who left does not want to know. */
    if (write(master->task->ready_fd, &ready, sizeof(ready)) < 0)
        log_debug("Nobody hears that the application serves");
}

static void on_serving(struct master *master, uint32_t slot)
{
    struct interp *interp = &master->interps[slot];

    interp->serving_ns = master->now;
    tell_ready(master, slot);
    master->ever_served = true;
    master->slots[board_home(slot)].interp_failures = 0;
    generation_on_serving(master, interp->generation);
}

/* The fork failed, or its death came before its pid. */
static bool is_lost(pid_t pid)
{
    return pid == NO_PID || (pid > 0 && kill(pid, 0) < 0 && errno == ESRCH);
}

static void on_failure(struct master *master, uint32_t slot)
{
    struct worker_slot *home = &master->slots[board_home(slot)];

    home->interp_retry_ns = master->now +
                            master_backoff_ns(home->interp_failures++);
}

static void look_at(struct master *master, uint32_t slot)
{
    struct board_interp *place = board_interp(master->board, slot);
    struct interp *interp = &master->interps[slot];
    uint32_t state = atomic_load(&place->state);

    if (state == BOARD_INTERP_EMPTY)
        return;
    if (state == BOARD_INTERP_DEAD) {
        if (is_swept(master, atomic_load(&place->death_epoch)))
            atomic_store(&place->state, BOARD_INTERP_EMPTY);
        return;
    }
    if (is_lost(atomic_load(&place->pid))) {
        bury(master, slot);
        on_failure(master, slot);
        return;
    }
    if (interp->serving_ns == 0 && board_interp_serves(state))
        on_serving(master, slot);
    interp_hang_look(master, slot);
}

/* When the server stops, nobody is replaced: systemd tells all to go. */
static bool is_leaving(const struct master *master, uint32_t slot,
                       uint32_t state)
{
    if (master->phase != MASTER_SERVING)
        return false;
    return state == BOARD_INTERP_RETIRING ||
           master->interps[slot].generation !=
               generation_wanted(master)->generation;
}

static void view_home(const struct master *master, uint32_t home,
                      struct interp_view *view)
{
    uint32_t first = home * BOARD_INTERPS_PER_WORKER;

    memset(view, 0, sizeof(*view));
    for (uint32_t i = first; i < first + BOARD_INTERPS_PER_WORKER; i++) {
        uint32_t state = atomic_load(&board_interp(master->board, i)->state);

        if (state == BOARD_INTERP_EMPTY)
            view->places++;
        else if (state == BOARD_INTERP_STARTING)
            view->starting++;
        else if (board_interp_serves(state) && is_leaving(master, i, state))
            view->leaving++;
        else if (board_interp_serves(state))
            view->fresh++;
    }
}

/* A planned replacement is under way at this home. */
static bool is_moving(const struct interp_view *view)
{
    return view->starting > 0 && view->leaving > 0;
}

static bool home_in_service(const struct master *master, uint32_t home)
{
    if (master->phase == MASTER_LEAVING)
        return false;
    if (master->checks_only)
        return home == 0;
    return master->slots[home].state != WORKER_SLOT_EMPTY &&
           !master->slots[home].stands_in;
}

static bool home_may_start(struct master *master, uint32_t home)
{
    uint64_t retry_ns = master->slots[home].interp_retry_ns;

    /* Whoever stops at once has no use for another. */
    if (master->quick || !generation_wanted(master)->ready)
        return false;
    if (master->now < retry_ns) {
        master_wake_at(master, retry_ns);
        return false;
    }
    return true;
}

static uint32_t place_find(const struct master *master, uint32_t home)
{
    uint32_t slot = home * BOARD_INTERPS_PER_WORKER;

    while (atomic_load(&board_interp(master->board, slot)->state) !=
           BOARD_INTERP_EMPTY)
        slot++;
    must(board_home(slot) == home);
    return slot;
}

/* Of those that serve at this home, when the last of them was started. */
static uint64_t youngest_age(const struct master *master, uint32_t home)
{
    uint32_t first = home * BOARD_INTERPS_PER_WORKER;
    uint64_t age = 0;

    for (uint32_t i = first; i < first + BOARD_INTERPS_PER_WORKER; i++) {
        const struct board_interp *place = board_interp(master->board, i);

        if (board_interp_serves(atomic_load(&place->state)))
            age = max_u64(age, master->interps[i].age);
    }
    return age;
}

static bool has_to_drain(const struct master *master, uint32_t slot,
                         enum interp_step step)
{
    uint32_t state = atomic_load(&board_interp(master->board, slot)->state);

    if (step == INTERP_DRAIN_ALL)
        return state == BOARD_INTERP_STARTING || board_interp_serves(state);
    if (!board_interp_serves(state) || !is_leaving(master, slot, state))
        return false;
    return step == INTERP_DRAIN_LEAVING ||
           master->interps[slot].age < youngest_age(master, board_home(slot));
}

static void drain_home(struct master *master, uint32_t home,
                       enum interp_step step)
{
    uint32_t first = home * BOARD_INTERPS_PER_WORKER;
    uint64_t kill_ns = master_deadline(master,
                                       master->config->graceful_timeout);

    for (uint32_t i = first; i < first + BOARD_INTERPS_PER_WORKER; i++) {
        if (has_to_drain(master, i, step))
            interp_drain(master, i, kill_ns);
    }
}

static void settle_home(struct master *master, uint32_t home, bool *moving)
{
    struct interp_view view;
    enum interp_step step;

    view_home(master, home, &view);
    view.in_service = home_in_service(master, home);
    view.may_start = home_may_start(master, home);
    view.others_move = *moving;
    step = interp_decide(&view);
    switch (step) {
    case INTERP_NOTHING:
        break;
    case INTERP_START:
        if (view.leaving > 0) {
            *moving = true;
            master->moved_home = home;
        }
        start(master, place_find(master, home));
        break;
    case INTERP_DRAIN_LEAVING:
    case INTERP_DRAIN_OLDER:
    case INTERP_DRAIN_ALL:
        drain_home(master, home, step);
        break;
    }
}

void interp_settle(struct master *master)
{
    uint32_t homes = master->board->worker_slots;
    struct interp_view view;
    bool moving = false;

    for (uint32_t i = 0; i < master->board->interp_slots; i++)
        look_at(master, i);
    for (uint32_t i = 0; i < homes; i++) {
        view_home(master, i, &view);
        moving = moving || is_moving(&view);
    }
    /* From the next home on: who always has somebody to replace may wait. */
    for (uint32_t i = 1; i <= homes; i++)
        settle_home(master, (master->moved_home + i) % homes, &moving);
}

static void log_death(const struct master *master, const struct interp *interp,
                      pid_t pid, int status)
{
    if (WIFSIGNALED(status) && !interp->killed) {
        int number = WTERMSIG(status);

        log_line(number == SIGKILL ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
                 "Worker (pid:%d) was sent SIG%s!%s", (int)pid,
                 sigabbrev_np(number) != NULL ? sigabbrev_np(number) : "?",
                 number == SIGKILL ? " Perhaps out of memory?" : "");
    } else if (WIFEXITED(status) && WEXITSTATUS(status) != 0 &&
               master->phase == MASTER_SERVING) {
        log_error("Worker (pid:%d) exited with code %d.", (int)pid,
                  WEXITSTATUS(status));
    }
}

static void after_death(struct master *master, uint32_t slot, int status)
{
    struct interp *interp = &master->interps[slot];
    bool booted = interp->serving_ns != 0;

    if (interp->killed && !interp->late && !booted)
        return;
    if (!booted && master->phase == MASTER_SERVING &&
        generation_on_boot_failure(master, interp, status))
        return;
    if (!booted || master->now - interp->serving_ns < QUICK_DEATH_NS)
        on_failure(master, slot);
}

/* The living interpreter with this pid, or -1. */
static int slot_find(const struct master *master, pid_t pid)
{
    for (uint32_t i = 0; i < master->board->interp_slots; i++) {
        const struct board_interp *place = board_interp(master->board, i);

        if (is_alive(atomic_load(&place->state)) &&
            atomic_load(&place->pid) == pid)
            return (int)i;
    }
    return -1;
}

void interp_on_stop(struct master *master, pid_t pid, bool stopped)
{
    int slot = slot_find(master, pid);

    if (slot >= 0)
        master->interps[slot].stopped_ns = stopped ? master->now : 0;
}

bool interp_on_exit(struct master *master, pid_t pid, int status)
{
    int slot = slot_find(master, pid);
    struct interp *interp;

    if (slot < 0)
        return false;
    interp = &master->interps[slot];
    /* It may have served and died between two looks. */
    if (interp->serving_ns == 0 && !interp->killed &&
        atomic_load(&board_interp(master->board, (uint32_t)slot)->state) !=
            BOARD_INTERP_STARTING)
        on_serving(master, (uint32_t)slot);
    log_death(master, interp, pid, status);
    hooks_child_exit(master, interp->generation, pid);
    bury(master, (uint32_t)slot);
    after_death(master, (uint32_t)slot, status);
    return true;
}

void interp_forget_orders(struct master *master, uint32_t generation)
{
    for (uint32_t i = 0; i < master->board->interp_slots; i++) {
        struct board_interp *place = board_interp(master->board, i);

        if (is_alive(atomic_load(&place->state)) &&
            atomic_load(&place->pid) == 0 &&
            master->interps[i].generation == generation)
            bury(master, i);
    }
}

void interp_drain_all(struct master *master, uint64_t kill_ns)
{
    for (uint32_t i = 0; i < master->board->interp_slots; i++) {
        if (is_alive(atomic_load(&board_interp(master->board, i)->state)))
            interp_drain(master, i, kill_ns);
    }
}

void interp_signal_all(struct master *master, int signal)
{
    for (uint32_t i = 0; i < master->board->interp_slots; i++) {
        const struct board_interp *place = board_interp(master->board, i);
        pid_t pid = atomic_load(&place->pid);

        if (pid > 0 && is_alive(atomic_load(&place->state))) {
            master->interps[i].killed |= signal == SIGKILL;
            kill(pid, signal);
        }
    }
}

void interp_kill_starting(struct master *master, uint32_t generation)
{
    for (uint32_t i = 0; i < master->board->interp_slots; i++) {
        const struct board_interp *place = board_interp(master->board, i);

        if (atomic_load(&place->state) == BOARD_INTERP_STARTING &&
            master->interps[i].generation == generation)
            interp_drain(master, i, master->now);
    }
}

uint32_t interp_alive(const struct master *master)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < master->board->interp_slots; i++)
        count += is_alive(atomic_load(&board_interp(master->board, i)->state));
    return count;
}

bool interp_serves(const struct master *master, uint32_t generation)
{
    for (uint32_t i = 0; i < master->board->interp_slots; i++) {
        if (board_interp_serves(
                atomic_load(&board_interp(master->board, i)->state)) &&
            master->interps[i].generation == generation)
            return true;
    }
    return false;
}

uint32_t interp_older(const struct master *master, uint32_t generation)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < master->board->interp_slots; i++)
        count +=
            is_alive(atomic_load(&board_interp(master->board, i)->state)) &&
            master->interps[i].generation < generation;
    return count;
}
