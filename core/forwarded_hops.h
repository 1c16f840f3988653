/* SPDX-License-Identifier: MIT */
/*
 * forwarded_hops - X-Forwarded-For and Forwarded as the list of those whom
 * each proxy on the way has seen. Private to forwarded.c. Pure.
 */
#ifndef GCORN_CORE_FORWARDED_HOPS_H
#define GCORN_CORE_FORWARDED_HOPS_H

#include "ip.h"

/* Only so many, the last, are looked at: clients can send any number. */
#define FORWARDED_HOPS_MAX 32

struct forwarded_hop {
    struct bytes node;  /* empty: says nothing that can be used */
    struct bytes proto; /* as the client spoke to this proxy; may be empty */
};

/* Hops begin ... end - 1, the nearest last. All zero is empty. */
struct forwarded_hops {
    uint32_t begin;
    uint32_t end;
    uint32_t lines; /* field lines added */
    struct forwarded_hop hop[FORWARDED_HOPS_MAX];
};

struct forwarded_node {
    struct ip ip;
    uint16_t port;
    bool has_port;
};

static inline const struct forwarded_hop *forwarded_hops_at(
    const struct forwarded_hops *hops, uint32_t i)
{
    return &hops->hop[i % FORWARDED_HOPS_MAX];
}

/* Without blanks, and line breaks of folded values, at both ends. */
struct bytes forwarded_trim(struct bytes text);

/* One field line of X-Forwarded-For: addresses, separated by commas. */
void forwarded_hops_x(struct forwarded_hops *hops, struct bytes line);

/*
 * One field line of Forwarded (RFC 7239 4). A line with an error in it is one
 * hop that says nothing: what a client put in front of the proxy's own words
 * must not change how those are read.
 */
void forwarded_hops_rfc(struct forwarded_hops *hops, struct bytes line);

/*
 * "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80". 0, or -EINVAL
 * also for "unknown" and obfuscated nodes; an obfuscated port is none.
 */
int forwarded_node_parse(struct bytes text, struct forwarded_node *ret_node);
#endif
