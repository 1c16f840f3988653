/* SPDX-License-Identifier: MIT */
/*
 * The request line: method SP target SP version, one space each and no other
 * white space, though RFC 9112 3 would allow to be lenient: what two parsers
 * split at different places is a way in for a second request.
 */
#include "http_head.h"
#include "ip.h"

static enum http_method method_find(struct bytes text, bool any_case)
{
    static const struct bytes methods[] = {
        [HTTP_METHOD_GET] = {"GET", 3},
        [HTTP_METHOD_HEAD] = {"HEAD", 4},
        [HTTP_METHOD_POST] = {"POST", 4},
        [HTTP_METHOD_PUT] = {"PUT", 3},
        [HTTP_METHOD_DELETE] = {"DELETE", 6},
        [HTTP_METHOD_CONNECT] = {"CONNECT", 7},
        [HTTP_METHOD_OPTIONS] = {"OPTIONS", 7},
        [HTTP_METHOD_TRACE] = {"TRACE", 5},
        [HTTP_METHOD_PATCH] = {"PATCH", 5},
    };

    for (size_t i = HTTP_METHOD_GET; i < ARRAY_SIZE(methods); i++) {
        if (bytes_equal(text, methods[i]) ||
            (any_case && bytes_equal_nocase(text, methods[i])))
            return (enum http_method)i;
    }
    return HTTP_METHOD_OTHER;
}

static bool has_lower(struct bytes text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] >= 'a' && text.p[i] <= 'z')
            return true;
    }
    return false;
}

/*
 * The token at [start, end). Registered methods have three to twenty letters,
 * in upper case. Casefolding is for the reader of the result: the head is not
 * ours to write to.
 */
static bool take_method(struct http_head *head, size_t start, size_t end)
{
    struct http_request *request = head->request;
    uint32_t flags = head->flags;
    struct bytes text;
    bool lower;

    request->method = http_head_span(start, end);
    text = http_head_text(head, request->method);
    request->method_id = (uint8_t)method_find(text, false);
    if (request->method_id != HTTP_METHOD_OTHER)
        return true;
    lower = has_lower(text);
    if (!(flags & HTTP_PERMIT_ANY_METHOD) &&
        (text.n < 3 || text.n > 20 || lower || memchr(text.p, '#', text.n)))
        return false;
    if (lower && (flags & HTTP_CASEFOLD_METHOD)) {
        request->method_id = (uint8_t)method_find(text, true);
        request->flags |= HTTP_CASEFOLD;
    }
    return text.n > 0;
}

static bool is_hex(char c)
{
    return http_is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Each percent sign is the start of an escape. */
static bool is_escaped_well(struct bytes text)
{
    const char *at = memchr(text.p, '%', text.n);

    while (at) {
        size_t left = (size_t)(text.p + text.n - at);

        if (left < 3 || !is_hex(at[1]) || !is_hex(at[2]))
            return false;
        at = memchr(at + 3, '%', left - 3);
    }
    return true;
}

/* "v" 1*HEXDIG "." and something, of what addresses may become. */
static bool is_future(struct bytes text)
{
    size_t pos = 1;

    while (pos < text.n && is_hex(text.p[pos]))
        pos++;
    return (text.p[0] == 'v' || text.p[0] == 'V') && pos > 1 &&
           text.n - pos > 1 && text.p[pos] == '.';
}

/* An IPv6 address, maybe with a zone (RFC 6874: "%25eth0"). */
static bool is_address(struct bytes text)
{
    const char *zone = memchr(text.p, '%', text.n);
    struct ip ip;

    if (zone) {
        if ((size_t)(text.p + text.n - zone) < 4 || memcmp(zone, "%25", 3) != 0)
            return false;
        text.n = (size_t)(zone - text.p);
    }
    return memchr(text.p, ':', text.n) && ip_parse(text, &ip) == 0;
}

/* Returns the length of "[...]" at the start of text, or 0 (RFC 3986 3.2.2). */
static size_t ip_literal(struct bytes text)
{
    struct bytes inner = {text.p + 1, 0};
    size_t pos = 1;

    while (pos < text.n &&
           (text.p[pos] == ':' || http_is_class(text.p[pos], HTTP_CLASS_HOST)))
        pos++;
    inner.n = pos - 1;
    if (pos == text.n || text.p[pos] != ']' || inner.n == 0 ||
        !is_escaped_well(inner))
        return 0;
    return is_address(inner) || is_future(inner) ? pos + 1 : 0;
}

bool http_line_authority(struct bytes text, size_t *ret_host_len)
{
    size_t pos = 0;

    if (text.n > 0 && text.p[0] == '[') {
        pos = ip_literal(text);
        if (pos == 0)
            return false;
    } else {
        while (pos < text.n && http_is_class(text.p[pos], HTTP_CLASS_HOST))
            pos++;
        if (!is_escaped_well((struct bytes){text.p, pos}))
            return false;
    }
    *ret_host_len = pos;
    if (pos < text.n && text.p[pos++] != ':')
        return false;
    while (pos < text.n && http_is_digit(text.p[pos]))
        pos++;
    return pos == text.n;
}

/* CONNECT takes host:port and nothing else; path and query stay empty. */
static bool take_authority_form(struct http_head *head)
{
    struct http_request *request = head->request;
    struct bytes text = http_head_text(head, request->target);
    size_t host_len;

    request->path.len = 0;
    request->query.len = 0;
    request->authority = request->target;
    return http_line_authority(text, &host_len) && host_len > 0 &&
           host_len + 1 < text.n;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* RFC 3986 3.1. Returns the length of the scheme before "://", or 0. */
static size_t scheme_len(struct bytes text)
{
    size_t pos = 0;

    while (pos < text.n &&
           (is_letter(text.p[pos]) ||
            (pos > 0 && memchr("0123456789+-.", text.p[pos], 13))))
        pos++;
    return text.n - pos >= 3 && memcmp(text.p + pos, "://", 3) == 0 ? pos : 0;
}

/* scheme://host[:port][/path]; path is what precedes the query so far. */
static bool take_absolute_form(struct http_head *head)
{
    struct http_request *request = head->request;
    struct bytes text = http_head_text(head, request->path);
    struct bytes authority;
    size_t from = scheme_len(text);
    size_t to;
    size_t host_len;

    if (from == 0)
        return false;
    from += 3;
    to = from;
    while (to < text.n && text.p[to] != '/')
        to++;
    authority = (struct bytes){text.p + from, to - from};
    request->flags |= HTTP_ABSOLUTE;
    request->authority = http_head_span(request->path.off + from,
                                        request->path.off + to);
    request->path = http_head_span(request->path.off + to,
                                   request->path.off + text.n);
    return http_line_authority(authority, &host_len) && host_len > 0;
}

static bool take_target(struct http_head *head)
{
    struct http_request *request = head->request;
    struct bytes text = http_head_text(head, request->target);

    if (text.n == 0)
        return false;
    if (request->method_id == HTTP_METHOD_CONNECT)
        return take_authority_form(head);
    if (text.p[0] == '/')
        return true;
    if (text.n == 1 && text.p[0] == '*')
        return request->method_id == HTTP_METHOD_OPTIONS;
    return take_absolute_form(head);
}

/*
 * The scanner stops at every '?' and '#', which only count once: goes on from
 * pos over those in marks, and returns where the run really ends.
 */
static size_t scan_past(const struct http_head *head, size_t pos,
                        const char *marks)
{
    do {
        pos = head->scan->target(head->window, pos + 1);
    } while (pos < head->window.n && head->window.p[pos] != '\0' &&
             strchr(marks, head->window.p[pos]));
    return pos;
}

/*
 * Returns the offset of the space behind the target at start, 0 or -error. A
 * fragment has no business here, but some clients send it; it is left out.
 */
static int parse_target(struct http_head *head, size_t start)
{
    struct http_request *request = head->request;
    struct bytes window = head->window;
    size_t pos = head->scan->target(window, start);

    request->path = http_head_span(start, pos);
    request->query = http_head_span(pos, pos);
    if (pos < window.n && window.p[pos] == '?') {
        size_t from = pos + 1;

        pos = scan_past(head, pos, "?");
        request->query = http_head_span(from, pos);
    }
    if (pos < window.n && window.p[pos] == '#')
        pos = scan_past(head, pos, "?#");
    if (pos == window.n)
        return http_head_short(head, HTTP_ERROR_LINE_LIMIT);
    if (window.p[pos] == '\r' || window.p[pos] == '\n')
        return -HTTP_ERROR_REQUEST_LINE;
    request->target = http_head_span(start, pos);
    if (window.p[pos] != ' ' || !take_target(head))
        return -HTTP_ERROR_TARGET;
    return (int)pos;
}

/* A higher minor version is spoken to as 1.1 (RFC 9110 2.5). */
static enum http_error take_version(struct http_head *head, size_t start,
                                    size_t end)
{
    struct http_request *request = head->request;
    struct bytes text;

    request->version = http_head_span(start, end);
    text = http_head_text(head, request->version);
    if (text.n != 8 || memcmp(text.p, "HTTP/", 5) != 0 ||
        !http_is_digit(text.p[5]) || text.p[6] != '.' ||
        !http_is_digit(text.p[7]))
        return memchr(text.p, ' ', text.n) ? HTTP_ERROR_REQUEST_LINE
                                           : HTTP_ERROR_VERSION;
    if (text.p[5] == '1')
        request->version_minor = (uint8_t)(text.p[7] - '0');
    else if (head->flags & HTTP_PERMIT_ANY_VERSION)
        request->version_minor = text.p[5] != '0';
    else
        return HTTP_ERROR_VERSION_UNSUPPORTED;
    return HTTP_ERROR_NONE;
}

enum http_method http_method_find(struct bytes name)
{
    return method_find(name, false);
}

int http_line_parse(struct http_head *head, size_t start)
{
    struct bytes window = head->window;
    size_t pos = head->scan->token(window, start);
    enum http_error error;
    int next;

    if (pos == window.n)
        return http_head_short(head, HTTP_ERROR_LINE_LIMIT);
    if (window.p[pos] == '\r' || window.p[pos] == '\n')
        return -HTTP_ERROR_REQUEST_LINE;
    if (window.p[pos] != ' ' || !take_method(head, start, pos))
        return -HTTP_ERROR_METHOD;
    next = parse_target(head, pos + 1);
    if (next <= 0)
        return next;
    start = (size_t)next + 1;
    pos = head->scan->value(window, start);
    if (pos == window.n)
        return http_head_short(head, HTTP_ERROR_LINE_LIMIT);
    next = http_head_line_end(head, pos, HTTP_ERROR_REQUEST_LINE);
    if (next <= 0)
        return next;
    error = take_version(head, start, pos);
    return error ? -(int)error : next;
}
