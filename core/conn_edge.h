/* SPDX-License-Identifier: MIT */
/*
 * conn_edge - what proxies and gateways in front say about a connection and its
 * requests, and whether they are believed. For conn*.c only.
 */
#ifndef GCORN_CORE_CONN_EDGE_H
#define GCORN_CORE_CONN_EDGE_H

#include "conn_state.h"
#include "http.h"
#include "uwsgi.h"

struct conn_set;

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

/* Whom to believe, when a connection starts; ip is NULL for a Unix socket. */
void conn_edge_open(struct conn_set *set, struct conn *c, const struct ip *ip);
/* Takes a PROXY protocol header off the front of the connection's first bytes;
 * with CONN_PREFACE still set more of it has to come. */
enum http_error conn_edge_preface(struct conn_set *set, struct conn *c,
                                  struct bytes *data);
/* As http_parse(). */
int conn_edge_uwsgi(struct conn_set *set, const struct conn *c,
                    struct bytes data);

/* What it says goes to set->edge; then, with the request, to the exchange. */
enum http_error conn_edge_head(struct conn_set *set, struct conn *c,
                               const char *head);
void conn_edge_fill(struct conn_set *set, struct exchange *x, char *head,
                    struct http_field *fields);
#endif
