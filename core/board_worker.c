/* SPDX-License-Identifier: MIT */
#include "board_worker.h"

#include "doorbell.h"
#include "futex.h"

void board_wake_worker(struct board_worker *worker)
{
    /* Read first: an awake worker's line stays shared, nobody writes it. */
    if (atomic_load(&worker->sleeping) == BOARD_AWAKE)
        return;
    switch (
        (enum board_waking)atomic_exchange(&worker->sleeping, BOARD_AWAKE)) {
    case BOARD_AWAKE:
        break;
    case BOARD_ASLEEP:
        doorbell_ring(worker->doorbell_fd);
        break;
    case BOARD_DOZING:
        futex_wake_one(&worker->sleeping);
        break;
    }
}

void board_doze(struct board_worker *worker, uint64_t ns)
{
    futex_wait(&worker->sleeping, BOARD_DOZING, ns);
    atomic_store(&worker->sleeping, BOARD_AWAKE);
}
