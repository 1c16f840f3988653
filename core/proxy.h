/* SPDX-License-Identifier: MIT */
/*
 * proxy - the PROXY protocol, version 1 (a line) and 2 (binary): what a load
 * balancer says about the connection it passes on, before anything else.
 * Bytes in, struct out; no I/O.
 *
 * Standard: HAProxy's proxy-protocol.txt. As in Gunicorn a connection may also
 * come without it. Whoever may not speak it is for the caller to say.
 */
#ifndef GCORN_CORE_PROXY_H
#define GCORN_CORE_PROXY_H

#include "ip.h"

enum proxy_mode {
    PROXY_OFF,
    PROXY_V1,
    PROXY_V2,
    PROXY_AUTO, /* either */
};

/* What was said of the connection. */
struct proxy_info {
    struct ip from; /* the client */
    struct ip to;   /* the address it connected to */
    uint16_t from_port;
    uint16_t to_port;
    uint16_t family; /* AF_INET, AF_INET6; 0: the real peer counts */
};

/* "off", "v1", "v2", "auto", or a boolean as Gunicorn takes one. 0, -EINVAL. */
int proxy_mode_parse(const char *text, enum proxy_mode *ret_mode);

/*
 * Looks for a header at the start of a connection, of which data has arrived.
 * Returns 0 with the header's length, which is 0 if there is none; -EAGAIN
 * when more bytes are needed to tell; -EPROTO when it is broken.
 */
int proxy_parse(enum proxy_mode mode, struct bytes data,
                struct proxy_info *ret_info, size_t *ret_len);
#endif
