/* SPDX-License-Identifier: MIT */
#include "crowd.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>

#define PAGE_BYTES 4096U

/*
 * Open addressing; at most half of the seats are taken. W: the worker whose
 * table it is; others may see a seat that is just being moved, half of it or
 * twice, and count one more or less for that moment.
 */
struct crowd_seat {
    _Atomic uint64_t half[2];
    _Atomic uint32_t count; /* 0: free */
};

/* Then come the tables, each from a page of its own on. */
struct crowd_hall {
    uint64_t secret;
    size_t bytes;
    size_t table_bytes;
    uint32_t workers;
    uint32_t mask;
};

/* What is counted together. */
struct network {
    uint64_t half[2];
};

static struct network network_of(const struct ip *ip)
{
    struct network network;

    memcpy(network.half, ip->byte, sizeof(network.half));
    if (!ip_is_v4(ip))
        network.half[1] = 0;
    return network;
}

static struct crowd_seat *table_of(const struct crowd_hall *hall,
                                   uint32_t worker)
{
    return (struct crowd_seat *)(void *)((char *)(uintptr_t)hall + PAGE_BYTES +
                                         worker * hall->table_bytes);
}

static uint32_t count_at(const struct crowd_seat *seat)
{
    return atomic_load_explicit(&seat->count, memory_order_relaxed);
}

static void count_set(struct crowd_seat *seat, uint32_t count)
{
    atomic_store_explicit(&seat->count, count, memory_order_release);
}

static struct network network_at(const struct crowd_seat *seat)
{
    return (struct network){
        {atomic_load_explicit(&seat->half[0], memory_order_relaxed),
         atomic_load_explicit(&seat->half[1], memory_order_relaxed)}};
}

static void network_set(struct crowd_seat *seat, struct network network)
{
    atomic_store_explicit(&seat->half[0], network.half[0],
                          memory_order_relaxed);
    atomic_store_explicit(&seat->half[1], network.half[1],
                          memory_order_relaxed);
}

static bool is_of(const struct crowd_seat *seat, struct network network)
{
    struct network there = network_at(seat);

    return there.half[0] == network.half[0] && there.half[1] == network.half[1];
}

static uint32_t home_of(const struct crowd_hall *hall, struct network network)
{
    uint64_t hash = hall->secret;

    for (int i = 0; i < 2; i++) {
        hash = (hash ^ network.half[i]) * 0x9e3779b97f4a7c15ULL;
        hash ^= hash >> 32;
    }
    return (uint32_t)hash & hall->mask;
}

/* The seat of the network, or the free one where it would sit. Others write
 * in their tables meanwhile: there is an end to the search in any case. */
static struct crowd_seat *seat_of(const struct crowd_hall *hall,
                                  struct crowd_seat *seats,
                                  struct network network)
{
    uint32_t at = home_of(hall, network);

    for (uint32_t i = 0; i < hall->mask && count_at(&seats[at]) > 0 &&
                         !is_of(&seats[at], network);
         i++)
        at = (at + 1) & hall->mask;
    return &seats[at];
}

int crowd_hall_new(struct crowd_hall **ret_hall, uint32_t workers,
                   uint32_t connections)
{
    struct crowd_hall *hall;
    uint64_t seats = 2;
    size_t table;
    size_t bytes;

    while (seats < 2ULL * connections)
        seats *= 2;
    table = (seats * sizeof(struct crowd_seat) + PAGE_BYTES - 1) / PAGE_BYTES *
            PAGE_BYTES;
    bytes = PAGE_BYTES + workers * table;
    hall = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (hall == MAP_FAILED)
        return -ENOMEM;
    *hall = (struct crowd_hall){.bytes = bytes,
                                .table_bytes = table,
                                .workers = workers,
                                .mask = (uint32_t)(seats - 1)};
    if (getrandom(&hall->secret, sizeof(hall->secret), 0) !=
        sizeof(hall->secret))
        hall->secret = now_ns();
    *ret_hall = hall;
    return 0;
}

void crowd_hall_free(struct crowd_hall *hall)
{
    if (hall)
        munmap(hall, hall->bytes);
}

void crowd_hall_clear(struct crowd_hall *hall, uint32_t worker)
{
    struct crowd_seat *seats;

    if (!hall || worker >= hall->workers)
        return;
    seats = table_of(hall, worker);
    if (madvise(seats, hall->table_bytes, MADV_REMOVE) != 0)
        memset((void *)seats, 0, hall->table_bytes);
}

int crowd_init(struct crowd *crowd, struct crowd_place place,
               uint32_t connections, uint32_t limit)
{
    int error = 0;

    *crowd = (struct crowd){.limit = limit};
    if (limit == 0)
        return 0;
    if (!place.hall) {
        place.worker = 0;
        crowd->owns_hall = true;
        error = crowd_hall_new(&place.hall, 1, connections);
    }
    if (error)
        return error;
    crowd->hall = place.hall;
    if (place.worker >= crowd->hall->workers ||
        2ULL * connections > crowd->hall->mask + 1ULL)
        return -EINVAL;
    crowd->worker = place.worker;
    crowd->seats = table_of(crowd->hall, crowd->worker);
    crowd->of = calloc(connections, sizeof(*crowd->of));
    return crowd->of ? 0 : -ENOMEM;
}

void crowd_done(struct crowd *crowd)
{
    if (crowd->owns_hall)
        crowd_hall_free(crowd->hall);
    free(crowd->of);
    *crowd = (struct crowd){0};
}

static uint32_t count_of(const struct crowd_hall *hall, struct network network)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < hall->workers; i++) {
        const struct crowd_seat *seat = seat_of(hall, table_of(hall, i),
                                                network);

        if (is_of(seat, network))
            count += count_at(seat);
    }
    return count;
}

/* Counted first, then added up: of two at once, in two workers, not both can
 * be overlooked. */
bool crowd_enter(struct crowd *crowd, uint32_t connection, const struct ip *ip)
{
    struct network network = network_of(ip);
    struct crowd_seat *seat = seat_of(crowd->hall, crowd->seats, network);
    uint32_t before = count_at(seat);

    if (before >= crowd->limit)
        return false;
    network_set(seat, network);
    count_set(seat, before + 1);
    atomic_thread_fence(memory_order_seq_cst);
    if (count_of(crowd->hall, network) > crowd->limit) {
        count_set(seat, before);
        return false;
    }
    crowd->of[connection] = *ip;
    return true;
}

/* Whoever was pushed on by the one that left moves back. */
static void close_gap(struct crowd *crowd, uint32_t gap)
{
    uint32_t mask = crowd->hall->mask;
    uint32_t at = gap;

    for (;;) {
        struct crowd_seat *seat;
        uint32_t home;

        at = (at + 1) & mask;
        seat = &crowd->seats[at];
        if (count_at(seat) == 0)
            return;
        home = home_of(crowd->hall, network_at(seat));
        if (((at - home) & mask) < ((at - gap) & mask))
            continue;
        network_set(&crowd->seats[gap], network_at(seat));
        count_set(&crowd->seats[gap], count_at(seat));
        count_set(seat, 0);
        gap = at;
    }
}

void crowd_leave(struct crowd *crowd, uint32_t connection)
{
    struct network network = network_of(&crowd->of[connection]);
    struct crowd_seat *seat = seat_of(crowd->hall, crowd->seats, network);
    uint32_t count = count_at(seat);

    must(count > 0);
    count_set(seat, count - 1);
    if (count == 1)
        close_gap(crowd, (uint32_t)(seat - crowd->seats));
}

uint32_t crowd_count(const struct crowd *crowd, const struct ip *ip)
{
    return count_of(crowd->hall, network_of(ip));
}
