/* SPDX-License-Identifier: MIT */
/*
 * http_head - a request head while it is parsed. Private to http_parse.c, which
 * has the fields, and http_line.c, which has the request line.
 */
#ifndef GCORN_CORE_HTTP_HEAD_H
#define GCORN_CORE_HTTP_HEAD_H

#include "http.h"
#include "http_scan.h"

struct http_head {
    struct bytes data;   /* all that has arrived */
    struct bytes window; /* of it, what the current line may take */
    size_t line_max;     /* where its CR may stand at the latest */
    const struct http_scan *scan;
    struct http_parser *parser;
    struct http_request *request;
    struct http_field *fields;
    uint32_t max_fields;
    uint32_t flags;    /* of the limits: HTTP_PERMIT_ ... */
    size_t line_room;  /* bytes a request line may have before its CRLF */
    size_t field_room; /* and a field with all its lines */
};

static inline struct http_span http_head_span(size_t from, size_t to)
{
    return (struct http_span){(uint32_t)from, (uint32_t)(to - from)};
}

static inline struct bytes http_head_text(const struct http_head *head,
                                          struct http_span span)
{
    return (struct bytes){head->data.p + span.off, span.len};
}

/* The window ended before the line did: too long, or not all there yet. */
static inline int http_head_short(const struct http_head *head,
                                  enum http_error too_long)
{
    return head->window.n > head->line_max ? -(int)too_long : 0;
}

/* Returns the offset behind the CRLF at pos, 0 if it is not all there. */
static inline int http_head_line_end(const struct http_head *head, size_t pos,
                                     enum http_error error)
{
    const char *p = head->data.p;

    if (p[pos] != '\r')
        return -(int)error;
    if (pos + 1 == head->data.n)
        return 0;
    return p[pos + 1] == '\n' ? (int)(pos + 2) : -(int)error;
}

/* Parses the request line; returns the offset of the next one, 0 or -error. */
int http_line_parse(struct http_head *head, size_t start);

/*
 * host[:port] by RFC 3986 3.2.2 and 3.2.3, without userinfo. The host may be
 * empty.
 */
bool http_line_authority(struct bytes text, size_t *ret_host_len);
#endif
