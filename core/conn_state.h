/* SPDX-License-Identifier: MIT */
/*
 * conn_state - what the files of conn share: a connection and the private
 * half of an exchange. For conn*.c only; conn_steps.h has the functions.
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

#include "board.h"
#include "conn.h"
#include "conn_block.h"
#include "conn_socket.h"
#include "exchange_part.h"
#include "exchange_stream.h"
#include "crowd.h"
#include "http_chunked.h"
#include "http_write.h"
#include "log.h"
#include "pool.h"
#include "static_part.h"
#include "uwsgi.h"
#include "wheel.h"

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
#define CONN_COUNTED 0x4000  /* its address is in the crowd */
#define CONN_STREAM 0x8000   /* its body arrives while it is run */
#define CONN_PROXIED 0x2000  /* peer is who the PROXY protocol named */

/* No longer head is taken: exchange_head_room() has room for this. */
#define CONN_HEAD_MAX (EXCHANGE_HEAD_CHUNKS * ARENA_CHUNK_BYTES)
#define CONN_FIELDS_MAX 1024 /* what exchange_fields_room() has room for */

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

struct conn_late;

/* A static file on its way; more than one range is multipart/byteranges. */
struct conn_transfer {
    int32_t fd;
    uint32_t count; /* of ranges */
    uint32_t next;  /* range to begin with */
    uint32_t page;  /* bytes of c->page to be sent in front */
    uint64_t off;
    uint64_t left; /* of the range */
    uint64_t size;
    uint64_t sent;
    uint64_t sent_head;     /* of these, once the head was made */
    struct conn_late *late; /* NULL: no line is to be written */
    struct bytes type;
    struct conn_span piece;
    uint32_t text_len;
    struct iovec iov[3]; /* page, text, piece */
    struct static_range range[STATIC_RANGES_MAX];
    char text[STATIC_PART_MAX]; /* around a range */
};

/* A descriptor that an interpreter sent for a part of its response. */
struct conn_file {
    struct conn_file *next;
    uint64_t sequence;
    uint32_t part;
    int32_t fd;
};

#define CONN_IOVECS EXCHANGE_PARTS
#define CONN_KEPT_HEAD 1024

/* The worker's private half of an exchange, by the exchange's slot. */
struct conn_job {
    struct conn *conn;      /* NULL: nobody waits for it */
    uint64_t head_ns;       /* the head was complete */
    uint64_t probe_ns;      /* its event loop was asked for a sign of life */
    uint64_t body_left;     /* with Content-Length */
    uint64_t pace;          /* bytes of body since the last deadline */
    uint64_t skipped;       /* bytes of body that nobody read */
    uint64_t sent_bytes;    /* of parts; not of "100 Continue" */
    uint64_t body_from;     /* of these belong to heads; 0: not known */
    uint32_t parts;         /* in the send in flight */
    bool begun;             /* the final response's head went out */
    bool lost;              /* its interpreter died */
    bool handed;            /* counted in set->handed */
    uint16_t kept;          /* bytes in its struct conn_head */
    struct conn_span piece; /* of a file on its way */
    struct conn_file *files;
    struct conn_file *file; /* the one being sent */
    bool filing;            /* a part that is a file is being sent */
    int32_t file_fd;
    uint64_t file_off;
    uint64_t file_left;
    struct http_chunked chunked;
    struct exchange_stream stream;
    bool is_socket;
    union {
        struct iovec iov[CONN_IOVECS];
        struct conn_socket socket; /* if is_socket: it has no response */
    };
};

/* Of a response, for the access log: apart, since few logs want it. */
struct conn_head {
    char bytes[CONN_KEPT_HEAD];
};

struct conn_listener {
    int32_t fd; /* -1: none */
    uint16_t family;
    bool armed;
    bool uwsgi;
};

#define CONN_EDGE_VARS 4

/* What those in front add to the request being parsed: see conn_edge.c. */
struct conn_edge {
    struct uwsgi_peer uwsgi;
    struct exchange_peer peer;
    bool secure;
    uint32_t vars;
    uint32_t text_len;
    struct http_field var[CONN_EDGE_VARS];
    char text[160]; /* goes behind the head */
};

struct conn_set {
    const struct conn_config *config;
    struct ring *ring;
    struct exchange_table *table;
    struct access_log *log;
    struct stats *stats;
    uint64_t now_ns;
    uint64_t now_ms;
    uint64_t heard_ms; /* what came before this was an event by now */
    struct pool conns;
    struct pool blocks[CONN_BLOCKS];
    struct pool files;
    struct pool transfers;
    struct pool lates; /* as many */
    struct ws_zlib zlib;
    struct static_site *site; /* NULL: no static files */
    struct conn_job *jobs;    /* one for each slot of the arena */
    size_t jobs_bytes;
    struct conn_head *heads;     /* likewise */
    struct http_request request; /* being parsed */
    struct conn_edge edge;
    struct http_field *fields;
    uint32_t fields_max;
    uint32_t handed; /* exchanges handed over and not yet ended */
    struct wheel wheel;
    struct crowd crowd;
    struct conn *reaping;
    struct conn_listener listener[BOARD_LISTENERS_MAX];
    uint64_t accept_from_ns; /* paused until then; 0: not paused */
    uint64_t drain_until_ns; /* accepting ends; 0: not draining */
    uint64_t drain_stop_ns;  /* at the latest */
    bool accepting_over;
    bool accepting_full; /* said that no more connections fit */
    int32_t file_in_fd;
    uint64_t date_s;
    char date[HTTP_DATE_LEN];
    struct log_limit shed_limit;
    struct log_limit refuse_limit;
    struct log_limit accept_limit;
    struct log_limit crowd_limit;
    struct log_limit overdue_limit;
};

static inline struct conn_job *conn_job(struct conn_set *set,
                                        const struct exchange *x)
{
    return &set->jobs[exchange_slot(&set->table->arena, x)];
}

static inline char *conn_kept_head(struct conn_set *set,
                                   const struct exchange *x)
{
    return set->heads[exchange_slot(&set->table->arena, x)].bytes;
}

static inline uint64_t conn_token(const struct conn *c, enum conn_op op)
{
    return c->token | (uint64_t)op << 56;
}

/* Of two moments in an exchange's life; 0 when one is not known. */
static inline uint64_t conn_between(uint64_t from, uint64_t to)
{
    return from != 0 && to > from ? to - from : 0;
}

/* What is configured, or what there is room for. */
static inline uint64_t conn_body_limit(const struct conn_set *set)
{
    uint64_t limit = set->config->body_limit_bytes;

    if (limit == 0 || limit > EXCHANGE_SPOOL_FILE_BYTES)
        return EXCHANGE_SPOOL_FILE_BYTES;
    return limit;
}

static inline struct bytes conn_stashed(const struct conn *c)
{
    if (!c->stash.at)
        return (struct bytes){"", 0};
    return (struct bytes){c->stash.at + c->stash.off, c->stash.len};
}

/* 0: no deadline. */
static inline void conn_deadline(struct conn_set *set, struct conn *c,
                                 uint32_t ms)
{
    if (likely(ms != 0))
        wheel_add(&set->wheel, &c->timer, set->now_ms + ms);
    else
        wheel_remove(&set->wheel, &c->timer);
}

#endif
