/* SPDX-License-Identifier: MIT */
/*
 * conn_state - a connection: what it is doing, what is in flight for it, what
 * it holds. For conn*.c only.
 *
 *   IDLE ---> HEAD ---> BODY ---> WAITING <--> SENDING ---> IDLE
 *    |||\_______________________/    |            |
 *    |||    (all of it at once)      |            +--> LINGER
 *    || +------------+---------------+------------+------+---> CLOSING
 *    ++---> PARTING -+
 *
 *   IDLE     nothing of a request is there; neither stash nor exchange
 *   PARTING  was IDLE for too long; what its receive still brings counts
 *   HEAD     part of a head is in the stash
 *   BODY     an exchange holds the head; its body is being received
 *   WAITING  the interpreter has to do the next step
 *   SENDING  a send, or a read of a file to be sent, is in flight
 *   SKIPPING was SENDING; the rest of a body that nobody reads is received, then
 *            IDLE, or LINGER if it is too much
 *   LINGER   said all, reading what the peer still sends so that no reset
 *            destroys what was said
 *   CLOSING  waits for the last event of everything in flight
 */
#ifndef GCORN_CORE_CONN_STATE_H
#define GCORN_CORE_CONN_STATE_H

#include "bytes.h"
#include "conn_block.h"
#include "exchange_peer.h"
#include "ip.h"
#include "wheel.h"

#include <sys/uio.h>

struct conn_transfer;
struct exchange;

enum conn_state {
    CONN_IDLE,
    CONN_PARTING,
    CONN_HEAD,
    CONN_BODY,
    CONN_WAITING,
    CONN_SENDING,
    CONN_SKIPPING,
    CONN_LINGER,
    CONN_CLOSING,
};

enum conn_op {
    CONN_OP_NONE,
    CONN_OP_ACCEPT, /* the slot is the listener's number */
    CONN_OP_RECV,
    CONN_OP_INTO, /* receive into a block */
    CONN_OP_SEND,
    CONN_OP_READ, /* of a file */
};

#define CONN_IN(op) (1U << (op)) /* bit of an operation in flight */
#define CONN_IN_RECEIVE (CONN_IN(CONN_OP_RECV) | CONN_IN(CONN_OP_INTO))
#define CONN_IN_OUTPUT (CONN_IN(CONN_OP_SEND) | CONN_IN(CONN_OP_READ))

#define CONN_CLOSE 0x01      /* ends after this response */
#define CONN_EOF 0x02        /* the peer sends no more */
#define CONN_DISCARD 0x04    /* what still comes is not looked at */
#define CONN_UNREAD 0x08     /* the peer may still be sending: linger */
#define CONN_PAUSED 0x10     /* receives nothing: too much is in the stash */
#define CONN_CANCELLING 0x20 /* the receive was told to end */
#define CONN_EXPECT 0x40     /* handed over before its body (100-continue) */
#define CONN_REAPING 0x80    /* on the list of those that ended */
#define CONN_FRESH 0x100     /* no request was seen yet */
#define CONN_UWSGI 0x200     /* speaks uwsgi */
#define CONN_PREFACE 0x400   /* may begin with a PROXY protocol header */
#define CONN_STRANGER 0x800  /* but is not allowed to, or to speak uwsgi */
#define CONN_TRUSTED 0x1000  /* header fields about others are believed */
#define CONN_PROXIED 0x2000  /* peer is who the PROXY protocol named */
#define CONN_COUNTED 0x4000  /* its address is in the crowd */
#define CONN_STREAM 0x8000   /* its body arrives while it is run */

struct conn {
    struct wheel_node timer;
    uint64_t token; /* without op */
    int32_t fd;
    uint8_t state; /* enum conn_state */
    uint8_t inflight;
    uint16_t flags;
    struct exchange *x;
    uint64_t arrived_ns;    /* first byte of the request; IDLE: since when */
    struct conn_span stash; /* received and not used */
    struct conn_span page;  /* an answer of our own, being sent */
    struct conn_span into;  /* receives a large body */
    struct conn *next;      /* while reaping */
    struct iovec iov;
    uint32_t sending; /* bytes of the send in flight */
    union {
        uint32_t requests;  /* seen on it */
        uint32_t discarded; /* while lingering, after the last of them */
    };
    struct conn_transfer *transfer; /* a static file, being sent */
    uint32_t acked;       /* by the peer at the last look: the lower half */
    uint32_t accepted_ms; /* the lower half of set->now_ms then */
    struct exchange_peer peer;
    uint16_t proxy_port; /* what the client connected to: CONN_PROXIED */
    struct ip proxy;
};
_Static_assert(sizeof(struct conn) <= 256, "10,000 idle ones are cheap");

static inline uint64_t conn_token(const struct conn *c, enum conn_op op)
{
    return c->token | (uint64_t)op << 56;
}

static inline struct bytes conn_stashed(const struct conn *c)
{
    if (!c->stash.at)
        return (struct bytes){"", 0};
    return (struct bytes){c->stash.at + c->stash.off, c->stash.len};
}
#endif
