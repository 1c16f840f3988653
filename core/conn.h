/* SPDX-License-Identifier: MIT */
/*
 * conn - the connections of one worker: accept, read a request, hand it to an
 * exchange, send the response, keep alive or close.
 *
 * Owned by the worker's one thread, which waits for the ring's events and
 * passes them on. Knows no Python and no configuration file. Memory is decided
 * when the set is made; what runs out sheds load.
 *
 * How a connection lives is drawn in conn_state.h.
 */
#ifndef GCORN_CORE_CONN_H
#define GCORN_CORE_CONN_H

#include "access_log.h"
#include "crowd.h"
#include "exchange_worker.h"
#include "forwarded.h"
#include "proxy.h"
#include "ring.h"
#include "static_file.h"

/* Tokens are op:8 | slot:24 | generation:32; ops from here on are foreign. */
#define CONN_TOKEN_FOREIGN 0x80ULL

/* What workers may answer without an interpreter: see conn_local.h. */
#define CONN_LOCAL_STATIC 0x01
#define CONN_LOCAL_HEALTH 0x02

/* A time of 0 means that there is no such limit, except keepalive_ms. */
struct conn_config {
    struct http_limits limits;
    uint64_t body_limit_bytes;  /* 413 above; 0: what the spool holds */
    uint32_t keepalive_ms;      /* idle between requests; 0: close after each */
    uint32_t header_timeout_ms; /* first byte to complete head */
    uint32_t body_timeout_ms;   /* for the body, at 500 bytes/s; see there */
    uint32_t send_timeout_ms;   /* without any progress of a send */
    uint32_t linger_ms;         /* drain before a close, at most */
    uint32_t request_timeout_ms; /* for the interpreter's next sign of life */
    uint32_t request_soft_ms;    /* and then, to end by itself; 0: no time */
    uint32_t connections_max;
    uint32_t address_max;     /* connections of one address; 0: any number */
    struct crowd_hall *crowd; /* they are counted here; NULL: for us alone */
    uint32_t local;           /* CONN_LOCAL_ bits that are on */
    struct bytes health_path;
    struct bytes ready_path;
    uint32_t ready_window_ms;             /* see health.h */
    bool health_log;                      /* they are in the access log, too */
    const struct static_map *static_maps; /* longest prefix first */
    uint32_t static_count;
    uint64_t socket_max;     /* bytes of a WebSocket's message */
    uint32_t socket_queue;   /* messages not yet received; 0: any number */
    bool socket_deflate;     /* permessage-deflate may be agreed */
    uint32_t socket_ping_ms; /* idle, then a ping; 0: never */
    uint32_t socket_ping_timeout_ms; /* then closed */
    bool access_log;
    enum proxy_mode proxy;
    struct trust proxy_allow; /* who may speak it */
    struct trust uwsgi_allow;
    struct forwarded_config forwarded;
};

struct conn_set;

/*
 * All that is lent must outlive the set. log may be NULL. Returns 0, -EINVAL
 * or -ENOMEM.
 */
int conn_set_new(struct conn_set **ret_set, const struct conn_config *config,
                 struct ring *ring, struct exchange_table *table,
                 struct access_log *log);

/* For the end of the process: closes nothing and waits for nothing. */
void conn_set_free(struct conn_set *set);

/* The time of this turn; before the events that belong to it. */
void conn_set_clock(struct conn_set *set, uint64_t now);

/* Accepts from a listening socket, the board's listener number `index`. */
int conn_listen(struct conn_set *set, int fd, uint32_t index);

/* One event of the ring, unless its token is foreign. */
void conn_on_event(struct conn_set *set, const struct ring_event *event);

/* What exchange_progress() returned. */
void conn_on_progress(struct conn_set *set, uint32_t slot);

/* An exchange_lost_fn, context is the set: the interpreter of x died. */
void conn_on_lost(void *context, struct exchange *x);

/*
 * The end of a turn: deadlines, connections that ended, accepting again.
 * Returns in how many nanoseconds it wants to be called again at the latest;
 * UINT64_MAX: only after an event.
 */
uint64_t conn_turn(struct conn_set *set);

/*
 * Looks whether connections are queued though no event said so: one that is
 * killed while it accepts from the same socket may have got the event.
 */
void conn_accept_again(struct conn_set *set);

/*
 * Stops keeping connections alive: each may say one more thing, within a
 * second, and what is queued on the listening sockets is still accepted until
 * nothing comes for a moment.
 */
void conn_drain(struct conn_set *set);

/* Draining, nothing is accepted any more, and every connection is closed. */
bool conn_is_drained(const struct conn_set *set);

/* Connections open, and requests handed to interpreters. */
uint32_t conn_count(const struct conn_set *set);
uint32_t conn_requests(const struct conn_set *set);
#endif
