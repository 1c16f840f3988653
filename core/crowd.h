/* SPDX-License-Identifier: MIT */
/*
 * crowd - how many connections each address has, so that one cannot take all.
 *
 * An IPv6 address stands for its /64, which is what one customer gets at
 * least. Each worker writes a table of its own, in memory that all of them
 * share, and adds up what the others have for an address: an exact number, but
 * for what changes in that moment. Memory is decided at the start. Where an
 * address is kept depends on a secret, so that nobody can choose addresses
 * that are slow to find.
 */
#ifndef GCORN_CORE_CROWD_H
#define GCORN_CORE_CROWD_H

#include "ip.h"

/* The memory that workers share. */
struct crowd_hall;

/*
 * Before the workers are forked: for so many of them, each with at most
 * `connections`. Returns 0 or -ENOMEM.
 */
int crowd_hall_new(struct crowd_hall **ret_hall, uint32_t workers,
                   uint32_t connections);
void crowd_hall_free(struct crowd_hall *hall);

/* A worker is gone, and its connections with it. */
void crowd_hall_clear(struct crowd_hall *hall, uint32_t worker);

/* All fields are private. All zero: nobody is counted. */
struct crowd {
    struct crowd_hall *hall;
    struct crowd_seat *seats; /* our table in it */
    struct ip *of;            /* each connection's */
    uint32_t worker;
    uint32_t limit;
    bool owns_hall;
};

/* Which of the workers sharing a hall it is; NULL: it is alone. */
struct crowd_place {
    struct crowd_hall *hall;
    uint32_t worker;
};

/*
 * For at most `connections` at once, `limit` of each address; a limit of 0
 * counts nobody. Returns 0, -EINVAL (the hall is too small) or -ENOMEM.
 */
int crowd_init(struct crowd *crowd, struct crowd_place place,
               uint32_t connections, uint32_t limit);
void crowd_done(struct crowd *crowd);

/*
 * A connection, named by its number below `connections`. False: its address
 * has as many as it may, and this one is not counted.
 */
bool crowd_enter(struct crowd *crowd, uint32_t connection, const struct ip *ip);

/* One that entered. */
void crowd_leave(struct crowd *crowd, uint32_t connection);

/* How many connections all the workers have counted for the address. */
uint32_t crowd_count(const struct crowd *crowd, const struct ip *ip);
#endif
