/* SPDX-License-Identifier: MIT */
#include "health.h"

#include "board.h"
#include "board_interp.h"

/* A request that it started a moment ago it was free to start. */
static bool was_free(const struct board_interp *interp, uint64_t now,
                     uint64_t window_ns)
{
    uint64_t since = atomic_load_explicit(&interp->busy_since_ns,
                                          memory_order_relaxed);

    return window_ns == 0 || since == 0 || since + window_ns > now ||
           board_sleepers(interp) > 0;
}

enum health health_of(const struct board *board, uint64_t now,
                      uint64_t window_ns)
{
    enum health health = HEALTH_NOT_SERVING;

    if (atomic_load(&board->draining))
        return HEALTH_DRAINING;
    if (!atomic_load(&board->template_up))
        return HEALTH_NO_TEMPLATE;
    for (uint32_t i = 0; i < board->interp_slots; i++) {
        const struct board_interp *interp = board_interp(board, i);

        if (!board_interp_serves(atomic_load(&interp->state)))
            continue;
        if (was_free(interp, now, window_ns))
            return HEALTH_READY;
        health = HEALTH_BUSY;
    }
    return health;
}

const char *health_text(enum health health)
{
    switch (health) {
    case HEALTH_READY:
        return "ready\n";
    case HEALTH_DRAINING:
        return "not ready: the server is stopping\n";
    case HEALTH_NO_TEMPLATE:
        return "not ready: the application's template is not up\n";
    case HEALTH_NOT_SERVING:
        return "not ready: no interpreter has loaded the application\n";
    case HEALTH_BUSY:
        return "not ready: no interpreter has been free for some time\n";
    }
    return "";
}
