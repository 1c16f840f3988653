/* SPDX-License-Identifier: MIT */
/*
 * conn_list - the connections of one worker as they are at this moment, for
 * whoever asks who is connected. Plain data that may lie in shared memory.
 */
#ifndef GCORN_CORE_CONN_LIST_H
#define GCORN_CORE_CONN_LIST_H

#include "exchange_peer.h"

struct conn_set;

enum conn_line_state {
    CONN_LINE_IDLE,      /* kept for the next request, or nothing came yet */
    CONN_LINE_RECEIVING, /* a request is on its way in */
    CONN_LINE_WAITING,   /* ... is with the application, or waits for it */
    CONN_LINE_SENDING,
    CONN_LINE_SOCKET, /* a WebSocket */
    CONN_LINE_CLOSING,
};

struct conn_line {
    struct exchange_peer peer; /* whom a proxy named, if one did */
    uint8_t state;             /* enum conn_line_state */
    uint32_t requests;         /* that it has sent, this one too */
    uint32_t age_ms;           /* since it was accepted */
    uint64_t since_ms;         /* since its request began, or it was idle */
    char target[48];           /* of the request with the application */
    uint8_t target_len;
};

/* Returns how many were written, at most max. */
uint32_t conn_list(const struct conn_set *set, struct conn_line *lines,
                   uint32_t max);

const char *conn_line_state_name(enum conn_line_state state);
#endif
