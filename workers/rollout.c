/* SPDX-License-Identifier: MIT */
#include "rollout.h"

#include "apply.h"
#include "binds.h"
#include "core/board.h"
#include "core/board_worker.h"
#include "core/log.h"
#include "worker_slot.h"

#include <stdlib.h>
#include <string.h>

#define NO_SLOT UINT32_MAX

static void settings_free(struct config *config)
{
    if (config != NULL)
        config_done(config);
    free(config);
}

void rollout_begin(struct master *master, struct config *from)
{
    struct rollout *rollout = &master->rollout;

    settings_free(rollout->from);
    *rollout = (struct rollout){
        .serial = rollout->serial + 1,
        .active = true,
        .from = from,
    };
}

void rollout_done(struct master *master)
{
    settings_free(master->rollout.from);
    master->rollout.from = NULL;
}

uint32_t rollout_serial(const struct master *master, uint32_t slot)
{
    uint32_t serial = master->rollout.serial;

    /* One that was started again before its turn lacks the new sockets. */
    return binds_slot_is_open(master, slot) ? serial : serial - 1;
}

static bool serves(const struct master *master, uint32_t slot)
{
    return master->slots[slot].pid != 0 &&
           atomic_load(&board_worker(master->board, slot)->state) ==
               BOARD_WORKER_SERVING;
}

static bool is_fresh(const struct master *master, uint32_t slot)
{
    return master->slots[slot].serial == master->rollout.serial;
}

/* Its process is another one than at the beginning, or soon. */
static bool is_through(const struct master *master, uint32_t slot)
{
    const struct worker_slot *mine = &master->slots[slot];

    return mine->state != WORKER_SLOT_OPEN ||
           (is_fresh(master, slot) && !mine->replaced && serves(master, slot));
}

static uint32_t first_due(const struct master *master)
{
    for (uint32_t i = 0; i < master->board->worker_slots; i++) {
        if (!is_through(master, i))
            return i;
    }
    return NO_SLOT;
}

static uint32_t stand_in_find(const struct master *master)
{
    for (uint32_t i = 0; i < master->board->worker_slots; i++) {
        if (master->slots[i].state == WORKER_SLOT_STANDING_IN)
            return i;
    }
    return NO_SLOT;
}

/* Beyond those that are in service, where nobody else means to be. */
static uint32_t free_slot(const struct master *master)
{
    for (uint32_t i = master->wanted; i < master->board->worker_slots; i++) {
        if (master->slots[i].state == WORKER_SLOT_EMPTY)
            return i;
    }
    return NO_SLOT;
}

static void finish(struct master *master)
{
    struct rollout *rollout = &master->rollout;

    rollout->active = false;
    binds_close_leaving(master);
    rollout_done(master);
    log_info("Reload: all I/O workers have the new settings");
}

static void replace(struct master *master, uint32_t slot)
{
    if (master->slots[slot].replaced || is_fresh(master, slot))
        return;
    master->slots[slot].replaced = true;
    worker_slot_drain(master, slot);
}

/* Sockets are opened in the order of slots: see listener.h. */
static void bridge(struct master *master, uint32_t slot)
{
    uint32_t spare = free_slot(master);
    int err = binds_open_slot(master, slot);

    if (err < 0) {
        log_error("Can't open the new sockets of worker %u: %s", slot,
                  strerror(-err));
        master->rollout.retry_ns = master->now + NS_PER_S;
    } else if (spare == NO_SLOT) {
        /* What is queued waits for the process that follows. */
        replace(master, slot);
    } else {
        worker_slot_stand_in(master, spare, slot);
    }
}

static bool must_wait(struct master *master)
{
    if (master->now >= master->rollout.retry_ns)
        return false;
    master_wake_at(master, master->rollout.retry_ns);
    return true;
}

/* Another reload came while it was there. */
static bool is_outdated(const struct master *master, uint32_t stand_in)
{
    return !is_fresh(master, stand_in) &&
           !master->slots[master->slots[stand_in].stands_for].replaced;
}

void rollout_settle(struct master *master)
{
    uint32_t stand_in, due;

    if (!master->rollout.active || master->phase != MASTER_SERVING)
        return;
    stand_in = stand_in_find(master);
    if (stand_in != NO_SLOT) {
        due = master->slots[stand_in].stands_for;
        if (is_through(master, due) || is_outdated(master, stand_in)) {
            worker_slot_retire_stand_in(master, stand_in);
        } else if (serves(master, stand_in)) {
            master->rollout.proved = true;
            master->rollout.failures = 0;
            replace(master, due);
        }
        return;
    }
    due = first_due(master);
    if (due == NO_SLOT)
        finish(master);
    else if (!is_fresh(master, due) && !master->slots[due].replaced &&
             master->slots[due].pid != 0 && !must_wait(master))
        bridge(master, due);
}

/* Nothing was replaced yet: as if it had not been. */
static void give_up(struct master *master)
{
    static const char why[] =
        "a worker process could not start with the new settings";
    struct rollout *rollout = &master->rollout;

    log_error("Reload failed: %s. Those that were in force go on; the new "
              "code serves.",
              why);
    apply_take_back(master, rollout->from);
    binds_close_leaving(master);
    /* What all are is again what is wanted. */
    rollout->serial--;
    rollout->active = false;
    rollout_done(master);
    if (master->reload.state == RELOAD_REPLACING)
        reload_end(&master->reload, RELOAD_FAILED, why, master->now);
}

void rollout_on_death(struct master *master, uint32_t slot)
{
    struct rollout *rollout = &master->rollout;

    if (!rollout->active)
        return;
    rollout->retry_ns = master->now + master_backoff_ns(++rollout->failures);
    if (!rollout->proved &&
        !master->slots[master->slots[slot].stands_for].replaced)
        give_up(master);
}
