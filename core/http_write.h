/* SPDX-License-Identifier: MIT */
/*
 * http_write - what the server says by itself: dates, heads and error pages as
 * bytes. No I/O, no allocation, no clock. Applications' heads are written by
 * python/.
 */
#ifndef GCORN_CORE_HTTP_WRITE_H
#define GCORN_CORE_HTTP_WRITE_H

#include "base.h"
#include "bytes.h"

/* "Not Found" for 404; "" for a status without a registered phrase. */
const char *http_reason(int status);

#define HTTP_DATE_LEN 29
/* Writes "Sun, 06 Nov 1994 08:49:37 GMT" and no NUL. */
void http_date(char text[HTTP_DATE_LEN], time_t when);

/* Any of the three forms of RFC 9110 5.6.7. Seconds since 1970; -EINVAL. */
int http_date_parse(struct bytes text, int64_t *ret_when);

/*
 * A whole response with Gunicorn's small HTML page, Connection: close, and
 * extra field lines ("Retry-After: 1\r\n" or ""). The message is escaped.
 * Returns its length, or -ENOSPC.
 */
int http_error_response(char *out, size_t room, int status, struct bytes extra,
                        struct bytes message, const char date[HTTP_DATE_LEN]);

/* The page alone. Returns its length, or -ENOSPC. */
int http_error_page(char *out, size_t room, int status, struct bytes message);

/* The head of a response of the server's own. */
struct http_reply {
    int status;
    struct bytes fields; /* whole lines, each with its CRLF */
    uint64_t length;     /* Content-Length, but with 1xx, 204 and 304 */
    const char *date;    /* HTTP_DATE_LEN characters */
    bool keep_alive;
};

/* What all of it takes at most, without fields. */
#define HTTP_REPLY_HEAD_MAX 256
/* Returns its length; out has HTTP_REPLY_HEAD_MAX and room for the fields. */
size_t http_reply_head(char *out, const struct http_reply *reply);
#endif
