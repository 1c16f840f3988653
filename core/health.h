/* SPDX-License-Identifier: MIT */
/*
 * health - can this server take requests? Read off the board by whoever is
 * asked: a worker on the normal port, the master on its admin address. It
 * touches no interpreter, so it is answered also when all of them are busy.
 */
#ifndef GCORN_CORE_HEALTH_H
#define GCORN_CORE_HEALTH_H

#include "base.h"

struct board;

enum health {
    HEALTH_READY,
    HEALTH_DRAINING,
    HEALTH_NO_TEMPLATE,
    HEALTH_NOT_SERVING, /* no interpreter has the application */
    HEALTH_BUSY,        /* none was free within the window */
};

/*
 * window_ns is how long ago an interpreter must have been free; 0: any time
 * will do, being busy is healthy.
 */
enum health health_of(const struct board *board, uint64_t now,
                      uint64_t window_ns);

/* One line for people, with its newline. */
const char *health_text(enum health health);
#endif
