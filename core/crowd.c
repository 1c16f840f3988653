/* SPDX-License-Identifier: MIT */
#include "crowd.h"

#include <stdlib.h>
#include <sys/random.h>

/* Open addressing; at most half of the seats are taken. */
struct crowd_seat {
    struct ip ip;
    uint32_t count; /* 0: free */
};

static struct ip network_of(const struct ip *ip)
{
    struct ip network = *ip;

    if (!ip_is_v4(ip))
        memset(network.byte + 8, 0, 8);
    return network;
}

static uint32_t home_of(const struct crowd *crowd, const struct ip *ip)
{
    uint64_t half[2];
    uint64_t hash = crowd->secret;

    memcpy(half, ip->byte, sizeof(half));
    for (int i = 0; i < 2; i++) {
        hash = (hash ^ half[i]) * 0x9e3779b97f4a7c15ULL;
        hash ^= hash >> 32;
    }
    return (uint32_t)hash & crowd->mask;
}

/* The seat of the network, or the free one where it would sit. */
static uint32_t seat_of(const struct crowd *crowd, const struct ip *network)
{
    uint32_t at = home_of(crowd, network);

    while (crowd->seats[at].count > 0 &&
           !ip_equal(&crowd->seats[at].ip, network))
        at = (at + 1) & crowd->mask;
    return at;
}

int crowd_init(struct crowd *crowd, uint32_t connections, uint32_t limit)
{
    uint64_t seats = 2;

    *crowd = (struct crowd){.limit = limit};
    if (limit == 0)
        return 0;
    while (seats < 2ULL * connections)
        seats *= 2;
    if (getrandom(&crowd->secret, sizeof(crowd->secret), 0) !=
        sizeof(crowd->secret))
        crowd->secret = now_ns();
    crowd->mask = (uint32_t)(seats - 1);
    crowd->seats = calloc(seats, sizeof(*crowd->seats));
    crowd->of = calloc(connections, sizeof(*crowd->of));
    return crowd->seats && crowd->of ? 0 : -ENOMEM;
}

void crowd_done(struct crowd *crowd)
{
    free(crowd->seats);
    free(crowd->of);
    *crowd = (struct crowd){0};
}

bool crowd_enter(struct crowd *crowd, uint32_t connection, const struct ip *ip)
{
    struct ip network = network_of(ip);
    struct crowd_seat *seat = &crowd->seats[seat_of(crowd, &network)];

    if (seat->count >= crowd->limit)
        return false;
    crowd->of[connection] = seat->ip = network;
    seat->count++;
    return true;
}

/* Whoever was pushed on by the one that left moves back. */
static void close_gap(struct crowd *crowd, uint32_t gap)
{
    uint32_t at = gap;

    for (;;) {
        uint32_t home;

        at = (at + 1) & crowd->mask;
        if (crowd->seats[at].count == 0)
            return;
        home = home_of(crowd, &crowd->seats[at].ip);
        if (((at - home) & crowd->mask) < ((at - gap) & crowd->mask))
            continue;
        crowd->seats[gap] = crowd->seats[at];
        crowd->seats[at].count = 0;
        gap = at;
    }
}

void crowd_leave(struct crowd *crowd, uint32_t connection)
{
    uint32_t at = seat_of(crowd, &crowd->of[connection]);

    must(crowd->seats[at].count > 0);
    if (--crowd->seats[at].count == 0)
        close_gap(crowd, at);
}

uint32_t crowd_count(const struct crowd *crowd, const struct ip *ip)
{
    struct ip network = network_of(ip);

    return crowd->seats[seat_of(crowd, &network)].count;
}
