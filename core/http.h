/* SPDX-License-Identifier: MIT */
/*
 * http - HTTP/1.x as bytes in, structs out: request heads. No I/O, no
 * allocation, no clock. Bodies are in http_chunked.h, what is written in
 * http_write.h.
 *
 * Everything a parser returns is an offset from the start of the head, so the
 * head may be moved (into shared memory) and the result stays right, and a
 * reader in another process can check every offset against head_len.
 *
 * Standard: RFC 9112 and RFC 9110. Where Gunicorn's documented defaults are
 * stricter (method length and case, duplicate Content-Type), they are followed.
 */
#ifndef GCORN_CORE_HTTP_H
#define GCORN_CORE_HTTP_H

#include "base.h"
#include "bytes.h"
#include "http_names.h"

enum http_method {
    HTTP_METHOD_OTHER,
    HTTP_METHOD_GET,
    HTTP_METHOD_HEAD,
    HTTP_METHOD_POST,
    HTTP_METHOD_PUT,
    HTTP_METHOD_DELETE,
    HTTP_METHOD_CONNECT,
    HTTP_METHOD_OPTIONS,
    HTTP_METHOD_TRACE,
    HTTP_METHOD_PATCH,
};

/* Offset from the first byte of the head, and length, in bytes. */
struct http_span {
    uint32_t off;
    uint32_t len;
};

/* One header field line. The value is stripped of leading and trailing OWS. */
struct http_field {
    uint32_t name_off;
    uint32_t value_off;
    uint32_t value_len;
    uint16_t name_len;
    uint8_t name_id; /* enum http_name */
    uint8_t flags;   /* HTTP_FIELD_ */
};

#define HTTP_FIELD_DROPPED 0x01 /* has an underscore: not for the application */
#define HTTP_FIELD_FOLDED 0x02  /* the value spans lines: see http_unfold() */
#define HTTP_FIELD_VARIABLE 0x04 /* no field: a key of environ and its value */

#define HTTP_KEEP_ALIVE 0x01    /* the client allows another request */
#define HTTP_CHUNKED 0x02       /* the body is chunked */
#define HTTP_HAS_LENGTH 0x04    /* content_length was sent */
#define HTTP_EXPECT_100 0x08    /* Expect: 100-continue, and a body follows */
#define HTTP_UPGRADE_ASKED 0x10 /* Connection: upgrade on HTTP/1.1 */
#define HTTP_ABSOLUTE 0x20      /* absolute-form target: see http_parse() */
#define HTTP_CASEFOLD 0x40      /* the method is to be read in upper case */
#define HTTP_FORWARDED 0x80     /* has fields for forwarded_read() to look at */
#define HTTP_VARIABLES 0x100    /* has fields with HTTP_FIELD_VARIABLE */
#define HTTP_SCRIPT_NAME 0x200  /* one is SCRIPT_NAME; path is what follows */
#define HTTP_PATH_DECODED 0x400 /* path has no percent-encoding any more */
#define HTTP_GATEWAY 0x800      /* from uwsgi: see there; answered as 1.1 */

struct http_request {
    uint64_t content_length; /* 0 unless HTTP_HAS_LENGTH */
    uint32_t head_len;       /* through the empty line */
    uint32_t field_count;
    struct http_span method;
    struct http_span target;    /* as sent (RAW_URI) */
    struct http_span path;      /* as sent; empty for "http://host", CONNECT */
    struct http_span query;     /* without '?' and without "#fragment" */
    struct http_span version;   /* "HTTP/1.1" */
    struct http_span authority; /* host[:port] of absolute-form or CONNECT */
    uint8_t method_id;          /* enum http_method */
    uint8_t version_minor;      /* d of HTTP/1.d; 0 for 0.x, 1 from 2.0 on */
    uint16_t flags;             /* HTTP_KEEP_ALIVE ... */
};

static inline bool http_has_body(const struct http_request *request)
{
    return request->content_length > 0 || request->flags & HTTP_CHUNKED;
}

#define HTTP_PERMIT_OBS_FOLD 0x01
#define HTTP_STRIP_NAME_SPACES 0x02
#define HTTP_PERMIT_ANY_METHOD 0x04
#define HTTP_PERMIT_ANY_VERSION 0x08
#define HTTP_CASEFOLD_METHOD 0x10

/* 0 means unlimited (bounded by what the caller can hold). */
struct http_limits {
    uint32_t line_bytes;  /* request line, without CRLF */
    uint32_t fields;      /* number of field lines, dropped ones too */
    uint32_t field_bytes; /* one field line with CRLF */
    uint32_t flags;       /* HTTP_PERMIT_ ... */
};

/* The state of one head in the making. All zero is the start of a head. */
struct http_parser {
    uint32_t next;   /* offset of the first line not yet parsed */
    uint32_t seen;   /* no LF between next and here */
    uint32_t fields; /* field lines parsed */
    uint32_t flags;  /* private */
};

/*
 * Parses what there is of one request head at data (the whole head from its
 * first byte, of which n bytes have arrived; at most INT32_MAX). Resumes at the
 * line where the previous call with the same parser, fields and request
 * stopped; lines parsed before are not looked at again. max_fields is the room
 * in fields[].
 *
 * Returns the length of the head (> 0), 0 when more bytes are needed, or
 * -enum http_error. *request is complete only when the result is > 0. One empty
 * line before the request line belongs to the head.
 *
 * With an absolute-form target the value of the Host field in fields[] is the
 * target's authority, as RFC 9112 3.2.2 demands: whoever reads Host gets the
 * host that was really asked for.
 */
int http_parse(struct http_parser *parser, const struct http_limits *limits,
               struct bytes data, struct http_request *request,
               struct http_field *fields, uint32_t max_fields);

/*
 * Copies a folded value with each line break and the blanks around it made one
 * space. out has room for value.n bytes. Returns how many it holds.
 */
size_t http_unfold(struct bytes value, char *out);

/* The field's spelling as in HTTP_NAMES, or the empty string for OTHER. */
struct bytes http_name_spelling(enum http_name name);

/* The id of a field name, ASCII case ignored. */
enum http_name http_name_find(struct bytes name);

/* The id of a method, which is in upper case. */
enum http_method http_method_find(struct bytes name);

int http_error_status(enum http_error error);
const char *http_error_text(enum http_error error);

/* RFC 9110 5.6.2: at least one character, all of them tchar. */
bool http_is_token(struct bytes text);

/* HTAB, SP to '~' and 0x80 to 0xff only: what a field value may hold. */
bool http_is_value(struct bytes text);

/*
 * Which scanner http_parse uses: "avx2", "sse4.2" or "scalar"; chosen at
 * start by what the CPU has. http_scan_use() forces one (for tests, before any
 * other thread parses) and returns 0 or -ENOTSUP.
 */
const char *http_scan_name(void);
int http_scan_use(const char *name);
#endif
