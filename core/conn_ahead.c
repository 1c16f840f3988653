/* SPDX-License-Identifier: MIT */
#include "conn_ahead.h"

#include "conn_block.h"
#include "conn_close.h"
#include "conn_input.h"
#include "conn_job.h"
#include "conn_set.h"
#include "conn_state.h"
#include "log.h"

/* More than this is rather spilled than kept in one of the few large blocks. */
#define STASH_BYTES 8192

static struct exchange_spill *spill_of(struct conn_set *set,
                                       const struct conn *c)
{
    return &conn_job(set, c->x)->spill;
}

uint64_t conn_ahead_bytes(struct conn_set *set, const struct conn *c)
{
    return c->stash.len + exchange_spill_left(spill_of(set, c));
}

bool conn_ahead(struct conn_set *set, const struct conn *c)
{
    return conn_ahead_bytes(set, c) > 0;
}

static void cannot(struct conn_set *set, struct conn *c, int error)
{
    log_error("A request body cannot be stored: %s", strerror(-error));
    conn_close(set, c);
}

void conn_ahead_put(struct conn_set *set, struct conn *c, struct bytes data)
{
    struct exchange_spill *spill = spill_of(set, c);
    int error;

    if (data.n == 0)
        return;
    if (exchange_spill_left(spill) == 0 &&
        c->stash.len + data.n <= STASH_BYTES && conn_stash_try(set, c, data))
        return;
    error = exchange_spill_put(set->table, c->x, spill, data);
    if (error)
        cannot(set, c, error);
}

bool conn_ahead_pull(struct conn_set *set, struct conn *c)
{
    struct exchange_spill *spill = spill_of(set, c);
    int64_t n;

    if (exchange_spill_left(spill) == 0)
        return false;
    conn_block_get(set, &c->stash, exchange_spill_left(spill), true);
    if (!c->stash.at) {
        conn_close(set, c);
        return false;
    }
    n = exchange_spill_take(set->table, c->x, spill, c->stash.at,
                            c->stash.size);
    if (n < 0) {
        cannot(set, c, (int)n);
        return false;
    }
    c->stash.len = (uint32_t)n;
    return true;
}

void conn_ahead_settle(struct conn_set *set, struct conn *c)
{
    struct exchange_spill *spill = spill_of(set, c);
    char piece[STASH_BYTES];
    int64_t n = 1;

    while (n > 0 && exchange_spill_left(spill) > 0) {
        n = exchange_spill_take(set->table, c->x, spill, piece, sizeof(piece));
        if (n > 0 && !conn_stash_try(set, c, (struct bytes){piece, (size_t)n}))
            n = -ENOBUFS;
    }
    if (n > 0)
        return;
    exchange_spill_drop(set->table, c->x, spill);
    conn_block_put(set, &c->stash);
    c->flags |= CONN_CLOSE | CONN_DISCARD | CONN_UNREAD;
    c->flags &= (uint16_t)~CONN_PAUSED;
}
