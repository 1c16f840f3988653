/* SPDX-License-Identifier: MIT */
/*
 * crowd - how many connections each address has, so that one cannot take all.
 *
 * An IPv6 address stands for its /64, which is what one customer gets at
 * least. Owned by the worker's one thread; its memory is decided at the start.
 * Where an address is kept depends on a secret, so that nobody can choose
 * addresses that are slow to find.
 */
#ifndef GCORN_CORE_CROWD_H
#define GCORN_CORE_CROWD_H

#include "ip.h"

/* All fields are private. All zero: nobody is counted. */
struct crowd {
    struct crowd_seat *seats;
    struct ip *of; /* each connection's */
    uint32_t mask;
    uint32_t limit;
    uint64_t secret;
};

/*
 * For at most `connections` at once, `limit` of each address; a limit of 0
 * counts nobody. Returns 0 or -ENOMEM.
 */
int crowd_init(struct crowd *crowd, uint32_t connections, uint32_t limit);
void crowd_done(struct crowd *crowd);

/*
 * A connection, named by its number below `connections`. False: its address
 * has as many as it may, and this one is not counted.
 */
bool crowd_enter(struct crowd *crowd, uint32_t connection, const struct ip *ip);

/* One that entered. */
void crowd_leave(struct crowd *crowd, uint32_t connection);

/* How many connections are counted for the address. */
uint32_t crowd_count(const struct crowd *crowd, const struct ip *ip);
#endif
