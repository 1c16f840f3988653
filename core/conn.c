/* SPDX-License-Identifier: MIT */
#include "conn.h"

#include "board.h"
#include "conn_accept.h"
#include "conn_answer.h"
#include "conn_body.h"
#include "conn_close.h"
#include "conn_file.h"
#include "conn_output.h"
#include "conn_overdue.h"
#include "conn_receive.h"
#include "conn_set.h"
#include "conn_skip.h"
#include "conn_stream.h"

#include <linux/sockios.h>
#include <linux/tcp.h> /* bytes_acked: <netinet/tcp.h> stops before it */
#include <netinet/in.h>
#include <sys/ioctl.h>

static void dispatch(struct conn_set *set, struct conn *c,
                     const struct ring_event *event)
{
    switch ((enum conn_op)(event->token >> 56)) {
    case CONN_OP_RECV:
        conn_on_recv(set, c, event);
        break;
    case CONN_OP_INTO:
        conn_on_into(set, c, event->result);
        break;
    case CONN_OP_SEND:
        conn_on_sent(set, c, event->result);
        break;
    case CONN_OP_READ:
        conn_on_read(set, c, event->result);
        break;
    case CONN_OP_NONE:
    case CONN_OP_ACCEPT:
        must(!"an operation of no connection");
    }
    conn_close_settle(set, c);
}

void conn_on_event(struct conn_set *set, const struct ring_event *event)
{
    struct handle handle = {(uint32_t)(event->token >> 32) & 0xffffff,
                            (uint32_t)event->token};
    struct conn *c;

    if (event->token >> 56 >= CONN_TOKEN_FOREIGN)
        return;
    if (event->token >> 56 == CONN_OP_ACCEPT) {
        conn_on_accept(set, handle.slot, event->result);
        return;
    }
    c = pool_find(&set->conns, handle);
    must(c); /* nothing is freed while something is in flight */
    dispatch(set, c, event);
}

/*
 * Files come by a socket of their own, which holds ten by default. It is
 * emptied when a part needs one, and here, when an interpreter rang for
 * nothing else: it may find the socket full of files for peers who left.
 */
void conn_on_progress(struct conn_set *set, uint32_t slot)
{
    struct conn_job *job = &set->jobs[slot];
    struct conn *c = job->conn;

    if (unlikely(!c)) {
        conn_files_receive(set);
        exchange_settle(set->table, exchange_at(&set->table->arena, slot));
        return;
    }
    if (unlikely(c->flags & CONN_EXPECT) && c->state == CONN_WAITING &&
        atomic_load(&c->x->body_state) == EXCHANGE_BODY_WANTED)
        conn_body_wanted(set, c);
    if (!c->x)
        return;
    if (unlikely(c->flags & CONN_STREAM))
        conn_stream_progress(set, c);
    conn_respond(set, c);
    if (unlikely(c->state == CONN_WAITING))
        conn_files_receive(set);
}

/*
 * True when the peer took something since the last look. A send only reports
 * when all of it is gone, which at one byte a second is far away.
 */
static bool peer_takes(const struct conn_set *set, struct conn *c)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);
    uint32_t acked = c->acked;
    int unsent = 0;

    if (set->listener[c->peer.listener].family != AF_UNIX) {
        if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0)
            acked = (uint32_t)info.tcpi_bytes_acked;
    } else if (ioctl(c->fd, SIOCOUTQ, &unsent) == 0) {
        acked = (uint32_t)unsent + 1;
    }
    if (acked == c->acked)
        return false;
    c->acked = acked;
    return true;
}

static void on_timeout(struct conn_set *set, struct conn *c)
{
    switch ((enum conn_state)c->state) {
    case CONN_IDLE:
        conn_part(set, c);
        break;
    case CONN_PARTING:
        break; /* it waits for its last event */
    case CONN_LINGER:
        conn_close(set, c);
        break;
    case CONN_HEAD:
        stats_add(&set->stats->timeouts, 1);
        conn_answer(set, c, 408, "");
        break;
    case CONN_BODY:
        stats_add(&set->stats->timeouts, 1);
        conn_body_failed(set, c);
        break;
    case CONN_WAITING:
        if (!conn_stream_timeout(set, c))
            conn_overdue(set, c);
        break;
    case CONN_SKIPPING:
        conn_skip_timeout(set, c);
        break;
    case CONN_SENDING:
        if (peer_takes(set, c)) {
            conn_deadline(set, c, set->config->send_timeout_ms);
        } else {
            stats_add(&set->stats->timeouts, 1);
            conn_close(set, c);
        }
        break;
    case CONN_CLOSING:
        break;
    }
}

/*
 * A worker that had no CPU for a while must not blame its peers: a time is over
 * when the ring was asked after it, so that all that came in time was heard.
 */
uint64_t conn_turn(struct conn_set *set)
{
    struct wheel_node *node;
    uint64_t due;

    while ((node = wheel_expire(&set->wheel, set->heard_ms)) != NULL)
        on_timeout(set, (struct conn *)(void *)node);
    conn_reap(set);
    conn_accept_turn(set);
    due = wheel_next_ms(&set->wheel);
    if (due != UINT64_MAX)
        due *= NS_PER_MS;
    due = min_u64(due, conn_accept_due(set));
    if (due == UINT64_MAX)
        return due;
    return due > set->now_ns ? due - set->now_ns : 0;
}

bool conn_is_drained(const struct conn_set *set)
{
    if (!set->accepting_over || pool_used(&set->conns) > 0)
        return false;
    for (uint32_t i = 0; i < BOARD_LISTENERS_MAX; i++)
        if (set->listener[i].armed)
            return false;
    return true;
}

uint32_t conn_count(const struct conn_set *set)
{
    return pool_used(&set->conns);
}

uint32_t conn_requests(const struct conn_set *set)
{
    return set->handed;
}
