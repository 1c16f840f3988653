/* SPDX-License-Identifier: MIT */
#include "conn_close.h"

#include "conn_block.h"
#include "conn_file.h"
#include "conn_log.h"
#include "conn_receive.h"
#include "conn_set.h"
#include "conn_socket.h"
#include "conn_static.h"

#include <sys/socket.h>

static void reap_later(struct conn_set *set, struct conn *c)
{
    if (c->flags & CONN_REAPING)
        return;
    c->flags |= CONN_REAPING;
    c->next = set->reaping;
    set->reaping = c;
}

/*
 * Cancelling is enough for what only receives. A send would still be carried
 * out for a peer that does not read: the shutdown makes it fail.
 */
void conn_close(struct conn_set *set, struct conn *c)
{
    if (c->state == CONN_CLOSING)
        return;
    c->state = CONN_CLOSING;
    wheel_remove(&set->wheel, &c->timer);
    if (c->inflight & CONN_IN(CONN_OP_SEND))
        ring_shutdown(set->ring, c->fd, SHUT_RDWR);
    if (c->inflight & CONN_IN(CONN_OP_RECV))
        ring_cancel(set->ring, conn_token(c, CONN_OP_RECV));
    if (c->inflight & CONN_IN(CONN_OP_INTO))
        ring_cancel(set->ring, conn_token(c, CONN_OP_INTO));
    if (c->inflight == 0)
        reap_later(set, c);
}

void conn_linger(struct conn_set *set, struct conn *c)
{
    if (c->flags & CONN_EOF) {
        conn_close(set, c);
        return;
    }
    c->state = CONN_LINGER;
    c->discarded = 0;
    c->flags = (c->flags | CONN_DISCARD) & (uint16_t)~CONN_PAUSED;
    conn_block_put(set, &c->stash);
    ring_shutdown(set->ring, c->fd, SHUT_WR);
    conn_deadline(set, c, set->config->linger_ms);
    conn_receive(set, c);
}

void conn_let_go(struct conn_set *set, struct conn *c, uint32_t flags)
{
    struct exchange *x = c->x;
    struct conn_job *job = conn_job(set, x);

    if (unlikely(job->is_socket))
        conn_socket_drop(set, c);
    if (unlikely(job->files))
        conn_files_drop(set, job);
    if (unlikely(job->spill.to > 0))
        exchange_spill_drop(set->table, x, &job->spill);
    conn_block_put(set, &job->piece);
    set->handed -= job->handed;
    job->conn = NULL;
    c->x = NULL;
    if (unlikely(job->lost))
        exchange_bury(set->table, x);
    else if (exchange_is_over(x))
        exchange_free(set->table, x);
    else
        exchange_cancel(set->table, x, flags);
}

void conn_close_settle(struct conn_set *set, struct conn *c)
{
    if (c->state == CONN_CLOSING && c->inflight == 0)
        reap_later(set, c);
}

void conn_reap(struct conn_set *set)
{
    struct conn *c;

    while ((c = set->reaping) != NULL) {
        set->reaping = c->next;
        must(c->inflight == 0 && c->state == CONN_CLOSING);
        if (c->x)
            conn_log_cut(set, c);
        if (c->x)
            conn_let_go(set, c, 0);
        conn_block_put(set, &c->stash);
        conn_block_put(set, &c->into);
        conn_block_put(set, &c->page);
        if (unlikely(c->transfer))
            conn_static_drop(set, c);
        if (unlikely(c->flags & CONN_COUNTED))
            crowd_leave(&set->crowd, (uint32_t)(c->token >> 32));
        wheel_remove(&set->wheel, &c->timer);
        ring_close(set->ring, c->fd);
        pool_put(&set->conns, c);
        set->accept_from_ns = 0; /* a descriptor is free again */
    }
}
