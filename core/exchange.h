/* SPDX-License-Identifier: MIT */
/*
 * exchange - one request and its response in an arena, handed from worker to
 * interpreter and back by one atomic word: see exchange_word.h.
 *
 * The worker writes the request part while READING and never again; the
 * interpreter writes the response part while RUNNING or RESPONDING; the worker
 * writes flags, body_state and out_head at any time.
 *
 * An interpreter with an event loop runs many at once and cannot wait for one
 * of them: the worker sets the slot's bit in the attention bitmap whenever
 * something changed that it may wait for, and rings its doorbell.
 *
 * Nothing in here trusts the other side: offsets are checked when read.
 */
#ifndef GCORN_CORE_EXCHANGE_H
#define GCORN_CORE_EXCHANGE_H

#include "arena.h"
#include "exchange_part.h"
#include "exchange_peer.h"
#include "http.h"

/* Requests in a worker at once, unless interpreters have event loops. */
#define EXCHANGE_QUEUE_MAX 1024
#define EXCHANGE_FIELDS 64
#define EXCHANGE_BODY_CHUNKS 4
#define EXCHANGE_HEAD_CHUNKS 4
/* Above these the body goes to the spool memfd, then to the spool file. */
#define EXCHANGE_CHUNK_BODY_BYTES (EXCHANGE_BODY_CHUNKS * ARENA_CHUNK_BYTES)
#define EXCHANGE_RUN_BODY_BYTES (16 * ARENA_CHUNK_BYTES) /* length known */
#define EXCHANGE_SPOOL_MEMORY_BYTES (1ULL << 20)
/* Each slot has its own stretch of the two spools, at slot * this; the last part
 * of that in the file is for what exchange_spill.h is about. */
#define EXCHANGE_SPOOL_FILE_BYTES (1ULL << 33)
/* What a body that streams may be ahead of its reader. */
#define EXCHANGE_STREAM_CHUNKS 8
#define EXCHANGE_STREAM_BYTES (EXCHANGE_STREAM_CHUNKS * ARENA_CHUNK_BYTES)

enum exchange_body {
    EXCHANGE_BODY_NONE,
    EXCHANGE_BODY_INLINE,  /* behind the head in inline_bytes */
    EXCHANGE_BODY_CHUNKED, /* in body_chunk[], all full but the last */
    EXCHANGE_BODY_RUN,     /* in chunks from body_chunk[0] on */
    EXCHANGE_BODY_MEMORY,  /* in the spool memfd */
    EXCHANGE_BODY_FILE,    /* in the spool file */
    EXCHANGE_BODY_STREAM,  /* see exchange_stream.h */
};

/* Expect: 100-continue starts PENDING; a body that streams STREAMING, or
 * becomes that from WANTED; everything else starts COMPLETE. */
enum exchange_body_state {
    EXCHANGE_BODY_COMPLETE,
    EXCHANGE_BODY_PENDING, /* not asked for yet */
    EXCHANGE_BODY_WANTED,  /* W: interpreter; the worker says 100 and reads */
    EXCHANGE_BODY_FAILED,  /* client left, timed out, or framing was bad */
    EXCHANGE_BODY_STREAMING,
};

/* flags, W: worker */
#define EXCHANGE_CANCELLED 0x01 /* nobody waits for the response any more */
#define EXCHANGE_OVERDUE 0x02   /* because it took longer than timeout */
#define EXCHANGE_SECURE 0x04    /* wsgi.url_scheme is https */
#define EXCHANGE_PEER_DONE 0x08 /* the peer has closed its side */
#define EXCHANGE_IDLE 0x10      /* nothing is sent or received for long */
#define EXCHANGE_LATE 0x20      /* it has a last chance: --timeout-soft */

/* out_flags, W: interpreter */
#define EXCHANGE_OUT_CLOSE 0x01  /* the connection must end after it */
#define EXCHANGE_OUT_BROKEN 0x02 /* the response is cut short: close, no end */
#define EXCHANGE_OUT_SOCKET 0x04 /* no response: notes of a WebSocket */

struct exchange {
    cache_aligned _Atomic uint64_t word;
    _Atomic uint32_t flags;
    _Atomic uint32_t body_state; /* futex */
    uint32_t attempts;           /* W: worker: given to an interpreter before */
    _Atomic uint32_t offered;    /* W: worker: to this interpreter, less 1 */
    uint64_t arrived_ns;         /* first byte of the request */
    uint64_t ready_ns;
    /* request, W: worker */
    cache_aligned struct http_request request;
    uint32_t head_chunk;   /* UINT32_MAX: the head is in inline_bytes */
    uint32_t fields_chunk; /* UINT32_MAX: the fields are in fields[] */
    uint32_t body_kind;    /* enum exchange_body */
    uint32_t body_chunk[EXCHANGE_BODY_CHUNKS];
    uint64_t body_bytes; /* decoded; right once body_state is COMPLETE */
    uint32_t sent_chunk; /* of the last part sent; UINT32_MAX: none */
    _Atomic uint32_t extra_chunks; /* W: both: chunks other than the own one */
    struct exchange_peer peer;
    /* a body that streams, W: worker */
    uint32_t in_chunk[EXCHANGE_STREAM_CHUNKS];
    _Atomic uint64_t in_tail; /* bytes written */
    _Atomic uint32_t in_full; /* more came than fits */
    /* response, W: interpreter, but out_head W: worker */
    cache_aligned _Atomic uint32_t out_tail; /* parts published */
    uint32_t out_flags;
    uint32_t status;           /* of the final response, 0 before */
    uint32_t out_spooled;      /* it has used the slot's stretch of the spool */
    uint32_t connection_off;   /* in the first part: "keep-alive" to patch; 0 */
    uint64_t out_bytes;        /* body bytes without framing */
    uint64_t started_ns;       /* taken */
    uint64_t finished_ns;      /* let go */
    uint64_t cpu_ns;           /* of the thread that ran it; 0: not measured */
    _Atomic uint64_t in_head;  /* bytes of the streaming body taken */
    _Atomic uint32_t in_taken; /* messages of a WebSocket received */
    struct exchange_part part[EXCHANGE_PARTS];
    cache_aligned _Atomic uint32_t out_head; /* parts sent; futex */
    _Atomic uint32_t out_waiting; /* W: interpreter: it waits for out_head */
    struct http_field fields[EXCHANGE_FIELDS];
    char inline_bytes[1856];
};
_Static_assert(sizeof(struct exchange) <= ARENA_SLOT_BYTES, "one page a slot");

/* The slot must be below arena->slots: numbers from outside are checked. */
static inline struct exchange *exchange_at(const struct arena *arena,
                                           uint32_t slot)
{
    return (struct exchange *)(void *)(arena->first_slot +
                                       (uint64_t)slot * ARENA_SLOT_BYTES);
}

/* Which slot it is says its place: what is written in it may be nonsense. */
static inline uint32_t exchange_slot(const struct arena *arena,
                                     const struct exchange *x)
{
    return (uint32_t)((uint64_t)((const char *)x - arena->first_slot) /
                      ARENA_SLOT_BYTES);
}
#endif
