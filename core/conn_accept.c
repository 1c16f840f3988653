/* SPDX-License-Identifier: MIT */
#include "conn_accept.h"

#include "board.h"
#include "conn_edge.h"
#include "conn_receive.h"
#include "conn_set.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* How long accepting pauses when there are no descriptors. */
#define PAUSE_NS (100 * NS_PER_MS)
/* Draining: nothing came for this long, so nothing is queued any more. */
#define QUIET_NS (50 * NS_PER_MS)
/* Draining: the end of accepting when there is no such moment. */
#define QUIET_MAX_NS NS_PER_S
/*
 * Draining: how long a connection may take to say anything at all, and how
 * long one is kept whose client may just be sending its next request. That is
 * answered with "Connection: close": closing at once would reset it.
 */
#define DRAIN_WORD_MS 1000

static uint64_t accept_token(uint32_t index)
{
    return (uint64_t)CONN_OP_ACCEPT << 56 | (uint64_t)index << 32;
}

/* Returns the address; of a connection that has ended already, none. */
static struct ip peer_format(struct exchange_peer *peer, int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_storage room;
    } at;
    socklen_t len = sizeof(at);
    char text[IP_TEXT_MAX];
    struct ip ip = {{0}};

    peer->addr_len = 0;
    peer->port = 0;
    if (peer->family == AF_UNIX || getpeername(fd, &at.any, &len) != 0)
        return ip;
    peer->port = ntohs(at.in.sin_port);
    ip = ip_from_v4(&at.in.sin_addr);
    if (at.any.sa_family == AF_INET6) {
        ip = ip_from_v6(&at.in6.sin6_addr);
        peer->port = ntohs(at.in6.sin6_port);
    }
    peer->addr_len = (uint8_t)ip_format(&ip, at.any.sa_family, text);
    memcpy(peer->addr, text, peer->addr_len);
    return ip;
}

/*
 * One more than its address may have. Proxies, who speak for others, are not
 * counted.
 */
static bool is_crowd(struct conn_set *set, struct conn *c, const struct ip *ip)
{
    bool speaks_for_others = c->flags & CONN_TRUSTED ||
                             (c->flags & (CONN_PREFACE | CONN_UWSGI) &&
                              !(c->flags & CONN_STRANGER));
    uint32_t dropped;

    if (speaks_for_others || c->peer.addr_len == 0)
        return false;
    if (crowd_enter(&set->crowd, (uint32_t)(c->token >> 32), ip)) {
        c->flags |= CONN_COUNTED;
        return false;
    }
    stats_add(&set->stats->crowded, 1);
    if (log_allow(&set->crowd_limit, &dropped))
        log_warning("Connection from ip=%.*s closed: it has %u already "
                    "(%u warnings dropped)",
                    c->peer.addr_len, c->peer.addr, set->config->address_max,
                    dropped);
    return true;
}

static void start(struct conn_set *set, uint32_t index, int fd)
{
    struct conn *c = pool_get(&set->conns);
    struct handle handle;
    struct ip ip;

    if (!c) { /* one more than the pool holds can be on its way */
        ring_close(set->ring, fd);
        return;
    }
    handle = pool_handle(&set->conns, c);
    memset(c, 0, offsetof(struct conn, peer));
    c->token = (uint64_t)handle.slot << 32 | handle.generation;
    c->fd = fd;
    c->state = CONN_IDLE;
    c->flags = CONN_FRESH;
    c->accepted_ms = (uint32_t)set->now_ms;
    c->peer.listener = (uint16_t)index;
    c->peer.family = (uint8_t)set->listener[index].family;
    ip = peer_format(&c->peer, fd);
    conn_edge_open(set, c, c->peer.family == AF_UNIX ? NULL : &ip);
    stats_add(&set->stats->connections, 1);
    if (unlikely(set->config->address_max) && is_crowd(set, c, &ip)) {
        ring_close(set->ring, fd);
        pool_put(&set->conns, c);
        return;
    }
    conn_deadline(set, c,
                  set->drain_until_ns ? DRAIN_WORD_MS
                                      : set->config->header_timeout_ms);
    conn_receive(set, c);
}

static void pause_accepting(struct conn_set *set, int error)
{
    uint32_t dropped;

    set->accept_from_ns = set->now_ns + PAUSE_NS;
    if (set->drain_until_ns)
        set->drain_until_ns = set->accept_from_ns + QUIET_NS;
    stats_add(&set->stats->accept_paused, 1);
    if (log_allow(&set->accept_limit, &dropped))
        log_warning("Accepting paused: %s (%u connections open)",
                    strerror(-error), conn_count(set));
}

/* The connection in question is gone; the next may be well. */
static bool is_transient(int error)
{
    return error == -ECONNABORTED || error == -EINTR || error == -EAGAIN ||
           error == -EPROTO || error == -ECANCELED || error == -ENETDOWN ||
           error == -EHOSTUNREACH || error == -ENETUNREACH;
}

void conn_on_accept(struct conn_set *set, uint32_t index, int result)
{
    set->listener[index].armed = false;
    if (result >= 0) {
        start(set, index, result);
        if (set->drain_until_ns)
            set->drain_until_ns = set->now_ns + QUIET_NS;
    } else if (!is_transient(result)) {
        pause_accepting(set, result);
    }
}

/* All the connections that descriptors were set aside for are open. */
static void say_full(struct conn_set *set)
{
    uint32_t dropped;

    if (set->accepting_full)
        return;
    set->accepting_full = true;
    stats_add(&set->stats->accept_paused, 1);
    if (log_allow(&set->accept_limit, &dropped))
        log_warning("Accepting paused: %u connections are open, as many as "
                    "worker_connections or the limit of open files allow",
                    conn_count(set));
}

static bool may_accept(struct conn_set *set)
{
    if (set->accepting_over)
        return false;
    if (pool_left(&set->conns) == 0) {
        say_full(set);
        return false;
    }
    set->accepting_full = false;
    if (set->accept_from_ns > set->now_ns)
        return false;
    set->accept_from_ns = 0;
    return true;
}

/* A wait that begins anew sees what is there. */
void conn_accept_again(struct conn_set *set)
{
    for (uint32_t i = 0; i < BOARD_LISTENERS_MAX; i++)
        if (set->listener[i].armed)
            ring_cancel(set->ring, accept_token(i));
}

static void drain_look(struct conn_set *set)
{
    if (set->accepting_over || set->drain_until_ns == 0 ||
        min_u64(set->drain_until_ns, set->drain_stop_ns) > set->now_ns)
        return;
    set->accepting_over = true;
    conn_accept_again(set);
}

void conn_accept_turn(struct conn_set *set)
{
    drain_look(set);
    if (!may_accept(set))
        return;
    for (uint32_t i = 0; i < BOARD_LISTENERS_MAX; i++) {
        struct conn_listener *listener = &set->listener[i];

        if (listener->fd < 0 || listener->armed)
            continue;
        listener->armed = true;
        ring_accept(set->ring, listener->fd, accept_token(i));
    }
}

uint32_t conn_idle_ms(const struct conn_set *set)
{
    return set->drain_until_ns ? DRAIN_WORD_MS : set->config->keepalive_ms;
}

uint64_t conn_accept_due(const struct conn_set *set)
{
    if (set->accepting_over)
        return UINT64_MAX;
    if (set->drain_until_ns)
        return min_u64(set->drain_until_ns, set->drain_stop_ns);
    return set->accept_from_ns ? set->accept_from_ns : UINT64_MAX;
}

int conn_listen(struct conn_set *set, int fd, uint32_t index)
{
    struct sockaddr_storage at;
    socklen_t len = sizeof(at);
    int one = 1;

    if (index >= BOARD_LISTENERS_MAX || set->listener[index].fd >= 0)
        return -EINVAL;
    if (getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        return -errno;
    /* Accepted sockets inherit it: one call less for each connection. */
    if (at.ss_family != AF_UNIX &&
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0)
        return -errno;
    set->listener[index] = (struct conn_listener){
        .fd = fd,
        .family = at.ss_family,
        .uwsgi = set->table->board->listener[index].uwsgi,
    };
    return 0;
}

void conn_drain(struct conn_set *set)
{
    if (set->drain_until_ns)
        return;
    /* A pause is no sign that the queue is empty. */
    set->drain_until_ns = max_u64(set->now_ns, set->accept_from_ns) + QUIET_NS;
    set->drain_stop_ns = set->now_ns + QUIET_MAX_NS;
    for (uint32_t i = 0; i < pool_slots(&set->conns); i++) {
        struct conn *c = pool_at(&set->conns, i);

        if (c && c->state == CONN_IDLE)
            conn_deadline(set, c, DRAIN_WORD_MS);
    }
}
