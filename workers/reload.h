/* SPDX-License-Identifier: MIT */
/*
 * reload - what became of the last HUP. The master's; read by whoever has to
 * tell an operator (ctl, the exit status of gcorn reload). Decides nothing.
 *
 * NONE -> TRYING -> FAILED: the old code goes on
 *                -> REPLACING: it serves -> DONE: nothing of the old is left
 */
#ifndef GCORN_WORKERS_RELOAD_H
#define GCORN_WORKERS_RELOAD_H

#include "core/base.h"

enum reload_state {
    RELOAD_NONE,
    RELOAD_TRYING,
    RELOAD_REPLACING,
    RELOAD_DONE,
    RELOAD_FAILED,
};

struct reload {
    enum reload_state state;
    uint32_t serial; /* how many were begun; whoever asks waits for his */
    uint32_t succeeded;
    uint32_t failed;
    uint64_t began_ns;
    uint64_t ended_ns;
    char why[256]; /* a sentence without a full stop, when it failed */
};

void reload_begin(struct reload *reload, uint64_t now);

/* DONE or FAILED. */
void reload_end(struct reload *reload, enum reload_state state, const char *why,
                uint64_t now);

/* Decided, one way or the other. */
static inline bool reload_is_over(const struct reload *reload)
{
    return reload->state == RELOAD_DONE || reload->state == RELOAD_FAILED;
}
#endif
