/* SPDX-License-Identifier: MIT */
#include "verify.h"

#include "core/board.h"
#include "core/board_interp.h"
#include "core/log.h"
#include "topology/bind.h"

#include <string.h>

/* The application has allocated by then what it works with. */
#define VERIFY_NS (5 * NS_PER_S)
#define LOCAL_PERCENT 80
/* Fewer pages prove nothing: stacks, and what loading touched. */
#define PAGES_MIN 256

static void verify_cpus(const char *what, pid_t pid, const struct cpus *planned)
{
    char has[CPUS_TEXT], wants[CPUS_TEXT];
    struct cpus cpus;

    if (cpus_is_empty(planned) || bind_cpus_get(pid, &cpus) < 0 ||
        cpus_equal(&cpus, planned))
        return;
    cpus_format(&cpus, has, sizeof(has));
    cpus_format(planned, wants, sizeof(wants));
    log_warning("%s (pid:%d) runs on CPU %s, planned was %s: something moved "
                "it, or the kernel refused",
                what, (int)pid, has, wants);
}

static void verify_pages(const char *what, pid_t pid, int32_t node)
{
    struct bind_pages pages;
    uint64_t all;

    if (node < 0 || bind_count_pages(pid, node, &pages) < 0)
        return;
    all = pages.own_local + pages.own_elsewhere;
    if (all < PAGES_MIN || pages.own_local * 100 >= all * LOCAL_PERCENT)
        return;
    log_warning("%s (pid:%d) has %llu %% of its memory on node %d, where all "
                "was planned: is the node full? gcorn-topo shows",
                what, (int)pid,
                (unsigned long long)(pages.own_local * 100 / all), (int)node);
}

static void verify_one(const struct master *master, const char *what, pid_t pid,
                       const struct plan_place *place, bool is_worker)
{
    if (pid <= 0)
        return;
    verify_cpus(what, pid,
                is_worker ? &place->worker_cpus : &place->interp_cpus);
    if (master->placement.machine->n_nodes > 1)
        verify_pages(what, pid, place->memory_node);
}

/* Once for each process: when its time has come. */
static bool is_due(struct master *master, uint64_t since_ns, bool *verified)
{
    if (*verified || since_ns == 0)
        return false;
    if (master->now < since_ns + VERIFY_NS) {
        master_wake_at(master, since_ns + VERIFY_NS);
        return false;
    }
    *verified = true;
    return true;
}

static void verify_interp(struct master *master, uint32_t slot)
{
    const struct board_interp *at = board_interp(master->board, slot);
    struct interp *interp = &master->interps[slot];

    if (board_interp_serves(atomic_load(&at->state)) &&
        is_due(master, interp->serving_ns, &interp->verified))
        verify_one(master, "Worker", atomic_load(&at->pid),
                   placement_of(&master->placement, board_home(slot)), false);
}

static void verify_worker(struct master *master, uint32_t slot)
{
    struct worker_slot *worker = &master->slots[slot];

    if (worker->state == WORKER_SLOT_OPEN && worker->pid > 0 &&
        is_due(master, worker->started_ns, &worker->verified))
        verify_one(master, "I/O worker", worker->pid,
                   placement_of(&master->placement, slot), true);
}

void verify_settle(struct master *master)
{
    if (master->phase != MASTER_SERVING || master->checks_only)
        return;
    for (uint32_t i = 0; i < master->board->worker_slots; i++)
        verify_worker(master, i);
    for (uint32_t i = 0; i < master->board->interp_slots; i++)
        verify_interp(master, i);
}
