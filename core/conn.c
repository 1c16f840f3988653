/* SPDX-License-Identifier: MIT */
#include "conn.h"

#include "board.h"
#include "board_worker.h"
#include "conn_late.h"
#include "conn_steps.h"
#include "exchange_body.h"

#include <linux/sockios.h>
#include <linux/tcp.h> /* bytes_acked: <netinet/tcp.h> stops before it */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define SMALL_BYTES 8192
#define LARGE_BYTES (128U << 10)
#define LARGE_COUNT 32
#define HUGE_COUNT 8
#define FILES_MAX 1024
#define TRANSFERS_MAX 4096
/* More than this still coming after the last word: the peer is told off. */
#define DISCARD_BYTES (256U << 10)
/* A connection that pipelines can fill all of the ring's receive buffers
 * before it is stopped. */
#define HUGE_BYTES ((2U << 20) + (128U << 10))
/* A request is there, but was not received in the time for it. */
#define IDLE_AGAIN_MS 1000
#define CONNECTIONS_MAX (1U << 20) /* the token has 24 bits for the slot */

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
        conn_block_get(set, &c->into, LARGE_BYTES, true);
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

static void reap(struct conn_set *set)
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
static void part(struct conn_set *set, struct conn *c)
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

static void on_recv(struct conn_set *set, struct conn *c,
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
        part(set, c);
    conn_receive(set, c);
}

static void on_into(struct conn_set *set, struct conn *c, int result)
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

static void dispatch(struct conn_set *set, struct conn *c,
                     const struct ring_event *event)
{
    switch ((enum conn_op)(event->token >> 56)) {
    case CONN_OP_RECV:
        on_recv(set, c, event);
        break;
    case CONN_OP_INTO:
        on_into(set, c, event->result);
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
    if (c->state == CONN_CLOSING && c->inflight == 0)
        reap_later(set, c);
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
        part(set, c);
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
    reap(set);
    conn_accept_turn(set);
    due = wheel_next_ms(&set->wheel);
    if (due != UINT64_MAX)
        due *= NS_PER_MS;
    due = min_u64(due, conn_accept_due(set));
    if (due == UINT64_MAX)
        return due;
    return due > set->now_ns ? due - set->now_ns : 0;
}

static int pools_init(struct conn_set *set, uint32_t connections,
                      uint32_t huge_bytes)
{
    int error = pool_init(&set->conns, connections, sizeof(struct conn));

    if (!error)
        error = pool_init(&set->files, FILES_MAX, sizeof(struct conn_file));
    if (!error)
        error = pool_init(&set->transfers, TRANSFERS_MAX,
                          sizeof(struct conn_transfer));
    if (!error)
        error = pool_init(&set->lates, TRANSFERS_MAX, sizeof(struct conn_late));
    if (!error)
        error = pool_init(&set->blocks[CONN_SMALL], connections, SMALL_BYTES);
    if (!error)
        error = pool_init(&set->blocks[CONN_LARGE], LARGE_COUNT, LARGE_BYTES);
    if (!error)
        error = pool_init(&set->blocks[CONN_HUGE], HUGE_COUNT, huge_bytes);
    if (!error)
        error = ws_zlib_init(&set->zlib, connections);
    return error;
}

/* Untouched pages cost nothing, hence mappings and not calloc(). */
static void *map_zeroed(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return at == MAP_FAILED ? NULL : at;
}

static int set_init(struct conn_set *set, uint32_t connections)
{
    uint32_t slots = set->table->arena.slots;
    uint32_t fields = set->config->limits.fields;
    int error = pools_init(set, connections, HUGE_BYTES);

    if (error)
        return error;
    set->jobs_bytes = slots * sizeof(struct conn_job);
    set->jobs = map_zeroed(set->jobs_bytes);
    set->fields_max = fields && fields < CONN_FIELDS_MAX ? fields
                                                         : CONN_FIELDS_MAX;
    set->fields = calloc(CONN_FIELDS_MAX, sizeof(struct http_field));
    set->heads = map_zeroed(slots * sizeof(struct conn_head));
    if (!set->jobs || !set->heads || !set->fields)
        return -ENOMEM;
    for (uint32_t i = 0; i < BOARD_LISTENERS_MAX; i++)
        set->listener[i].fd = -1;
    conn_set_clock(set, now_ns());
    wheel_init(&set->wheel, set->now_ms);
    return 0;
}

int conn_set_new(struct conn_set **ret_set, const struct conn_config *config,
                 struct ring *ring, struct exchange_table *table,
                 struct access_log *log)
{
    struct conn_set *set;
    int error;

    if (config->connections_max == 0 ||
        config->connections_max > CONNECTIONS_MAX)
        return -EINVAL;
    set = calloc(1, sizeof(*set));
    if (!set)
        return -ENOMEM;
    set->config = config;
    set->ring = ring;
    set->table = table;
    set->log = config->access_log ? log : NULL;
    set->stats = &table->arena.header->stats;
    set->file_in_fd =
        board_worker(table->board, table->arena.worker)->file_in_fd;
    error = set_init(set, config->connections_max);
    if (!error)
        error =
            crowd_init(&set->crowd,
                       (struct crowd_place){config->crowd, table->arena.worker},
                       config->connections_max, config->address_max);
    if (!error && config->static_count > 0)
        error = static_site_new(&set->site, config->static_maps,
                                config->static_count);
    if (error)
        conn_set_free(set);
    else
        *ret_set = set;
    return error;
}

void conn_set_free(struct conn_set *set)
{
    pool_done(&set->conns);
    pool_done(&set->files);
    pool_done(&set->transfers);
    pool_done(&set->lates);
    ws_zlib_done(&set->zlib);
    static_site_free(set->site);
    crowd_done(&set->crowd);
    for (uint32_t kind = 0; kind < CONN_BLOCKS; kind++)
        pool_done(&set->blocks[kind]);
    if (set->jobs)
        munmap(set->jobs, set->jobs_bytes);
    if (set->heads)
        munmap(set->heads, set->table->arena.slots * sizeof(struct conn_head));
    free(set->fields);
    free(set);
}

void conn_set_clock(struct conn_set *set, uint64_t now)
{
    set->heard_ms = set->now_ms;
    set->now_ns = now;
    set->now_ms = now / NS_PER_MS;
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
