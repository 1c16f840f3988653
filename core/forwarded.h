/* SPDX-License-Identifier: MIT */
/*
 * forwarded - what the header fields of a proxy say about a request: the
 * scheme, SCRIPT_NAME, the client. Bytes in, struct out; no I/O.
 *
 * Gunicorn's rules: the peer must be trusted; fields that say https and others
 * that say http are a contradiction, and refused; a name with an underscore is
 * kept only for trusted peers and if listed, since CGI cannot tell it from the
 * name with a dash. The client's address is only looked for on request
 * (proxy_headers): from the right, past trusted proxies, to the first address
 * that is none.
 *
 * Only requests with HTTP_FORWARDED need to be looked at.
 */
#ifndef GCORN_CORE_FORWARDED_H
#define GCORN_CORE_FORWARDED_H

#include "http.h"
#include "trust.h"

/* header_map: names with an underscore. */
enum forwarded_map { FORWARDED_DROP, FORWARDED_REFUSE, FORWARDED_DANGEROUS };

/* proxy_headers: which field names the client. */
enum forwarded_client {
    FORWARDED_CLIENT_OFF,
    FORWARDED_CLIENT_AUTO, /* whichever is there; both must agree */
    FORWARDED_CLIENT_X,    /* X-Forwarded-For */
    FORWARDED_CLIENT_RFC,  /* Forwarded, RFC 7239 */
};

/* secure_scheme_headers: what each of these fields must say for https. One
 * with an empty value is not looked at. */
enum {
    FORWARDED_X_PROTOCOL, /* X-Forwarded-Protocol */
    FORWARDED_X_PROTO,
    FORWARDED_X_SSL,
    FORWARDED_SCHEMES,
};

struct forwarded_config {
    struct trust allow;   /* forwarded_allow_ips */
    struct bytes headers; /* forwarder_headers: "A_B,C_D" or "*" */
    enum forwarded_map map;
    enum forwarded_client client;
    bool schemes_set; /* else Gunicorn's default: ssl, https, on */
    struct bytes scheme[FORWARDED_SCHEMES];
};

/* Who sent it. */
struct forwarded_peer {
    bool trusted; /* the one at the other end of the socket */
    bool is_ip;   /* else a Unix socket, which is trusted */
    struct ip ip; /* the one that the connection is from: see PROXY protocol */
};

/* The fields' flags and request->path change; nothing else does. */
struct forwarded_head {
    const char *text;
    struct http_request *request;
    struct http_field *fields;
};

enum forwarded_scheme {
    FORWARDED_SCHEME_UNKNOWN,
    FORWARDED_SCHEME_HTTP,
    FORWARDED_SCHEME_HTTPS,
};

struct forwarded {
    enum forwarded_scheme scheme;
    struct http_span script_name; /* empty: none; path is what follows it */
    bool has_client;
    bool has_port;
    struct ip client;
    uint16_t port;
};

/* "drop", "refuse", "dangerous". 0, or -EINVAL. */
int forwarded_map_parse(const char *text, enum forwarded_map *ret_map);

/* "off", "auto", "x-forwarded-for", "forwarded", a boolean. 0, or -EINVAL. */
int forwarded_client_parse(const char *text, enum forwarded_client *ret_client);

/* Returns HTTP_ERROR_NONE, or why the request is refused. */
enum http_error forwarded_read(const struct forwarded_config *config,
                               const struct forwarded_peer *peer,
                               const struct forwarded_head *head,
                               struct forwarded *ret_forwarded);

/*
 * Lines NAME=VALUE, which stay where they are. 0, or -EINVAL: another name
 * than those above.
 */
int forwarded_schemes_parse(struct forwarded_config *config, const char *lines);
#endif
