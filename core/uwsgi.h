/* SPDX-License-Identifier: MIT */
/*
 * uwsgi - a request as nginx's uwsgi_pass sends it: one packet of variables,
 * then the body. Bytes in, structs out; no I/O.
 *
 *   modifier1:8 | size:16 | modifier2:8 | { key_len:16 key value_len:16 value }
 *
 * The packet becomes a request head: its spans are offsets into the packet.
 * HTTP_* and CONTENT_* are the header fields; everything else is a variable
 * of the application's environ (HTTP_FIELD_VARIABLE). The gateway has decoded
 * PATH_INFO already. A response goes back as HTTP, without chunks, and ends
 * with the connection.
 */
#ifndef GCORN_CORE_UWSGI_H
#define GCORN_CORE_UWSGI_H

#include "http.h"

#define UWSGI_HEAD_BYTES 4

/* What the server itself wants to know beyond the request. */
struct uwsgi_peer {
    struct http_span addr; /* REMOTE_ADDR; empty: not told */
    struct http_span port; /* REMOTE_PORT */
    bool secure;           /* the client spoke TLS */
};

/*
 * Parses the packet at the start of data. max_fields is the room in fields[].
 * Returns its length (> 0), 0 when more bytes are needed, or -enum http_error;
 * *request and *ret_peer are complete only when the result is > 0.
 */
int uwsgi_parse(struct bytes data, struct http_request *request,
                struct http_field *fields, uint32_t max_fields,
                struct uwsgi_peer *ret_peer);

/*
 * Field names are as in CGI, "ACCEPT_ENCODING"; this spells them as HTTP does,
 * "ACCEPT-ENCODING", in the packet at head, or a copy of it.
 */
void uwsgi_spell(char *head, const struct http_request *request,
                 const struct http_field *fields);
#endif
