/* SPDX-License-Identifier: MIT */
/*
 * http_names - the tables of http: field names, and why a request is refused.
 *
 * Included by http.h. A new field name needs a line here and, in
 * http_name_find(), the letter that tells it from others of its length; the
 * unit test finds a name that was forgotten there.
 */
#ifndef GCORN_CORE_HTTP_NAMES_H
#define GCORN_CORE_HTTP_NAMES_H

/* Field names gcorn knows: id, spelling, CGI variable or key in environ. */
#define HTTP_NAMES(X)                                                          \
    X(ACCEPT, "Accept", "HTTP_ACCEPT")                                         \
    X(ACCEPT_ENCODING, "Accept-Encoding", "HTTP_ACCEPT_ENCODING")              \
    X(ACCEPT_LANGUAGE, "Accept-Language", "HTTP_ACCEPT_LANGUAGE")              \
    X(AUTHORIZATION, "Authorization", "HTTP_AUTHORIZATION")                    \
    X(CACHE_CONTROL, "Cache-Control", "HTTP_CACHE_CONTROL")                    \
    X(CONNECTION, "Connection", "HTTP_CONNECTION")                             \
    X(CONTENT_ENCODING, "Content-Encoding", "HTTP_CONTENT_ENCODING")           \
    X(CONTENT_LENGTH, "Content-Length", "CONTENT_LENGTH")                      \
    X(CONTENT_TYPE, "Content-Type", "CONTENT_TYPE")                            \
    X(COOKIE, "Cookie", "HTTP_COOKIE")                                         \
    X(DATE, "Date", "HTTP_DATE")                                               \
    X(EXPECT, "Expect", "HTTP_EXPECT")                                         \
    X(FORWARDED, "Forwarded", "HTTP_FORWARDED")                                \
    X(HOST, "Host", "HTTP_HOST")                                               \
    X(IF_MODIFIED_SINCE, "If-Modified-Since", "HTTP_IF_MODIFIED_SINCE")        \
    X(IF_NONE_MATCH, "If-None-Match", "HTTP_IF_NONE_MATCH")                    \
    X(KEEP_ALIVE, "Keep-Alive", "HTTP_KEEP_ALIVE")                             \
    X(ORIGIN, "Origin", "HTTP_ORIGIN")                                         \
    X(PRIORITY, "Priority", "HTTP_PRIORITY")                                   \
    X(RANGE, "Range", "HTTP_RANGE")                                            \
    X(REFERER, "Referer", "HTTP_REFERER")                                      \
    X(SEC_CH_UA, "Sec-Ch-Ua", "HTTP_SEC_CH_UA")                                \
    X(SEC_CH_UA_MOBILE, "Sec-Ch-Ua-Mobile", "HTTP_SEC_CH_UA_MOBILE")           \
    X(SEC_CH_UA_PLATFORM, "Sec-Ch-Ua-Platform", "HTTP_SEC_CH_UA_PLATFORM")     \
    X(SEC_FETCH_DEST, "Sec-Fetch-Dest", "HTTP_SEC_FETCH_DEST")                 \
    X(SEC_FETCH_MODE, "Sec-Fetch-Mode", "HTTP_SEC_FETCH_MODE")                 \
    X(SEC_FETCH_SITE, "Sec-Fetch-Site", "HTTP_SEC_FETCH_SITE")                 \
    X(SEC_FETCH_USER, "Sec-Fetch-User", "HTTP_SEC_FETCH_USER")                 \
    X(SERVER, "Server", "HTTP_SERVER")                                         \
    X(TE, "Te", "HTTP_TE")                                                     \
    X(TRAILER, "Trailer", "HTTP_TRAILER")                                      \
    X(TRANSFER_ENCODING, "Transfer-Encoding", "HTTP_TRANSFER_ENCODING")        \
    X(UPGRADE, "Upgrade", "HTTP_UPGRADE")                                      \
    X(UPGRADE_INSECURE_REQUESTS, "Upgrade-Insecure-Requests",                  \
      "HTTP_UPGRADE_INSECURE_REQUESTS")                                        \
    X(USER_AGENT, "User-Agent", "HTTP_USER_AGENT")                             \
    X(X_FORWARDED_FOR, "X-Forwarded-For", "HTTP_X_FORWARDED_FOR")              \
    X(X_FORWARDED_HOST, "X-Forwarded-Host", "HTTP_X_FORWARDED_HOST")           \
    X(X_FORWARDED_PORT, "X-Forwarded-Port", "HTTP_X_FORWARDED_PORT")           \
    X(X_FORWARDED_PROTO, "X-Forwarded-Proto", "HTTP_X_FORWARDED_PROTO")        \
    X(X_FORWARDED_PROTOCOL, "X-Forwarded-Protocol",                            \
      "HTTP_X_FORWARDED_PROTOCOL")                                             \
    X(X_FORWARDED_SSL, "X-Forwarded-Ssl", "HTTP_X_FORWARDED_SSL")              \
    X(X_REAL_IP, "X-Real-Ip", "HTTP_X_REAL_IP")                                \
    X(X_REQUEST_ID, "X-Request-Id", "HTTP_X_REQUEST_ID")

enum http_name {
    HTTP_NAME_OTHER,
#define X(id, spelling, key) HTTP_NAME_##id,
    HTTP_NAMES(X)
#undef X
        HTTP_NAME_COUNT,
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
    X(DUPLICATE, 400, "Duplicate Content-Type")                                \
    X(HOST, 400, "Invalid or missing Host")                                    \
    X(LENGTH, 400, "Invalid Content-Length")                                   \
    X(FRAMING, 400, "Content-Length and Transfer-Encoding together")           \
    X(CODING, 501, "Unsupported Transfer-Encoding")                            \
    X(CODING_VERSION, 400, "Transfer-Encoding needs HTTP/1.1")                 \
    X(CODING_ORDER, 400, "chunked must be the last coding, and be there once") \
    X(EXPECTATION, 417, "Expectation Failed")                                  \
    X(CHUNK_SIZE, 400, "Invalid chunk size")                                   \
    X(CHUNK_EXTENSION, 400, "Invalid chunk extension")                         \
    X(CHUNK_END, 400, "Missing chunk terminator")                              \
    X(TRAILER, 400, "Invalid trailer")                                         \
    X(TRAILER_LIMIT, 431, "Limit of trailer size exceeded")                    \
    X(BODY_SHORT, 400, "Request body ended too early")                         \
    X(BODY_LIMIT, 413, "Request body is too large")                            \
    X(SCHEME, 400, "Contradictory scheme headers")                             \
    X(CLIENT, 400, "Contradictory Forwarded and X-Forwarded-For")              \
    X(SCRIPT_NAME, 500, "Request path does not start with SCRIPT_NAME")        \
    X(PROXY, 400, "Invalid PROXY protocol header")                             \
    X(FORBIDDEN, 403, "Request forbidden")                                     \
    X(UWSGI, 400, "Invalid uwsgi packet")

enum http_error {
    HTTP_ERROR_NONE,
#define X(id, status, text) HTTP_ERROR_##id,
    HTTP_ERRORS(X)
#undef X
        HTTP_ERROR_COUNT,
};
#endif
