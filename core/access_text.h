/* SPDX-License-Identifier: MIT */
/*
 * access_text - what the access log's two forms (access_line.c, access_json.c)
 * are put together from: a bounded text, and parts of an entry. Private to
 * access_*.c.
 */
#ifndef GCORN_CORE_ACCESS_TEXT_H
#define GCORN_CORE_ACCESS_TEXT_H

#include "access_log.h"

/* Where a line is being written; what does not fit is dropped. */
struct access_text {
    char *at;
    size_t used;
    size_t room;
};

void access_put(struct access_text *line, const char *text, size_t len);
void access_put_number(struct access_text *line, uint64_t number);

/*
 * Bytes of the peer: what could end the line or a quoted field, or is not
 * ASCII, is written as an escape. The backslash too, else "\" followed by an
 * escaped quote would read as the end of the field.
 */
void access_put_foreign(struct access_text *line, struct bytes text);

/* A part of the request's head; empty when it is not inside. */
struct bytes access_span(const struct access_entry *entry,
                         const struct http_span *at);

/* The last field with this name, as in Gunicorn; p is NULL without one. */
struct bytes access_request_field(const struct access_entry *entry,
                                  struct bytes name);
struct bytes access_response_field(const struct access_entry *entry,
                                   struct bytes name);

/* The user of Basic authentication: how many bytes; 0: none. */
#define ACCESS_USER_MAX 96
size_t access_user(const struct access_entry *entry, char out[ACCESS_USER_MAX]);

/* X-Request-ID, or one made up. p is never NULL. */
#define ACCESS_ID_MAX 128
struct bytes access_request_id(const struct access_entry *entry,
                               char out[ACCESS_ID_MAX]);
#endif
