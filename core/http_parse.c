/* SPDX-License-Identifier: MIT */
/*
 * One pass over each line: a scanner runs to the first byte that does not
 * belong to the name, the value or the target, and that byte decides. So the
 * first offence in a line, or the line's limit, is what is reported, whatever
 * pieces the line arrived in.
 */
#include "http.h"

#include <limits.h>

#include "http_scan.h"

/* Parser flags: what has been seen in this head. */
#define SEEN_LINE 0x01
#define SEEN_HOST 0x02
#define SEEN_TYPE 0x04
#define SEEN_CLOSE 0x08
#define SEEN_KEEP_ALIVE 0x10

struct head {
    struct bytes data;   /* all that has arrived */
    struct bytes window; /* of it, what the current line may take */
    size_t line_max;     /* where its CR may stand at the latest */
    const struct http_scan *scan;
    const struct http_limits *limits;
    struct http_parser *parser;
    struct http_request *request;
    struct http_field *fields;
    uint32_t max_fields;
};

static struct http_span span_of(size_t from, size_t to)
{
    return (struct http_span){(uint32_t)from, (uint32_t)(to - from)};
}

static struct bytes text_of(const struct head *head, struct http_span span)
{
    return (struct bytes){head->data.p + span.off, span.len};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static struct bytes trim(struct bytes text)
{
    while (text.n > 0 && is_blank(text.p[0])) {
        text.p++;
        text.n--;
    }
    while (text.n > 0 && is_blank(text.p[text.n - 1]))
        text.n--;
    return text;
}

/* A line begins at start and may have limit bytes before its CRLF. */
static void open_window(struct head *head, size_t start, size_t limit)
{
    head->line_max = start + limit;
    head->window.p = head->data.p;
    head->window.n = min_u64(head->data.n, head->line_max + 1);
}

/* The window ended before the line did: too long, or not all there yet. */
static int out_of_window(const struct head *head, enum http_error too_long)
{
    return head->window.n > head->line_max ? -(int)too_long : 0;
}

/* Returns the offset behind the CRLF at pos, 0 if it is not all there. */
static int line_end(const struct head *head, size_t pos, enum http_error error)
{
    const char *p = head->data.p;

    if (p[pos] != '\r')
        return -(int)error;
    if (pos + 1 == head->data.n)
        return 0;
    return p[pos + 1] == '\n' ? (int)(pos + 2) : -(int)error;
}

static size_t skip_blanks(struct bytes window, size_t pos)
{
    while (pos < window.n && is_blank(window.p[pos]))
        pos++;
    return pos;
}

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

/* The token at [start, end). Registered methods are short, in upper case. */
static bool take_method(struct head *head, size_t start, size_t end)
{
    struct http_request *request = head->request;
    uint32_t flags = head->limits->flags;
    struct bytes text;
    bool lower;

    request->method = span_of(start, end);
    text = text_of(head, request->method);
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

/* Returns the length of the host in host[:port], or 0 if text is neither. */
static size_t ip_literal(struct bytes text)
{
    size_t pos = 1;

    while (pos < text.n &&
           (text.p[pos] == ':' || http_is_class(text.p[pos], HTTP_CLASS_HOST)))
        pos++;
    return pos > 1 && pos < text.n && text.p[pos] == ']' ? pos + 1 : 0;
}

/* RFC 3986 3.2.2 and 3.2.3 without userinfo. The host may be empty. */
static bool split_authority(struct bytes text, size_t *ret_host_len)
{
    size_t pos = 0;

    if (text.n > 0 && text.p[0] == '[') {
        pos = ip_literal(text);
        if (pos == 0)
            return false;
    } else {
        while (pos < text.n && http_is_class(text.p[pos], HTTP_CLASS_HOST))
            pos++;
    }
    *ret_host_len = pos;
    if (pos < text.n && text.p[pos++] != ':')
        return false;
    while (pos < text.n && is_digit(text.p[pos]))
        pos++;
    return pos == text.n;
}

/* CONNECT takes host:port and nothing else; path and query stay empty. */
static bool take_authority_form(struct head *head)
{
    struct http_request *request = head->request;
    struct bytes text = text_of(head, request->target);
    size_t host_len;

    request->path.len = 0;
    request->query.len = 0;
    request->authority = request->target;
    return split_authority(text, &host_len) && host_len > 0 &&
           host_len + 1 < text.n;
}

static bool is_scheme(struct bytes text)
{
    size_t pos = 0;

    while (pos < text.n && text.p[pos] != ':' &&
           http_is_class(text.p[pos], HTTP_CLASS_TOKEN))
        pos++;
    return pos > 0 && !is_digit(text.p[0]) && text.n - pos >= 3 &&
           memcmp(text.p + pos, "://", 3) == 0;
}

/* scheme://host[:port][/path]; path is what precedes the query so far. */
static bool take_absolute_form(struct head *head)
{
    struct http_request *request = head->request;
    struct bytes text = text_of(head, request->path);
    struct bytes authority;
    size_t from;
    size_t to;
    size_t host_len;

    if (!is_scheme(text))
        return false;
    from = (size_t)((const char *)memchr(text.p, ':', text.n) - text.p) + 3;
    to = from;
    while (to < text.n && text.p[to] != '/')
        to++;
    authority = (struct bytes){text.p + from, to - from};
    request->flags |= HTTP_ABSOLUTE;
    request->authority = span_of(request->path.off + from,
                                 request->path.off + to);
    request->path = span_of(request->path.off + to, request->path.off + text.n);
    return split_authority(authority, &host_len) && host_len > 0;
}

static bool take_target(struct head *head)
{
    struct http_request *request = head->request;
    struct bytes text = text_of(head, request->target);

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

/* Continues over the given mark bytes; returns where the run really ends. */
static size_t scan_past(const struct head *head, size_t pos, const char *marks)
{
    do {
        pos = head->scan->target(head->window, pos + 1);
    } while (pos < head->window.n && head->window.p[pos] != '\0' &&
             strchr(marks, head->window.p[pos]));
    return pos;
}

/* Returns the offset of the space behind the target at start, 0 or -error. */
static int parse_target(struct head *head, size_t start)
{
    struct http_request *request = head->request;
    struct bytes window = head->window;
    size_t pos = head->scan->target(window, start);

    request->path = span_of(start, pos);
    request->query = span_of(pos, pos);
    if (pos < window.n && window.p[pos] == '?') {
        size_t from = pos + 1;

        pos = scan_past(head, pos, "?");
        request->query = span_of(from, pos);
    }
    if (pos < window.n && window.p[pos] == '#')
        pos = scan_past(head, pos, "?#");
    if (pos == window.n)
        return out_of_window(head, HTTP_ERROR_LINE_LIMIT);
    if (window.p[pos] == '\r' || window.p[pos] == '\n')
        return -HTTP_ERROR_REQUEST_LINE;
    request->target = span_of(start, pos);
    if (window.p[pos] != ' ' || !take_target(head))
        return -HTTP_ERROR_TARGET;
    return (int)pos;
}

/* A higher minor version is spoken to as 1.1 (RFC 9110 2.5). */
static enum http_error take_version(struct head *head, size_t start, size_t end)
{
    struct http_request *request = head->request;
    struct bytes text;

    request->version = span_of(start, end);
    text = text_of(head, request->version);
    if (memchr(text.p, ' ', text.n))
        return HTTP_ERROR_REQUEST_LINE;
    if (text.n != 8 || memcmp(text.p, "HTTP/", 5) != 0 ||
        !is_digit(text.p[5]) || text.p[6] != '.' || !is_digit(text.p[7]))
        return HTTP_ERROR_VERSION;
    if (text.p[5] == '1')
        request->version_minor = (uint8_t)(text.p[7] - '0');
    else if (head->limits->flags & HTTP_PERMIT_ANY_VERSION)
        request->version_minor = text.p[5] != '0';
    else
        return HTTP_ERROR_VERSION_UNSUPPORTED;
    return HTTP_ERROR_NONE;
}

static int parse_request_line(struct head *head, size_t start)
{
    struct bytes window = head->window;
    size_t pos = head->scan->token(window, start);
    enum http_error error;
    int next;

    if (pos == window.n)
        return out_of_window(head, HTTP_ERROR_LINE_LIMIT);
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
        return out_of_window(head, HTTP_ERROR_LINE_LIMIT);
    next = line_end(head, pos, HTTP_ERROR_REQUEST_LINE);
    if (next <= 0)
        return next;
    error = take_version(head, start, pos);
    head->parser->flags |= SEEN_LINE;
    return error ? -(int)error : next;
}

/* One line, digits only: RFC 9112 6.3 lets no list through that differs. */
static enum http_error take_length(struct http_request *request,
                                   struct bytes text)
{
    uint64_t value = 0;

    if (request->flags & HTTP_CHUNKED)
        return HTTP_ERROR_FRAMING;
    if ((request->flags & HTTP_HAS_LENGTH) || text.n == 0)
        return HTTP_ERROR_LENGTH;
    for (size_t i = 0; i < text.n; i++) {
        if (!is_digit(text.p[i]) || value > (INT64_MAX - 9) / 10)
            return HTTP_ERROR_LENGTH;
        value = value * 10 + (uint64_t)(text.p[i] - '0');
    }
    request->content_length = value;
    request->flags |= HTTP_HAS_LENGTH;
    return HTTP_ERROR_NONE;
}

/*
 * Only "chunked", alone and once. Any other coding would have to be undone
 * here, since WSGI has no word for it.
 */
static enum http_error take_coding(struct http_request *request,
                                   struct bytes text)
{
    if (request->version_minor == 0)
        return HTTP_ERROR_CODING_VERSION;
    if (request->flags & HTTP_HAS_LENGTH)
        return HTTP_ERROR_FRAMING;
    if ((request->flags & HTTP_CHUNKED) ||
        !bytes_equal_nocase(text, BYTES("chunked")))
        return HTTP_ERROR_CODING;
    request->flags |= HTTP_CHUNKED;
    return HTTP_ERROR_NONE;
}

/* An HTTP/1.0 client does not know the word (RFC 9110 10.1.1). */
static enum http_error take_expect(struct http_request *request,
                                   struct bytes text)
{
    if (request->version_minor == 0)
        return HTTP_ERROR_NONE;
    if (!bytes_equal_nocase(text, BYTES("100-continue")))
        return HTTP_ERROR_EXPECTATION;
    request->flags |= HTTP_EXPECT_100;
    return HTTP_ERROR_NONE;
}

static enum http_error take_host(struct http_parser *parser, struct bytes text)
{
    size_t host_len;

    if ((parser->flags & SEEN_HOST) || !split_authority(text, &host_len))
        return HTTP_ERROR_HOST;
    parser->flags |= SEEN_HOST;
    return HTTP_ERROR_NONE;
}

/* A list; several lines add up. What is no option we know is let pass. */
static enum http_error take_connection(struct head *head, struct bytes text)
{
    while (text.n > 0) {
        const char *comma = memchr(text.p, ',', text.n);
        size_t n = comma ? (size_t)(comma - text.p) : text.n;
        struct bytes item = trim((struct bytes){text.p, n});

        if (bytes_equal_nocase(item, BYTES("close")))
            head->parser->flags |= SEEN_CLOSE;
        else if (bytes_equal_nocase(item, BYTES("keep-alive")))
            head->parser->flags |= SEEN_KEEP_ALIVE;
        else if (head->request->version_minor > 0 &&
                 bytes_equal_nocase(item, BYTES("upgrade")))
            head->request->flags |= HTTP_UPGRADE_ASKED;
        n += comma != NULL;
        text.p += n;
        text.n -= n;
    }
    return HTTP_ERROR_NONE;
}

static enum http_error take_type(struct http_parser *parser)
{
    if (parser->flags & SEEN_TYPE)
        return HTTP_ERROR_DUPLICATE;
    parser->flags |= SEEN_TYPE;
    return HTTP_ERROR_NONE;
}

/* What the server itself does with a field. */
static enum http_error take_field(struct head *head,
                                  const struct http_field *field)
{
    struct bytes value = {head->data.p + field->value_off, field->value_len};

    switch (field->name_id) {
    case HTTP_NAME_CONNECTION:
        return take_connection(head, value);
    case HTTP_NAME_CONTENT_LENGTH:
        return take_length(head->request, value);
    case HTTP_NAME_CONTENT_TYPE:
        return take_type(head->parser);
    case HTTP_NAME_EXPECT:
        return take_expect(head->request, value);
    case HTTP_NAME_HOST:
        return take_host(head->parser, value);
    case HTTP_NAME_TRANSFER_ENCODING:
        return take_coding(head->request, value);
    }
    return HTTP_ERROR_NONE;
}

/*
 * CGI turns '-' into '_', so "X_Real_Ip" would pose as X-Real-Ip; no name in
 * our table has one.
 */
static enum http_error take_name(struct head *head, struct http_field *field)
{
    struct bytes name = {head->data.p + field->name_off, field->name_len};
    uint32_t flags = head->limits->flags;

    field->flags = 0;
    field->name_id = (uint8_t)http_name_find(name);
    if (field->name_id != HTTP_NAME_OTHER || !memchr(name.p, '_', name.n))
        return HTTP_ERROR_NONE;
    if (flags & HTTP_UNDERSCORE_REFUSE)
        return HTTP_ERROR_FIELD_NAME;
    if (!(flags & HTTP_UNDERSCORE_KEEP))
        field->flags = HTTP_FIELD_DROPPED;
    return HTTP_ERROR_NONE;
}

/* Returns the offset of the colon behind the name at start, 0 or -error. */
static int parse_name(struct head *head, size_t start, struct http_field *field)
{
    struct bytes window = head->window;
    size_t pos = head->scan->token(window, start);
    size_t len = pos - start;

    if (head->limits->flags & HTTP_STRIP_NAME_SPACES)
        pos = skip_blanks(window, pos);
    if (pos == window.n)
        return out_of_window(head, HTTP_ERROR_FIELD_LIMIT);
    if (window.p[pos] != ':' || len == 0)
        return -HTTP_ERROR_FIELD_NAME;
    if (len > UINT16_MAX)
        return -HTTP_ERROR_FIELD_LIMIT;
    field->name_off = (uint32_t)start;
    field->name_len = (uint16_t)len;
    return (int)pos;
}

/* Returns the offset of the next line, 0 or -error. */
static int parse_value(struct head *head, size_t start, struct http_span *ret)
{
    struct bytes window = head->window;
    size_t from = skip_blanks(window, start);
    size_t to = head->scan->value(window, from);
    int next;

    if (to >= window.n) /* a folded line may start behind the window */
        return out_of_window(head, HTTP_ERROR_FIELD_LIMIT);
    next = line_end(head, to, HTTP_ERROR_FIELD_VALUE);
    while (to > from && is_blank(window.p[to - 1]))
        to--;
    *ret = span_of(from, to);
    return next;
}

static int parse_field(struct head *head, size_t start)
{
    struct http_parser *parser = head->parser;
    uint32_t fields = head->limits->fields;
    struct http_field *field = head->fields + parser->fields;
    struct http_span value;
    enum http_error error;
    int next;

    if ((fields && parser->fields >= fields) ||
        parser->fields >= head->max_fields)
        return -HTTP_ERROR_FIELDS_LIMIT;
    next = parse_name(head, start, field);
    if (next <= 0)
        return next;
    next = parse_value(head, (size_t)next + 1, &value);
    if (next <= 0)
        return next;
    field->value_off = value.off;
    field->value_len = value.len;
    error = take_name(head, field);
    if (!error)
        error = take_field(head, field);
    if (error)
        return -(int)error;
    parser->fields++;
    return next;
}

/* These were acted upon when their line ended, so they must not go on. */
static bool may_fold(const struct http_field *field)
{
    switch (field->name_id) {
    case HTTP_NAME_CONNECTION:
    case HTTP_NAME_CONTENT_LENGTH:
    case HTTP_NAME_EXPECT:
    case HTTP_NAME_HOST:
    case HTTP_NAME_TRANSFER_ENCODING:
        return false;
    }
    return true;
}

/* The line at start, which begins with a blank, goes on with the last field. */
static int parse_fold(struct head *head, size_t start)
{
    struct http_field *field;
    struct http_span more;
    int next;

    if (head->parser->fields == 0)
        return -HTTP_ERROR_FIELD_NAME;
    field = head->fields + head->parser->fields - 1;
    if (!(head->limits->flags & HTTP_PERMIT_OBS_FOLD) || !may_fold(field))
        return -HTTP_ERROR_OBS_FOLD;
    next = parse_value(head, start, &more);
    if (next <= 0 || more.len == 0)
        return next;
    if (field->value_len == 0) {
        field->value_off = more.off;
        field->value_len = more.len;
        return next;
    }
    field->value_len = more.off + more.len - field->value_off;
    field->flags |= HTTP_FIELD_FOLDED;
    return next;
}

/* RFC 9112 3.2.2: the authority in the target outdoes Host. */
static void replace_host(struct head *head)
{
    for (uint32_t i = 0; i < head->parser->fields; i++) {
        struct http_field *field = head->fields + i;

        if (field->name_id == HTTP_NAME_HOST) {
            field->value_off = head->request->authority.off;
            field->value_len = head->request->authority.len;
        }
    }
}

static int finish(struct head *head, int head_len)
{
    struct http_request *request = head->request;
    uint32_t seen = head->parser->flags;

    if (request->version_minor > 0 && !(seen & SEEN_HOST))
        return -HTTP_ERROR_HOST;
    if (!(seen & SEEN_CLOSE) &&
        (request->version_minor > 0 || (seen & SEEN_KEEP_ALIVE)))
        request->flags |= HTTP_KEEP_ALIVE;
    if (!(request->flags & HTTP_CHUNKED) && request->content_length == 0)
        request->flags &= (uint16_t)~HTTP_EXPECT_100;
    if (request->flags & HTTP_ABSOLUTE)
        replace_host(head);
    request->field_count = head->parser->fields;
    request->head_len = (uint32_t)head_len;
    return head_len;
}

/* Where the field starts that the line at next belongs to. */
static size_t field_start(const struct head *head, size_t next)
{
    uint32_t fields = head->parser->fields;

    if (fields > 0 && is_blank(head->data.p[next]))
        return head->fields[fields - 1].name_off;
    return next;
}

static void open_line(struct head *head)
{
    size_t next = head->parser->next;
    uint32_t limit;

    if (!(head->parser->flags & SEEN_LINE)) {
        limit = head->limits->line_bytes;
        open_window(head, next, limit ? limit : INT32_MAX);
        return;
    }
    limit = head->limits->field_bytes;
    limit = limit == 0 ? INT32_MAX : limit > 2 ? limit - 2 : 0;
    open_window(head, field_start(head, next), limit);
}

/* Returns the offset of the next line, 0 or -error. */
static int parse_line(struct head *head)
{
    size_t next = head->parser->next;
    char c = head->data.p[next];

    open_line(head);
    if (!(head->parser->flags & SEEN_LINE)) {
        /* RFC 9112 2.2: some clients end a body with a CRLF too many. */
        if (c == '\r' && next == 0)
            return line_end(head, next, HTTP_ERROR_REQUEST_LINE);
        return parse_request_line(head, next);
    }
    if (is_blank(c))
        return parse_fold(head, next);
    return parse_field(head, next);
}

/*
 * A line that was there in part is looked at again when its end has come, or
 * too much of it: a peer who sends it byte by byte costs no more than others.
 */
static bool is_due(struct head *head)
{
    uint32_t seen = head->parser->seen;

    if (memchr(head->data.p + seen, '\n', head->data.n - seen))
        return true;
    open_line(head);
    return head->window.n > head->line_max;
}

static int parse_lines(struct head *head)
{
    struct http_parser *parser = head->parser;
    const char *p = head->data.p;
    int next;

    while (parser->next < head->data.n) {
        bool last = (parser->flags & SEEN_LINE) && p[parser->next] == '\r';

        next = last ? line_end(head, parser->next, HTTP_ERROR_FIELD_NAME)
                    : parse_line(head);
        if (next <= 0)
            return next;
        parser->next = (uint32_t)next;
        if (last)
            return finish(head, next);
    }
    return 0;
}

int http_parse(struct http_parser *parser, const struct http_limits *limits,
               struct bytes data, struct http_request *request,
               struct http_field *fields, uint32_t max_fields)
{
    struct head head = {
        .data = data,
        .scan = http_scan_get(),
        .limits = limits,
        .parser = parser,
        .request = request,
        .fields = fields,
        .max_fields = max_fields,
    };
    int result;

    must(data.n <= INT32_MAX && data.n >= parser->seen);
    if (parser->seen == 0)
        *request = (struct http_request){0};
    if (parser->seen > parser->next && !is_due(&head))
        result = 0;
    else
        result = parse_lines(&head);
    if (result == 0)
        parser->seen = (uint32_t)data.n;
    return result;
}

size_t http_unfold(struct bytes value, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] != '\r') {
            out[n++] = value.p[i];
            continue;
        }
        while (n > 0 && is_blank(out[n - 1]))
            n--;
        while (i + 1 < value.n &&
               (value.p[i + 1] == '\n' || is_blank(value.p[i + 1]) ||
                value.p[i + 1] == '\r'))
            i++;
        out[n++] = ' ';
    }
    return n;
}
