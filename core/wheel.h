/* SPDX-License-Identifier: MIT */
/*
 * wheel - many coarse deadlines: 100 ms ticks, adding and removing in O(1).
 *
 * 256 slots are a revolution of 25.6 s; a deadline further away stays in its
 * slot while the wheel passes it. A node may expire up to one tick late and
 * never early. Moving a deadline further away (each request of a keep-alive
 * connection does) only writes the node; the wheel finds out when the old
 * deadline comes.
 *
 * The caller owns the nodes and tells the time, in milliseconds since
 * whenever it likes; the time never goes back.
 */
#ifndef GCORN_CORE_WHEEL_H
#define GCORN_CORE_WHEEL_H

#include "base.h"

#define WHEEL_SLOTS 256
#define WHEEL_TICK_MS 100

/* Lives inside the object that has the deadline. All zero: not in a wheel. */
struct wheel_node {
    struct wheel_node *next;
    struct wheel_node **link; /* what points here; NULL: not in a wheel */
    uint64_t deadline_ms;
    uint64_t tick; /* where it hangs: at most the deadline's tick */
};

/* All fields are private. */
struct wheel {
    struct wheel_node *slots[WHEEL_SLOTS];
    struct wheel_node *due; /* the slots passed so far, to be looked through */
    uint64_t occupied[WHEEL_SLOTS / 64];
    uint64_t tick; /* slots up to this one have been passed */
    uint32_t count;
};

void wheel_init(struct wheel *wheel, uint64_t now_ms);

/* Adds the node, or moves it to the new deadline. */
void wheel_add(struct wheel *wheel, struct wheel_node *node,
               uint64_t deadline_ms);

/* Does nothing to a node that is in no wheel. */
void wheel_remove(struct wheel *wheel, struct wheel_node *node);

static inline bool wheel_has(const struct wheel_node *node)
{
    return node->link != NULL;
}

/*
 * Removes and returns one node whose deadline has passed, or NULL when there
 * is none left. Between calls any node may be added or removed; one that is
 * added with a deadline already past expires at the next tick.
 */
struct wheel_node *wheel_expire(struct wheel *wheel, uint64_t now_ms);

/*
 * When wheel_expire() should be called next; never too late, at times too
 * early. UINT64_MAX when the wheel is empty.
 */
uint64_t wheel_next_ms(const struct wheel *wheel);
#endif
