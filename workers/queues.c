/* SPDX-License-Identifier: MIT */
#include "queues.h"

#include "master.h"
#include "core/board.h"
#include "core/board_worker.h"

/* The kernel takes a ring apart on a work queue of its own: some milliseconds
 * after the process, on a busy machine more. */
#define DYING_NS NS_PER_S
#define OFTEN_NS (100 * NS_PER_MS)
#define SELDOM_NS NS_PER_S

static void call_all(const struct master *master)
{
    atomic_fetch_add(&master->board->accept_epoch, 1);
    for (uint32_t i = 0; i < master->board->worker_slots; i++) {
        if (master->slots[i].pid != 0)
            board_wake_worker(board_worker(master->board, i));
    }
}

void queues_look(struct master *master)
{
    master->queues.until_ns = master->now + DYING_NS;
    master->queues.next_ns = 0;
}

void queues_settle(struct master *master)
{
    struct queues *queues = &master->queues;
    bool often = master->now < queues->until_ns;

    if (!often && !upgrade_shares(master))
        return;
    if (master->now >= queues->next_ns) {
        call_all(master);
        queues->next_ns = master->now + (often ? OFTEN_NS : SELDOM_NS);
    }
    master_wake_at(master, queues->next_ns);
}
