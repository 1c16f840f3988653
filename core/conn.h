/* SPDX-License-Identifier: MIT */
/*
 * conn - the life of a connection: accept, read a head, hand the request to
 * an exchange, send the response, keep alive or close. One enum for where it
 * is, one switch for each kind of completion.
 *
 * Owned by one worker thread. Uses ring, http, exchange; knows no Python and
 * no configuration file: the worker fills struct conn_config.
 */
#ifndef GCORN_CORE_CONN_H
#define GCORN_CORE_CONN_H

#include "exchange_worker.h"
#include "ring.h"

struct conn_config {
    struct http_limits limits;
    uint64_t body_limit_bytes; /* 413 above; 0: unlimited (spool stretch) */
    uint32_t keepalive_ms;     /* 0: close after each response */
    uint32_t header_timeout_ms; /* first byte to complete head */
    uint32_t body_timeout_ms;  /* without any progress of the body */
    uint32_t send_timeout_ms;  /* without any progress of a send */
    uint32_t linger_ms;        /* drain before a close, at most */
    uint32_t request_timeout_ms; /* 504 after; 0: never */
    uint32_t connections_max;  /* pool size; bounded by descriptors too */
    bool access_log;
};
#endif
