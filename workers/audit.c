/* SPDX-License-Identifier: MIT */
#include "audit.h"

#include "core/board.h"
#include "core/board_interp.h"
#include "core/log.h"
#include "process_memory.h"
#include "topology/size.h"

#define AUDIT_NS (3 * NS_PER_S)

static uint64_t alarm_of(uint64_t share)
{
    return share / 100 * PLAN_SAFETY_PERCENT;
}

enum audit_verdict audit_judge(uint64_t bytes, uint64_t first_bytes,
                               uint64_t share)
{
    if (share == 0 || bytes <= alarm_of(share))
        return AUDIT_FINE;
    if (bytes <= share)
        return AUDIT_ALARM;
    return first_bytes > share ? AUDIT_HOPELESS : AUDIT_OVER;
}

uint64_t audit_share(const struct master *master)
{
    const struct plan *plan = master->placement.plan;
    uint64_t bytes;

    if (size_parse(master->config->max_worker_memory, &bytes) == 0)
        return bytes;
    /* TTIN may have asked for more workers than were planned. */
    return plan->usable_bytes / max_u64(master->wanted, plan->n_workers);
}

/*
 * Most are far below the alarm, which a cheap look at their pages tells; a
 * good one walks them all.
 */
static int measure(pid_t pid, uint64_t enough, uint64_t *ret_bytes)
{
    struct process_memory memory;
    int err = process_memory_resident(pid, ret_bytes);

    if (err < 0 || *ret_bytes <= enough)
        return err;
    if (process_memory_read(pid, &memory) == 0)
        *ret_bytes = process_memory_of(&memory);
    return 0;
}

static unsigned long long mib(uint64_t bytes)
{
    return bytes >> 20;
}

static void say_once(struct interp *interp, pid_t pid, uint64_t share)
{
    if (interp->memory_alarmed)
        return;
    interp->memory_alarmed = true;
    log_warning("Worker (pid:%d) takes %llu MiB, %llu %% of its safe share of "
                "%llu MiB",
                (int)pid, mib(interp->memory_bytes),
                (unsigned long long)(interp->memory_bytes * 100 / share),
                mib(share));
}

static void say_hopeless(struct interp *interp, pid_t pid, uint64_t share)
{
    if (interp->memory_alarmed)
        return;
    interp->memory_alarmed = true;
    log_warning("Worker (pid:%d) takes %llu MiB, more than its safe share of "
                "%llu MiB since it started: another would be as large. Run "
                "fewer workers (--autotune shows how many), or raise "
                "--max-worker-memory",
                (int)pid, mib(interp->memory_bytes), mib(share));
}

/* Never two at once: an interpreter is on its way in or out already. */
static bool any_moves(const struct master *master)
{
    for (uint32_t i = 0; i < master->board->interp_slots; i++) {
        uint32_t state = atomic_load(&board_interp(master->board, i)->state);

        if (state != BOARD_INTERP_EMPTY && state != BOARD_INTERP_SERVING)
            return true;
    }
    return false;
}

static void replace(struct master *master, uint32_t slot, uint64_t share)
{
    struct board_interp *place = board_interp(master->board, slot);
    uint32_t serving = BOARD_INTERP_SERVING;

    if (any_moves(master) ||
        !atomic_compare_exchange_strong(&place->state, &serving,
                                        BOARD_INTERP_RETIRING))
        return;
    log_warning("Worker (pid:%d) has grown to %llu MiB, over its safe share of "
                "%llu MiB: replacing it",
                (int)atomic_load(&place->pid),
                mib(master->interps[slot].memory_bytes), mib(share));
}

static void audit_one(struct master *master, uint32_t slot, uint64_t share)
{
    struct board_interp *place = board_interp(master->board, slot);
    struct interp *interp = &master->interps[slot];
    pid_t pid = atomic_load(&place->pid);

    if (atomic_load(&place->state) != BOARD_INTERP_SERVING || pid <= 0 ||
        measure(pid, alarm_of(share), &interp->memory_bytes) < 0)
        return;
    if (interp->memory_first_bytes == 0)
        interp->memory_first_bytes = interp->memory_bytes;
    switch (
        audit_judge(interp->memory_bytes, interp->memory_first_bytes, share)) {
    case AUDIT_FINE:
        interp->memory_alarmed = false;
        break;
    case AUDIT_ALARM:
        say_once(interp, pid, share);
        break;
    case AUDIT_OVER:
        replace(master, slot, share);
        break;
    case AUDIT_HOPELESS:
        say_hopeless(interp, pid, share);
        break;
    }
}

/* The first look comes as soon as it serves: it says what it began with. */
static bool is_new(const struct master *master, uint32_t slot)
{
    return master->interps[slot].serving_ns != 0 &&
           master->interps[slot].memory_first_bytes == 0;
}

void audit_settle(struct master *master)
{
    bool all = master->now >= master->audit_ns;
    uint64_t share = audit_share(master);

    if (master->phase != MASTER_SERVING || master->checks_only || share == 0)
        return;
    if (all)
        master->audit_ns = master->now + AUDIT_NS;
    for (uint32_t i = 0; i < master->board->interp_slots; i++)
        if (all || is_new(master, i))
            audit_one(master, i, share);
}
