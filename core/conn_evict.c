/* SPDX-License-Identifier: MIT */
#include "conn_evict.h"

#include "conn_body.h"
#include "conn_set.h"

/* Who sends a body at this rate, or for less than this time, is left alone. */
#define FAIR_BYTES_PER_S 4096
#define FAIR_NS NS_PER_S

/* Bytes a second of a body being received; UINT64_MAX: not to be touched. */
static uint64_t rate_of(struct conn_set *set, const struct conn *c)
{
    uint64_t age = set->now_ns - c->arrived_ns;

    if (c->state != CONN_BODY || !c->x || c->flags & CONN_EXPECT ||
        c->inflight & CONN_IN_OUTPUT || c->flags & CONN_CANCELLING ||
        age < FAIR_NS)
        return UINT64_MAX;
    return min_u64(c->x->body_bytes, EXCHANGE_SPOOL_FILE_BYTES) /
           (age / NS_PER_MS) * 1000;
}

static struct conn *slowest(struct conn_set *set)
{
    uint64_t least = FAIR_BYTES_PER_S;
    struct conn *found = NULL;

    for (uint32_t slot = 0; slot < set->table->arena.slots; slot++) {
        struct conn *c = set->jobs[slot].conn;
        uint64_t rate = c ? rate_of(set, c) : UINT64_MAX;

        if (rate < least) {
            least = rate;
            found = c;
        }
    }
    return found;
}

bool conn_evict(struct conn_set *set)
{
    struct conn *c = slowest(set);

    if (!c)
        return false;
    stats_add(&set->stats->timeouts, 1);
    conn_body_failed(set, c);
    return !c->x; /* else its memory is lent to a receive: soon */
}
