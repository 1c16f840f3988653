/* SPDX-License-Identifier: MIT */
/*
 * queues - connections that wait in a listening socket's queue although a
 * worker could take them.
 *
 * Of the workers that share a socket the kernel wakes one for each connection
 * (EPOLLEXCLUSIVE). One that is being killed can be the one: its ring hears of
 * connections until the kernel has taken it apart, which may be after its
 * parent has reaped it, and nobody else is told before the next connection. So
 * when one that may have shared a socket dies, all others are told to look;
 * while another master has the same sockets, whose workers' deaths nobody here
 * sees, they are told every second.
 */
#ifndef GCORN_WORKERS_QUEUES_H
#define GCORN_WORKERS_QUEUES_H

#include "core/base.h"

struct master;

struct queues {
    uint64_t until_ns; /* often until then */
    uint64_t next_ns;
};

/* Somebody who accepted connections has died, or is dying. */
void queues_look(struct master *master);

void queues_settle(struct master *master);
#endif
