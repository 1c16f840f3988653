/* SPDX-License-Identifier: MIT */
/*
 * Who is really at the other end, as told by proxies and gateways that are
 * allowed to: the PROXY protocol before the first request, header fields of
 * trusted peers, uwsgi. A request that none of this is about never comes here.
 */
#include "conn_edge.h"

#include "conn_input.h"
#include "conn_set.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

void conn_edge_open(struct conn_set *set, struct conn *c, const struct ip *ip)
{
    const struct conn_config *config = set->config;
    const struct trust *allow = &config->proxy_allow;

    if (!ip || trust_has(&config->forwarded.allow, ip))
        c->flags |= CONN_TRUSTED;
    if (unlikely(set->listener[c->peer.listener].uwsgi)) {
        allow = &config->uwsgi_allow;
        c->flags |= CONN_UWSGI;
    } else if (unlikely(config->proxy != PROXY_OFF)) {
        c->flags |= CONN_PREFACE;
    } else {
        return;
    }
    if (ip && !trust_has(allow, ip))
        c->flags |= CONN_STRANGER;
}

static void peer_set(struct exchange_peer *peer, const struct ip *ip,
                     int family)
{
    char text[IP_TEXT_MAX];

    peer->family = (uint8_t)family;
    peer->addr_len = (uint8_t)ip_format(ip, family, text);
    memcpy(peer->addr, text, peer->addr_len);
}

static enum http_error preface(struct conn_set *set, struct conn *c,
                               struct bytes *data)
{
    struct proxy_info info;
    size_t len;
    int err = proxy_parse(set->config->proxy, *data, &info, &len);

    if (err == -EAGAIN)
        return data->n < CONN_HEAD_MAX ? HTTP_ERROR_NONE : HTTP_ERROR_PROXY;
    /* It is no secret that this would have been a header. */
    if (c->flags & CONN_STRANGER && (err || len > 0))
        return HTTP_ERROR_FORBIDDEN;
    if (err)
        return HTTP_ERROR_PROXY;
    c->flags &= (uint16_t)~CONN_PREFACE;
    data->p += len;
    data->n -= len;
    if (info.family) {
        c->flags |= CONN_PROXIED;
        peer_set(&c->peer, &info.from, info.family);
        c->peer.port = info.from_port;
        c->proxy = info.to;
        c->proxy_port = info.to_port;
    }
    return HTTP_ERROR_NONE;
}

enum http_error conn_edge_preface(struct conn_set *set, struct conn *c,
                                  struct bytes *data)
{
    enum http_error error = preface(set, c, data);

    if (error)
        c->flags &= (uint16_t)~CONN_PREFACE;
    return error;
}

int conn_edge_uwsgi(struct conn_set *set, const struct conn *c,
                    struct bytes data)
{
    if (c->flags & CONN_STRANGER)
        return -HTTP_ERROR_FORBIDDEN;
    return uwsgi_parse(data, &set->request, set->fields, CONN_FIELDS_MAX,
                       &set->edge.uwsgi);
}

static struct http_span add_text(struct conn_edge *edge, struct bytes text)
{
    struct http_span span = {edge->text_len, (uint32_t)text.n};

    must(sizeof(edge->text) - edge->text_len >= text.n);
    memcpy(edge->text + edge->text_len, text.p, text.n);
    edge->text_len += (uint32_t)text.n;
    return span;
}

/* The value is text of the edge's own unless it lies in the head. */
static void add_variable(struct conn_edge *edge, uint32_t head_len,
                         struct bytes name, struct http_span value)
{
    must(edge->vars < ARRAY_SIZE(edge->var));
    edge->var[edge->vars++] = (struct http_field){
        .name_off = head_len + add_text(edge, name).off,
        .name_len = (uint16_t)name.n,
        .value_off = value.off,
        .value_len = value.len,
        .flags = HTTP_FIELD_VARIABLE,
    };
}

static void add_own(struct conn_edge *edge, uint32_t head_len,
                    struct bytes name, struct bytes value)
{
    struct http_span span = add_text(edge, value);

    span.off += head_len;
    add_variable(edge, head_len, name, span);
}

static void add_proxy(struct conn_set *set, const struct conn *c)
{
    uint32_t head_len = set->request.head_len;
    bool four = c->peer.family == AF_INET;
    char text[IP_TEXT_MAX];
    size_t n = ip_format(&c->proxy, c->peer.family, text);

    add_own(&set->edge, head_len, BYTES("PROXY_PROTOCOL"),
            four ? BYTES("TCP4") : BYTES("TCP6"));
    add_own(&set->edge, head_len, BYTES("PROXY_ADDR"), (struct bytes){text, n});
    n = (size_t)snprintf(text, sizeof(text), "%u", c->proxy_port);
    add_own(&set->edge, head_len, BYTES("PROXY_PORT"), (struct bytes){text, n});
}

static void take_forwarded(struct conn_set *set,
                           const struct forwarded *forwarded)
{
    struct conn_edge *edge = &set->edge;
    const struct ip *client = &forwarded->client;

    edge->secure = forwarded->scheme == FORWARDED_SCHEME_HTTPS;
    if (forwarded->script_name.len > 0) {
        add_variable(edge, set->request.head_len, BYTES("SCRIPT_NAME"),
                     forwarded->script_name);
        set->request.flags |= HTTP_SCRIPT_NAME;
    }
    if (!forwarded->has_client)
        return;
    peer_set(&edge->peer, client, ip_is_v4(client) ? AF_INET : AF_INET6);
    edge->peer.port = forwarded->port;
    edge->peer.portless = !forwarded->has_port;
}

static enum http_error ask_forwarded(struct conn_set *set, const struct conn *c,
                                     const char *head)
{
    const struct forwarded_config *config = &set->config->forwarded;
    struct forwarded_head where = {head, &set->request, set->fields};
    struct forwarded_peer peer = {
        .trusted = c->flags & CONN_TRUSTED,
        .is_ip = c->peer.family != AF_UNIX,
    };
    struct bytes addr = {c->peer.addr, c->peer.addr_len};
    struct forwarded forwarded;
    enum http_error error;

    /* The address may not be known: its connection had ended by then. */
    if (config->client != FORWARDED_CLIENT_OFF && peer.is_ip &&
        ip_parse(addr, &peer.ip) != 0)
        return HTTP_ERROR_NONE;
    error = forwarded_read(config, &peer, &where, &forwarded);
    if (!error)
        take_forwarded(set, &forwarded);
    return error;
}

/* The gateway's own client: nginx says "unix:" of one without an address. */
static void take_uwsgi(struct conn_set *set, const char *head)
{
    struct conn_edge *edge = &set->edge;
    struct http_span addr = edge->uwsgi.addr;
    struct http_span port = edge->uwsgi.port;
    struct ip ip;

    edge->secure = edge->uwsgi.secure;
    if (ip_parse((struct bytes){head + addr.off, addr.len}, &ip) != 0)
        return;
    peer_set(&edge->peer, &ip,
             memchr(head + addr.off, ':', addr.len) ? AF_INET6 : AF_INET);
    edge->peer.portless =
        ip_parse_port((struct bytes){head + port.off, port.len},
                      &edge->peer.port) != 0;
}

enum http_error conn_edge_head(struct conn_set *set, struct conn *c,
                               const char *head)
{
    struct conn_edge *edge = &set->edge;
    enum http_error error = HTTP_ERROR_NONE;

    edge->vars = edge->text_len = 0;
    edge->peer = c->peer;
    edge->secure = false;
    if (set->request.flags & HTTP_GATEWAY) {
        /* Received bytes are ours until they are used up. */
        uwsgi_spell((char *)(uintptr_t)head, &set->request, set->fields);
        take_uwsgi(set, head);
    }
    if (c->flags & CONN_PROXIED)
        add_proxy(set, c);
    if (set->request.flags & HTTP_FORWARDED)
        error = ask_forwarded(set, c, head);
    if (edge->vars > 0)
        set->request.flags |= HTTP_VARIABLES;
    return error;
}

void conn_edge_fill(struct conn_set *set, struct exchange *x, char *head,
                    struct http_field *fields)
{
    const struct conn_edge *edge = &set->edge;

    memcpy(head + x->request.head_len, edge->text, edge->text_len);
    memcpy(fields + x->request.field_count, edge->var,
           edge->vars * sizeof(edge->var[0]));
    x->request.head_len += edge->text_len;
    x->request.field_count += edge->vars;
    x->peer = edge->peer;
    if (edge->secure)
        atomic_fetch_or(&x->flags, EXCHANGE_SECURE);
}
