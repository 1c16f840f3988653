/* SPDX-License-Identifier: MIT */
#include "conn_receive.h"

#include "conn_block.h"
#include "conn_body.h"
#include "conn_close.h"
#include "conn_input.h"
#include "conn_set.h"
#include "conn_stream.h"
#include "exchange_body.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

/* More than this still coming after the last word: the peer is told off. Who
 * sends all before it reads gets to read what was said, up to here. */
#define DISCARD_BYTES (16U << 20)
/* A request is there, but was not received in the time for it. */
#define IDLE_AGAIN_MS 1000

/*
 * Where a large body is received: into its place in the exchange, which is
 * kept until nothing is in flight any more. An interpreter that waits for its
 * body may let go of the exchange earlier, so then into a block.
 */
static struct iovec into_room(struct conn_set *set, const struct conn *c)
{
    struct iovec room = {c->into.at, c->into.size};

    if (!c->into.at && !(c->flags & CONN_EXPECT))
        room.iov_base = exchange_body_room(set->table, c->x, &room.iov_len);
    return room;
}

void conn_receive(struct conn_set *set, struct conn *c)
{
    uint64_t most = UINT64_MAX;
    struct iovec room;

    if (c->inflight & CONN_IN_RECEIVE || c->flags & (CONN_EOF | CONN_PAUSED) ||
        c->state == CONN_CLOSING)
        return;
    if (c->state != CONN_BODY || !conn_body_is_large(set, c)) {
        c->inflight |= CONN_IN(CONN_OP_RECV);
        ring_recv(set->ring, c->fd, conn_token(c, CONN_OP_RECV));
        return;
    }
    room = into_room(set, c);
    if (!room.iov_base) {
        conn_block_get(set, &c->into, CONN_LARGE_BYTES, true);
        room = into_room(set, c);
    }
    if (!room.iov_base) {
        conn_close(set, c);
        return;
    }
    if (!(c->x->request.flags & HTTP_CHUNKED))
        most = conn_job(set, c->x)->body_left;
    c->inflight |= CONN_IN(CONN_OP_INTO);
    ring_recv_into(set->ring, c->fd, room.iov_base, min_u64(room.iov_len, most),
                   conn_token(c, CONN_OP_INTO));
}

static void discard(struct conn_set *set, struct conn *c, size_t n)
{
    if (c->state != CONN_LINGER)
        return;
    c->discarded += (uint32_t)n;
    if (c->discarded > DISCARD_BYTES)
        conn_close(set, c);
}

/* The peer said all. What it asked for may still be answered (half-close). */
static void on_end(struct conn_set *set, struct conn *c)
{
    c->flags |= CONN_EOF;
    switch ((enum conn_state)c->state) {
    case CONN_IDLE:
    case CONN_PARTING:
        if (!(c->flags & CONN_FRESH))
            stats_add(&set->stats->idle_left, 1);
        conn_close(set, c);
        break;
    case CONN_HEAD:
    case CONN_SKIPPING:
    case CONN_LINGER:
        conn_close(set, c);
        break;
    case CONN_BODY:
        conn_body_failed(set, c);
        break;
    case CONN_WAITING:
    case CONN_SENDING:
        if (c->x)
            conn_stream_end(set, c);
        break;
    case CONN_CLOSING:
        break;
    }
}

static void on_received(struct conn_set *set, struct conn *c, int result,
                        const char *data)
{
    if (c->state == CONN_CLOSING)
        return;
    if (result > 0) {
        stats_add(&set->stats->bytes_in, (uint64_t)result);
        if (c->flags & CONN_DISCARD)
            discard(set, c, (size_t)result);
        else
            conn_input(set, c, (struct bytes){data, (size_t)result});
    } else if (result == 0) {
        on_end(set, c);
    } else if (result != -ENOBUFS && result != -ECANCELED) {
        conn_close(set, c);
    }
}

/*
 * Idle for too long. A request may be on its way from the kernel to us, and
 * closing would reset its sender: so first the receive ends, and then nothing
 * may be left in the socket.
 */
void conn_part(struct conn_set *set, struct conn *c)
{
    int unread = 0;

    if (c->inflight & CONN_IN(CONN_OP_RECV)) {
        c->state = CONN_PARTING;
        ring_cancel(set->ring, conn_token(c, CONN_OP_RECV));
        return;
    }
    if (ioctl(c->fd, SIOCINQ, &unread) == 0 && unread > 0) {
        c->state = CONN_IDLE;
        conn_deadline(set, c, IDLE_AGAIN_MS);
        return;
    }
    if (!(c->flags & CONN_FRESH))
        stats_add(&set->stats->idle_timeouts, 1);
    conn_close(set, c);
}

void conn_on_recv(struct conn_set *set, struct conn *c,
                  const struct ring_event *event)
{
    if (!(event->flags & RING_MORE)) {
        c->inflight &= (uint8_t)~CONN_IN(CONN_OP_RECV);
        c->flags &= (uint16_t)~CONN_CANCELLING;
    }
    on_received(set, c, event->result, event->data);
    if (event->buffer >= 0)
        ring_buffer_put(set->ring, event->buffer);
    if (unlikely(c->state == CONN_PARTING) && !(event->flags & RING_MORE))
        conn_part(set, c);
    conn_receive(set, c);
}

void conn_on_into(struct conn_set *set, struct conn *c, int result)
{
    bool failed = c->flags & CONN_CANCELLING && c->state == CONN_BODY &&
                  (result > 0 || result == -ECANCELED);
    struct iovec room;

    c->inflight &= (uint8_t)~CONN_IN(CONN_OP_INTO);
    c->flags &= (uint16_t)~CONN_CANCELLING;
    if (failed) {
        conn_body_failed(set, c);
    } else if (c->state == CONN_BODY && result > 0) {
        room = into_room(set, c);
        if (!room.iov_base || (size_t)result > room.iov_len)
            conn_close(set, c); /* somebody wrote over the shared memory */
        on_received(set, c, result, room.iov_base);
    } else {
        on_received(set, c, result, c->into.at);
    }
    if (c->state != CONN_BODY)
        conn_block_put(set, &c->into);
    conn_receive(set, c);
}
