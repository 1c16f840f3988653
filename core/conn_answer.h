/* SPDX-License-Identifier: MIT */
/*
 * conn_answer - answers without an interpreter. They end the connection, unless
 * it is the server's fault (502, 503, 504) and all was read. For conn*.c only.
 */
#ifndef GCORN_CORE_CONN_ANSWER_H
#define GCORN_CORE_CONN_ANSWER_H

#include "bytes.h"
#include "http.h"

struct conn;
struct conn_late;
struct conn_set;

void conn_answer(struct conn_set *set, struct conn *c, int status,
                 const char *text);
void conn_answered(struct conn_set *set, struct conn *c);

/* A response of the worker's own to the request in set->request, which has no
 * exchange yet. Keeps the connection alive if the request may and has no body.
 * What follows the body, up to length, is the caller's to send. */
struct conn_reply {
    int status;
    struct bytes fields;    /* whole lines, each with its CRLF */
    struct bytes body;      /* copied; left out for HEAD */
    uint64_t length;        /* Content-Length; body.n, or more */
    bool quiet;             /* not in the access log */
    struct conn_late *late; /* keeps the line until a transfer ends */
};

void conn_reply(struct conn_set *set, struct conn *c, const char *head,
                const struct conn_reply *reply);
/* The same, but leaves the sending of c->page, too, to the caller. Returns its
 * length; 0: there was no room, and the connection was closed. */
size_t conn_reply_make(struct conn_set *set, struct conn *c, const char *head,
                       const struct conn_reply *reply);
/* With the small HTML page that belongs to the status. */
void conn_reply_page(struct conn_set *set, struct conn *c, const char *head,
                     int status, struct bytes fields);

/* With an exchange, or for the request in set->request with this head. */
void conn_refuse(struct conn_set *set, struct conn *c, enum http_error error,
                 const char *head);
/* For bytes that are no head. */
void conn_refuse_head(struct conn_set *set, struct conn *c,
                      enum http_error error, struct bytes data);
/* No exchange is free for the request in set->request. */
void conn_shed(struct conn_set *set, struct conn *c, const char *head);
#endif
