/* SPDX-License-Identifier: MIT */
#include "replan.h"

#include "core/board.h"
#include "core/board_interp.h"
#include "core/log.h"
#include "shared.h"
#include "topology/bind.h"

#include <stdlib.h>
#include <string.h>

#define REPLAN_NS (30 * NS_PER_S)
#define REPLAN_MS_MIN 10

static bool serves(const struct master *master, uint32_t slot)
{
    return master->slots[slot].state != WORKER_SLOT_EMPTY &&
           !master->slots[slot].stands_in;
}

static void bind_one(const struct master *master, pid_t pid,
                     const struct cpus *cpus)
{
    const struct cpus *all = &master->placement.sight.affinity;
    int err;

    if (pid <= 0)
        return;
    err = bind_process_cpus(pid, cpus_is_empty(cpus) ? all : cpus);
    /* It may have ended just now. */
    if (err < 0 && err != -ESRCH)
        log_warning("Process %d is not bound to its new CPUs: %s", (int)pid,
                    strerror(-err));
}

/* Its replacement gets memory of the right node. */
static void retire(struct board_interp *place)
{
    uint32_t serving = BOARD_INTERP_SERVING;

    atomic_compare_exchange_strong(&place->state, &serving,
                                   BOARD_INTERP_RETIRING);
}

static bool is_same(const struct plan_place *a, const struct plan_place *b)
{
    return cpus_equal(&a->worker_cpus, &b->worker_cpus) &&
           cpus_equal(&a->interp_cpus, &b->interp_cpus) &&
           a->memory_node == b->memory_node;
}

static void move(struct master *master, uint32_t slot,
                 const struct plan_place *from)
{
    const struct plan_place *to = placement_of(&master->placement, slot);
    uint32_t first = slot * BOARD_INTERPS_PER_WORKER;

    if (is_same(from, to) || !serves(master, slot))
        return;
    bind_one(master, master->slots[slot].pid, &to->worker_cpus);
    for (uint32_t i = first; i < first + BOARD_INTERPS_PER_WORKER; i++) {
        struct board_interp *place = board_interp(master->board, i);

        bind_one(master, atomic_load(&place->pid), &to->interp_cpus);
        if (to->memory_node != from->memory_node)
            retire(place);
    }
}

/* What was asked for by TTIN and TTOU stays on top of the plan. */
static void count(struct master *master, uint32_t before)
{
    uint32_t after = master->placement.workers;
    int64_t wanted = (int64_t)master->wanted + after - before;

    if (after == before)
        return;
    if (master->config->workers > 0)
        wanted = after;
    if (wanted < 1)
        wanted = 1;
    if (wanted > master->board->worker_slots) {
        log_warning("Plan: there is room for %u workers only; restart to have "
                    "more",
                    master->board->worker_slots);
        wanted = master->board->worker_slots;
    }
    master->wanted = (uint32_t)wanted;
    log_info("Plan: changed from %u to %u workers; %u are wanted", before,
             after, master->wanted);
}

static void apply(struct master *master, const struct plan_place *before)
{
    for (uint32_t i = 0; i < master->placement.slots; i++) {
        /* Its core was claimed with the plan, or has to be now. */
        if (serves(master, i))
            placement_open(&master->placement, i);
        move(master, i, &before[i]);
    }
    shared_place(master);
}

static bool any_differs(const struct placement *placement,
                        const struct plan_place *before)
{
    for (uint32_t i = 0; i < placement->slots; i++)
        if (!is_same(&before[i], &placement->places[i]))
            return true;
    return false;
}

static void replan(struct master *master, bool force)
{
    struct placement *placement = &master->placement;
    size_t bytes = placement->slots * sizeof(struct plan_place);
    struct plan_place *before = malloc(bytes);
    uint32_t workers = placement->workers;
    bool moved;
    int found;

    if (before == NULL)
        return;
    memcpy(before, placement->places, bytes);
    found = placement_replan(placement, master->config, force);
    if (found < 0)
        log_warning("Can't plan anew: %s", strerror(-found));
    if (found > 0) {
        moved = any_differs(placement, before);
        count(master, workers);
        if (moved || workers != placement->workers)
            placement_log(placement, false);
        apply(master, before);
    }
    free(before);
}

void replan_now(struct master *master)
{
    if (master->phase == MASTER_SERVING && !master->checks_only)
        replan(master, true);
}

/* 30 s is long for who tests it, and for who has seconds to react. */
static uint64_t interval_ns(void)
{
    const char *text = getenv("GCORN_REPLAN_MS");
    uint64_t ms = text != NULL ? strtoul(text, NULL, 10) : 0;

    return ms >= REPLAN_MS_MIN ? ms * NS_PER_MS : REPLAN_NS;
}

void replan_settle(struct master *master)
{
    if (master->now < master->replan_ns) {
        master_wake_at(master, master->replan_ns);
        return;
    }
    if (master->replan_ns != 0 && master->phase == MASTER_SERVING &&
        !master->checks_only)
        replan(master, false);
    master->replan_ns = master->now + interval_ns();
    master_wake_at(master, master->replan_ns);
}
