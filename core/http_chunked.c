/* SPDX-License-Identifier: MIT */
/*
 * The chunked coding of RFC 9112 7.1, byte by byte except for the data:
 *
 *   SIZE -+-> (extensions) -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE
 *         +-> size 0 --------> SIZE_LF -> TRAILER -> ... -> END_LF -> done
 *
 * A line ends with CRLF and nothing else: taking less was a way to smuggle
 * requests through proxies more than once.
 */
#include "http_chunked.h"

#include "http.h"
#include "http_scan.h"

enum state {
    SIZE_FIRST,
    SIZE_MORE,
    SIZE_BLANK,     /* blanks behind the size: only ';' may follow */
    EXT_NAME_FIRST, /* behind ';' */
    EXT_NAME,
    EXT_NAME_BLANK,  /* blanks behind the name: ';' or '=' */
    EXT_VALUE_FIRST, /* behind '=' */
    EXT_TOKEN,
    EXT_QUOTED,
    EXT_ESCAPE,
    EXT_VALUE_END, /* behind the closing quote */
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_FIRST,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    END_LF,
};

/* What may follow a size, an extension's name or its value. -1 if nothing. */
static int after_item(char c, enum state blank)
{
    if (c == ';')
        return EXT_NAME_FIRST;
    if (c == '\r')
        return SIZE_LF;
    return http_is_blank(c) ? (int)blank : -1;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Returns the next state, or -1. */
static int size_byte(struct http_chunked *chunked, char c)
{
    int digit = hex_value(c);

    if (digit >= 0) {
        /* Kept below 2^63, so that sums of sizes do not wrap. */
        if (chunked->left > (INT64_MAX >> 4))
            return -1;
        chunked->left = chunked->left << 4 | (uint64_t)digit;
        return SIZE_MORE;
    }
    return chunked->state == SIZE_MORE ? after_item(c, SIZE_BLANK) : -1;
}

/* The states within quotes. */
static int quoted_byte(enum state state, char c)
{
    if (!http_is_text(c))
        return -1;
    if (state == EXT_ESCAPE)
        return EXT_QUOTED;
    if (c == '\\')
        return EXT_ESCAPE;
    return c == '"' ? EXT_VALUE_END : EXT_QUOTED;
}

/*
 * chunk-ext = *( BWS ";" BWS token [ BWS "=" BWS ( token / quoted ) ] ).
 * Blanks must lead to something, so "5 CRLF" and "5;a CRLF" are refused.
 */
static int extension_byte(enum state state, char c)
{
    bool token = http_is_class(c, HTTP_CLASS_TOKEN);

    switch ((int)state) {
    case SIZE_BLANK:
        return http_is_blank(c) ? SIZE_BLANK : c == ';' ? EXT_NAME_FIRST : -1;
    case EXT_NAME_FIRST:
        return token ? EXT_NAME : http_is_blank(c) ? EXT_NAME_FIRST : -1;
    case EXT_NAME:
        if (token)
            return EXT_NAME;
        return c == '=' ? EXT_VALUE_FIRST : after_item(c, EXT_NAME_BLANK);
    case EXT_NAME_BLANK:
        if (c == '=')
            return EXT_VALUE_FIRST;
        return http_is_blank(c) ? EXT_NAME_BLANK
               : c == ';'       ? EXT_NAME_FIRST
                                : -1;
    case EXT_VALUE_FIRST:
        if (c == '"')
            return EXT_QUOTED;
        return token ? EXT_TOKEN : http_is_blank(c) ? EXT_VALUE_FIRST : -1;
    case EXT_TOKEN:
        return token ? EXT_TOKEN : after_item(c, SIZE_BLANK);
    case EXT_VALUE_END:
        return after_item(c, SIZE_BLANK);
    }
    return quoted_byte(state, c);
}

/* RFC 9110 6.5.1: fields that frame, route, authenticate or control. */
static bool is_forbidden(const struct http_chunked *chunked)
{
    struct bytes name = {chunked->name, chunked->name_len};

    if (name.n > sizeof(chunked->name))
        return false; /* longer than any of these */
    switch ((int)http_name_find(name)) {
    case HTTP_NAME_AUTHORIZATION:
    case HTTP_NAME_CACHE_CONTROL:
    case HTTP_NAME_CONNECTION:
    case HTTP_NAME_CONTENT_ENCODING:
    case HTTP_NAME_CONTENT_LENGTH:
    case HTTP_NAME_CONTENT_TYPE:
    case HTTP_NAME_COOKIE:
    case HTTP_NAME_EXPECT:
    case HTTP_NAME_HOST:
    case HTTP_NAME_KEEP_ALIVE:
    case HTTP_NAME_RANGE:
    case HTTP_NAME_TE:
    case HTTP_NAME_TRAILER:
    case HTTP_NAME_TRANSFER_ENCODING:
    case HTTP_NAME_UPGRADE:
        return true;
    }
    return bytes_equal_nocase(name, BYTES("Proxy-Authorization")) ||
           bytes_equal_nocase(name, BYTES("Content-Range"));
}

/* Keeps the name while it fits; one more than fits means it does not. */
static int name_byte(struct http_chunked *chunked, char c)
{
    if (!http_is_class(c, HTTP_CLASS_TOKEN))
        return -1;
    if (chunked->name_len < sizeof(chunked->name))
        chunked->name[chunked->name_len] = c;
    if (chunked->name_len <= sizeof(chunked->name))
        chunked->name_len++;
    return TRAILER_NAME;
}

static int trailer_byte(struct http_chunked *chunked, char c)
{
    switch (chunked->state) {
    case TRAILER_FIRST:
        chunked->name_len = 0;
        return c == '\r' ? END_LF : name_byte(chunked, c);
    case TRAILER_NAME:
        if (c == ':')
            return is_forbidden(chunked) ? -1 : TRAILER_VALUE;
        return name_byte(chunked, c);
    case TRAILER_VALUE:
        return c == '\r' ? TRAILER_LF : http_is_text(c) ? TRAILER_VALUE : -1;
    case TRAILER_LF:
        return c == '\n' ? TRAILER_FIRST : -1;
    }
    chunked->done = c == '\n';
    return chunked->done ? END_LF : -1;
}

/* Returns -enum http_error, or 0 with the next state set. */
static int settle(struct http_chunked *chunked, int state,
                  enum http_error error)
{
    if (state < 0)
        return -(int)error;
    chunked->state = (uint8_t)state;
    return 0;
}

/* The LF behind the size and the extensions. */
static int begin_data(struct http_chunked *chunked, char c)
{
    chunked->line = 0;
    if (c != '\n')
        return -1;
    return chunked->left > 0 ? DATA : TRAILER_FIRST;
}

static int size_line_byte(struct http_chunked *chunked, char c)
{
    uint8_t state = chunked->state;
    bool in_size = state <= SIZE_BLANK;

    if (++chunked->line > HTTP_CHUNK_LINE_MAX)
        return in_size ? -HTTP_ERROR_CHUNK_SIZE : -HTTP_ERROR_CHUNK_EXTENSION;
    if (state <= SIZE_MORE)
        return settle(chunked, size_byte(chunked, c), HTTP_ERROR_CHUNK_SIZE);
    if (state == SIZE_LF)
        return settle(chunked, begin_data(chunked, c), HTTP_ERROR_CHUNK_SIZE);
    return settle(chunked, extension_byte((enum state)state, c),
                  in_size ? HTTP_ERROR_CHUNK_SIZE : HTTP_ERROR_CHUNK_EXTENSION);
}

/* One byte that is not data. */
static int frame_byte(struct http_chunked *chunked, char c)
{
    if (chunked->state <= SIZE_LF)
        return size_line_byte(chunked, c);
    if (chunked->state == DATA_CR)
        return settle(chunked, c == '\r' ? DATA_LF : -1, HTTP_ERROR_CHUNK_END);
    if (chunked->state == DATA_LF)
        return settle(chunked, c == '\n' ? SIZE_FIRST : -1,
                      HTTP_ERROR_CHUNK_END);
    if (++chunked->trailer > HTTP_TRAILERS_MAX)
        return -HTTP_ERROR_TRAILER_LIMIT;
    return settle(chunked, trailer_byte(chunked, c), HTTP_ERROR_TRAILER);
}

int http_chunked_next(struct http_chunked *chunked, struct bytes piece,
                      struct bytes *ret_data)
{
    size_t pos = 0;
    size_t n;
    int error;

    must(piece.n <= INT32_MAX);
    *ret_data = (struct bytes){piece.p, 0};
    while (pos < piece.n && !chunked->done && chunked->state != DATA) {
        error = frame_byte(chunked, piece.p[pos++]);
        if (error < 0)
            return error;
    }
    if (chunked->state != DATA || pos == piece.n)
        return (int)pos;
    n = min_u64(chunked->left, piece.n - pos);
    *ret_data = (struct bytes){piece.p + pos, n};
    chunked->left -= n;
    if (chunked->left == 0)
        chunked->state = DATA_CR;
    return (int)(pos + n);
}
