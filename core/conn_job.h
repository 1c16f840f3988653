/* SPDX-License-Identifier: MIT */
/*
 * conn_job - the worker's private half of an exchange: what it is to receive
 * into it and send from it, where the interpreter cannot write. For conn*.c
 * only.
 */
#ifndef GCORN_CORE_CONN_JOB_H
#define GCORN_CORE_CONN_JOB_H

#include "conn_block.h"
#include "conn_socket.h"
#include "exchange.h"
#include "exchange_spill.h"
#include "exchange_stream.h"
#include "http_chunked.h"

#include <sys/uio.h>

struct conn_file;

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
    struct exchange_spill spill; /* behind the stash: see conn_ahead.h */
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
#endif
