/* SPDX-License-Identifier: MIT */
/*
 * exchange_request - the request in an exchange, for whoever answers it. All
 * that is read here was written by another process: what does not fit together
 * is not there.
 */
#ifndef GCORN_CORE_EXCHANGE_REQUEST_H
#define GCORN_CORE_EXCHANGE_REQUEST_H

#include "exchange.h"

/*
 * The request's head and its fields: request.head_len bytes and
 * request.field_count fields. NULL when what is there is not consistent.
 * Spans and fields still have to be checked with exchange_span().
 */
const char *exchange_head(const struct arena *arena, const struct exchange *x);
const struct http_field *exchange_fields(const struct arena *arena,
                                         const struct exchange *x);

/* The bytes of a span, or an empty run when it leaves the head. */
static inline struct bytes exchange_span(const struct exchange *x,
                                         const char *head, uint32_t off,
                                         uint32_t len)
{
    if (unlikely(off > x->request.head_len || len > x->request.head_len - off))
        return (struct bytes){"", 0};
    return (struct bytes){head + off, len};
}

/*
 * The value of the next field line with this name (ASCII case ignored), from
 * *at on, which is 0 at first and then where to go on. False: there is no more.
 */
bool exchange_field_next(const struct arena *arena, const struct exchange *x,
                         struct bytes name, uint32_t *at,
                         struct bytes *ret_value);

/* Of the first; empty when there is none. */
struct bytes exchange_field(const struct arena *arena, const struct exchange *x,
                            struct bytes name);

/* "GET /path", to name a request in the log; cut where text ends. */
void exchange_name(const struct arena *arena, const struct exchange *x,
                   char *text, size_t size);

/*
 * Copies body bytes [off, off + len) out, from memory or from the spool.
 * Returns how many (less at the end), or -errno of the spool.
 */
int64_t exchange_body_read(const struct arena *arena, const struct exchange *x,
                           uint64_t off, void *to, size_t len);
#endif
