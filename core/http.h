/* SPDX-License-Identifier: MIT */
/*
 * http - HTTP/1.x as bytes in, structs out: request heads, chunked bodies,
 * response heads. No I/O, no allocation, no clock.
 *
 * Everything a parser returns is an offset from the start of the head, so the
 * head may be moved (into shared memory) and the result stays right, and a
 * reader in another process can check every offset against head_len.
 *
 * Standard: RFC 9112 and RFC 9110. Where Gunicorn's documented defaults are
 * stricter (method length and case, duplicate Host), they are followed.
 */
#ifndef GCORN_CORE_HTTP_H
#define GCORN_CORE_HTTP_H

#include "base.h"
#include "bytes.h"

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

/* Field names gcorn knows: id, spelling, CGI variable or key in environ. */
#define HTTP_NAMES(X)                                                          \
    X(ACCEPT, "Accept", "HTTP_ACCEPT")                                         \
    X(ACCEPT_ENCODING, "Accept-Encoding", "HTTP_ACCEPT_ENCODING")              \
    X(ACCEPT_LANGUAGE, "Accept-Language", "HTTP_ACCEPT_LANGUAGE")              \
    X(AUTHORIZATION, "Authorization", "HTTP_AUTHORIZATION")                    \
    X(CACHE_CONTROL, "Cache-Control", "HTTP_CACHE_CONTROL")                    \
    X(CONNECTION, "Connection", "HTTP_CONNECTION")                             \
    X(CONTENT_LENGTH, "Content-Length", "CONTENT_LENGTH")                      \
    X(CONTENT_TYPE, "Content-Type", "CONTENT_TYPE")                            \
    X(COOKIE, "Cookie", "HTTP_COOKIE")                                         \
    X(EXPECT, "Expect", "HTTP_EXPECT")                                         \
    X(HOST, "Host", "HTTP_HOST")                                               \
    X(IF_MODIFIED_SINCE, "If-Modified-Since", "HTTP_IF_MODIFIED_SINCE")        \
    X(IF_NONE_MATCH, "If-None-Match", "HTTP_IF_NONE_MATCH")                    \
    X(ORIGIN, "Origin", "HTTP_ORIGIN")                                         \
    X(RANGE, "Range", "HTTP_RANGE")                                            \
    X(REFERER, "Referer", "HTTP_REFERER")                                      \
    X(TRANSFER_ENCODING, "Transfer-Encoding", "HTTP_TRANSFER_ENCODING")        \
    X(UPGRADE, "Upgrade", "HTTP_UPGRADE")                                      \
    X(USER_AGENT, "User-Agent", "HTTP_USER_AGENT")                             \
    X(X_FORWARDED_FOR, "X-Forwarded-For", "HTTP_X_FORWARDED_FOR")              \
    X(X_FORWARDED_HOST, "X-Forwarded-Host", "HTTP_X_FORWARDED_HOST")           \
    X(X_FORWARDED_PROTO, "X-Forwarded-Proto", "HTTP_X_FORWARDED_PROTO")        \
    X(X_REAL_IP, "X-Real-Ip", "HTTP_X_REAL_IP")                                \
    X(X_REQUEST_ID, "X-Request-Id", "HTTP_X_REQUEST_ID")

enum http_name {
    HTTP_NAME_OTHER,
#define X(id, spelling, key) HTTP_NAME_##id,
    HTTP_NAMES(X)
#undef X
        HTTP_NAME_COUNT,
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

#define HTTP_KEEP_ALIVE 0x01   /* the client allows another request */
#define HTTP_CHUNKED 0x02      /* the body is chunked */
#define HTTP_HAS_LENGTH 0x04   /* content_length was sent */
#define HTTP_EXPECT_100 0x08   /* Expect: 100-continue on HTTP/1.1 */
#define HTTP_UPGRADE_ASKED 0x10 /* Connection: upgrade */
#define HTTP_ABSOLUTE 0x20     /* absolute-form target */

struct http_request {
    uint64_t content_length; /* 0 unless HTTP_HAS_LENGTH */
    uint32_t head_len;       /* through the empty line */
    uint32_t field_count;
    struct http_span method;
    struct http_span target; /* as sent (RAW_URI) */
    struct http_span path;   /* of the target, still percent-encoded */
    struct http_span query;  /* without '?' */
    struct http_span version; /* "HTTP/1.1" */
    uint8_t method_id;       /* enum http_method */
    uint8_t version_minor;   /* the d in HTTP/1.d */
    uint16_t flags;          /* HTTP_KEEP_ALIVE ... */
};

/* Why a request is refused: id, status, text for the log and the answer. */
#define HTTP_ERRORS(X)                                                         \
    X(REQUEST_LINE, 400, "Invalid Request Line")                               \
    X(METHOD, 400, "Invalid Method")                                           \
    X(TARGET, 400, "Invalid Request Target")                                   \
    X(VERSION, 400, "Invalid HTTP Version")                                    \
    X(VERSION_UNSUPPORTED, 505, "HTTP Version Not Supported")                  \
    X(LINE_LIMIT, 414, "Request Line is too large")                            \
    X(FIELD_NAME, 400, "Invalid Header Name")                                  \
    X(FIELD_VALUE, 400, "Invalid Header")                                      \
    X(OBS_FOLD, 400, "Obsolete line folding is unacceptable")                  \
    X(FIELD_LIMIT, 431, "Limit of request header field size exceeded")         \
    X(FIELDS_LIMIT, 431, "Limit of request header fields exceeded")            \
    X(HOST, 400, "Invalid or missing Host")                                    \
    X(LENGTH, 400, "Invalid Content-Length")                                   \
    X(FRAMING, 400, "Content-Length and Transfer-Encoding together")           \
    X(CODING, 501, "Unsupported Transfer-Encoding")                            \
    X(CODING_VERSION, 400, "Transfer-Encoding needs HTTP/1.1")                 \
    X(EXPECTATION, 417, "Expectation Failed")                                  \
    X(CHUNK_SIZE, 400, "Invalid chunk size")                                   \
    X(CHUNK_EXTENSION, 400, "Invalid chunk extension")                         \
    X(CHUNK_END, 400, "Missing chunk terminator")                              \
    X(TRAILER, 400, "Invalid trailer")                                         \
    X(BODY_LIMIT, 413, "Request body is too large")

enum http_error {
    HTTP_ERROR_NONE,
#define X(id, status, text) HTTP_ERROR_##id,
    HTTP_ERRORS(X)
#undef X
        HTTP_ERROR_COUNT,
};

#define HTTP_PERMIT_OBS_FOLD 0x01
#define HTTP_STRIP_NAME_SPACES 0x02
#define HTTP_PERMIT_ANY_METHOD 0x04
#define HTTP_PERMIT_ANY_VERSION 0x08
#define HTTP_CASEFOLD_METHOD 0x10
#define HTTP_UNDERSCORE_REFUSE 0x20 /* header_map = refuse */
#define HTTP_UNDERSCORE_KEEP 0x40   /* header_map = dangerous */

/* 0 means unlimited (bounded by what the caller can hold). */
struct http_limits {
    uint32_t line_bytes;  /* request line, without CRLF */
    uint32_t fields;      /* number of field lines */
    uint32_t field_bytes; /* one field line with CRLF */
    uint32_t flags;       /* HTTP_PERMIT_ ... */
};

/* The state of one head in the making. All zero is the start of a head. */
struct http_parser {
    uint32_t next;   /* offset of the first line not yet parsed */
    uint32_t seen;   /* no LF between next and here */
    uint32_t fields; /* field lines parsed */
    uint32_t flags;  /* private */
    uint64_t length; /* private */
};

/*
 * Parses what there is of one request head at data (the whole head from its
 * first byte, of which len bytes have arrived). Resumes at the line where the
 * previous call with the same parser, fields and request stopped; lines parsed
 * before are not looked at again. max_fields is the room in fields[].
 * Returns the length of the head (> 0), 0 when more bytes are needed, or
 * -enum http_error. *request is complete only when the result is > 0.
 */
int http_parse(struct http_parser *parser, const struct http_limits *limits,
               struct bytes data, struct http_request *request,
               struct http_field *fields, uint32_t max_fields);

/* The chunked coding of a request body. All zero is the start. */
struct http_chunked {
    uint64_t left;    /* bytes of data left in the current chunk */
    uint32_t line;    /* bytes of the current size or trailer line so far */
    uint32_t trailer; /* bytes of all trailer lines so far */
    uint8_t state;    /* private */
    uint8_t done;     /* the last chunk and the trailers are over */
    uint8_t flags;    /* private */
};

/*
 * Takes the next piece of a chunked body. *ret_data is the run of body bytes
 * in it (maybe empty). Returns how many bytes of the piece are used up (call
 * again with the rest until it is empty or chunked->done), or
 * -enum http_error.
 */
int http_chunked_next(struct http_chunked *chunked, struct bytes piece,
                      struct bytes *ret_data);

/* The field's spelling as in HTTP_NAMES, or the empty string for OTHER. */
struct bytes http_name_spelling(enum http_name name);

/* The id of a field name, ASCII case ignored. */
enum http_name http_name_find(struct bytes name);

int http_error_status(enum http_error error);
const char *http_error_text(enum http_error error);

/* "Not Found" for 404; "" for a status without a registered phrase. */
const char *http_reason(int status);

/* RFC 9110 5.6.2: at least one character, all of them tchar. */
bool http_is_token(struct bytes text);

/* HTAB, SP to '~' and 0x80 to 0xff only: what a field value may hold. */
bool http_is_value(struct bytes text);

#define HTTP_DATE_LEN 29
/* Writes "Sun, 06 Nov 1994 08:49:37 GMT" and no NUL. */
void http_date(char text[HTTP_DATE_LEN], time_t when);

/*
 * A whole response with Gunicorn's small HTML page, Connection: close, and
 * extra field lines ("Retry-After: 1\r\n" or ""). The message is escaped.
 * Returns its length, or -ENOSPC.
 */
int http_error_response(char *out, size_t room, int status, struct bytes extra,
                        struct bytes message, const char date[HTTP_DATE_LEN]);

/*
 * Which scanner http_parse uses: "avx2", "sse4.2" or "scalar"; chosen at the
 * first call by what the CPU has. http_scan_use() forces one (for tests) and
 * returns 0 or -ENOTSUP.
 */
const char *http_scan_name(void);
int http_scan_use(const char *name);
#endif
