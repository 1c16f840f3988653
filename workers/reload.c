/* SPDX-License-Identifier: MIT */
#include "reload.h"

#include <stdio.h>

void reload_begin(struct reload *reload, uint64_t now)
{
    reload->state = RELOAD_TRYING;
    reload->serial++;
    reload->began_ns = now;
    reload->ended_ns = 0;
    reload->why[0] = '\0';
}

void reload_end(struct reload *reload, enum reload_state state, const char *why,
                uint64_t now)
{
    if (state == RELOAD_DONE)
        reload->succeeded++;
    else
        reload->failed++;
    reload->state = state;
    reload->ended_ns = now;
    snprintf(reload->why, sizeof(reload->why), "%s", why);
}
