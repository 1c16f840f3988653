/* SPDX-License-Identifier: MIT */
/*
 * One pass over each line: a scanner runs to the first byte that does not
 * belong to the name, the value or the target, and that byte decides. So the
 * first offence in a line, or the line's limit, is what is reported, whatever
 * pieces the line arrived in.
 */
#include "http_head.h"

/* Parser flags: what has been seen in this head. */
#define SEEN_LINE 0x01
#define SEEN_HOST 0x02
#define SEEN_TYPE 0x04
#define SEEN_CLOSE 0x08
#define SEEN_KEEP_ALIVE 0x10

static struct bytes trim(struct bytes text)
{
    while (text.n > 0 && http_is_blank(text.p[0])) {
        text.p++;
        text.n--;
    }
    while (text.n > 0 && http_is_blank(text.p[text.n - 1]))
        text.n--;
    return text;
}

/* A line begins at start and may have room bytes before its CRLF. */
static void open_window(struct http_head *head, size_t start, size_t room)
{
    head->line_max = start + room;
    head->window.p = head->data.p;
    head->window.n = min_u64(head->data.n, head->line_max + 1);
}

static size_t skip_blanks(struct bytes window, size_t pos)
{
    while (pos < window.n && http_is_blank(window.p[pos]))
        pos++;
    return pos;
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
        if (!http_is_digit(text.p[i]) || value > (INT64_MAX - 9) / 10)
            return HTTP_ERROR_LENGTH;
        value = value * 10 + (uint64_t)(text.p[i] - '0');
    }
    request->content_length = value;
    request->flags |= HTTP_HAS_LENGTH;
    return HTTP_ERROR_NONE;
}

static bool goes_on_after_chunked(struct bytes text)
{
    struct bytes word = BYTES("chunked");
    size_t i = word.n;

    if (text.n <= i || !bytes_equal_nocase((struct bytes){text.p, i}, word))
        return false;
    while (i < text.n && (text.p[i] == ' ' || text.p[i] == '\t'))
        i++;
    return i < text.n && text.p[i] == ',';
}

/*
 * Only "chunked", alone and once. Any other coding would have to be undone
 * here, since WSGI has no word for it. With something after it, nobody knows
 * where the body ends (RFC 9112 6.3).
 */
static enum http_error take_coding(struct http_request *request,
                                   struct bytes text)
{
    if (request->version_minor == 0)
        return HTTP_ERROR_CODING_VERSION;
    if (request->flags & HTTP_HAS_LENGTH)
        return HTTP_ERROR_FRAMING;
    if ((request->flags & HTTP_CHUNKED) || goes_on_after_chunked(text))
        return HTTP_ERROR_CODING_ORDER;
    if (!bytes_equal_nocase(text, BYTES("chunked")))
        return HTTP_ERROR_CODING;
    request->flags |= HTTP_CHUNKED;
    return HTTP_ERROR_NONE;
}

/* Takes the first element off a list; what is empty is to be ignored. */
static struct bytes next_item(struct bytes *list)
{
    const char *comma = memchr(list->p, ',', list->n);
    size_t n = comma ? (size_t)(comma - list->p) : list->n;
    struct bytes item = trim((struct bytes){list->p, n});

    n += comma != NULL;
    list->p += n;
    list->n -= n;
    return item;
}

/* An HTTP/1.0 client does not know the word (RFC 9110 10.1.1). */
static enum http_error take_expect(struct http_request *request,
                                   struct bytes text)
{
    if (request->version_minor == 0)
        return HTTP_ERROR_NONE;
    while (text.n > 0) {
        struct bytes item = next_item(&text);

        if (bytes_equal_nocase(item, BYTES("100-continue")))
            request->flags |= HTTP_EXPECT_100;
        else if (item.n > 0)
            return HTTP_ERROR_EXPECTATION;
    }
    return HTTP_ERROR_NONE;
}

static enum http_error take_host(struct http_parser *parser, struct bytes text)
{
    size_t host_len;

    if ((parser->flags & SEEN_HOST) || !http_line_authority(text, &host_len))
        return HTTP_ERROR_HOST;
    parser->flags |= SEEN_HOST;
    return HTTP_ERROR_NONE;
}

/* A list; several lines add up. What is no option we know is let pass. */
static enum http_error take_connection(struct http_head *head,
                                       struct bytes text)
{
    while (text.n > 0) {
        struct bytes item = next_item(&text);

        if (bytes_equal_nocase(item, BYTES("close")))
            head->parser->flags |= SEEN_CLOSE;
        else if (bytes_equal_nocase(item, BYTES("keep-alive")))
            head->parser->flags |= SEEN_KEEP_ALIVE;
        else if (head->request->version_minor > 0 &&
                 bytes_equal_nocase(item, BYTES("upgrade")))
            head->request->flags |= HTTP_UPGRADE_ASKED;
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
static enum http_error take_field(struct http_head *head,
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
    case HTTP_NAME_FORWARDED:
    case HTTP_NAME_X_FORWARDED_FOR:
    case HTTP_NAME_X_FORWARDED_PROTO:
    case HTTP_NAME_X_FORWARDED_PROTOCOL:
    case HTTP_NAME_X_FORWARDED_SSL:
        head->request->flags |= HTTP_FORWARDED;
        break;
    }
    return HTTP_ERROR_NONE;
}

/*
 * CGI turns '-' into '_', so "X_Real_Ip" would pose as X-Real-Ip; no name in
 * our table has one. Who may use such names is for forwarded_read() to say.
 */
static void take_name(struct http_head *head, struct http_field *field)
{
    struct bytes name = {head->data.p + field->name_off, field->name_len};

    field->flags = 0;
    field->name_id = (uint8_t)http_name_find(name);
    if (field->name_id != HTTP_NAME_OTHER || !memchr(name.p, '_', name.n))
        return;
    field->flags = HTTP_FIELD_DROPPED;
    head->request->flags |= HTTP_FORWARDED;
}

/* Returns the offset of the colon behind the name at start, 0 or -error. */
static int parse_name(struct http_head *head, size_t start,
                      struct http_field *field)
{
    struct bytes window = head->window;
    size_t pos = head->scan->token(window, start);
    size_t len = pos - start;

    if (head->flags & HTTP_STRIP_NAME_SPACES)
        pos = skip_blanks(window, pos);
    if (pos == window.n)
        return http_head_short(head, HTTP_ERROR_FIELD_LIMIT);
    if (window.p[pos] != ':' || len == 0)
        return -HTTP_ERROR_FIELD_NAME;
    if (len > UINT16_MAX)
        return -HTTP_ERROR_FIELD_LIMIT;
    field->name_off = (uint32_t)start;
    field->name_len = (uint16_t)len;
    return (int)pos;
}

/* Returns the offset of the next line, 0 or -error. */
static int parse_value(struct http_head *head, size_t start,
                       struct http_span *ret)
{
    struct bytes window = head->window;
    size_t from = skip_blanks(window, start);
    size_t to = head->scan->value(window, from);
    int next;

    if (to >= window.n) /* a folded line may start behind the window */
        return http_head_short(head, HTTP_ERROR_FIELD_LIMIT);
    next = http_head_line_end(head, to, HTTP_ERROR_FIELD_VALUE);
    while (to > from && http_is_blank(window.p[to - 1]))
        to--;
    *ret = http_head_span(from, to);
    return next;
}

/*
 * The line at start, which may be incomplete. Nothing outside fields[] changes
 * before it is over, so that it can be read again.
 */
static int parse_field(struct http_head *head, size_t start)
{
    struct http_parser *parser = head->parser;
    struct http_field *field = head->fields + parser->fields;
    struct http_span value;
    enum http_error error;
    int next;

    if (parser->fields >= head->max_fields)
        return -HTTP_ERROR_FIELDS_LIMIT;
    open_window(head, start, head->field_room);
    next = parse_name(head, start, field);
    if (next <= 0)
        return next;
    next = parse_value(head, (size_t)next + 1, &value);
    if (next <= 0)
        return next;
    field->value_off = value.off;
    field->value_len = value.len;
    take_name(head, field);
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
static int parse_fold(struct http_head *head, size_t start)
{
    struct http_field *field;
    struct http_span more;
    int next;

    if (head->parser->fields == 0)
        return -HTTP_ERROR_FIELD_NAME;
    field = head->fields + head->parser->fields - 1;
    if (!(head->flags & HTTP_PERMIT_OBS_FOLD) || !may_fold(field))
        return -HTTP_ERROR_OBS_FOLD;
    open_window(head, field->name_off, head->field_room);
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
static void replace_host(struct http_head *head)
{
    for (uint32_t i = 0; i < head->parser->fields; i++) {
        struct http_field *field = head->fields + i;

        if (field->name_id == HTTP_NAME_HOST) {
            field->value_off = head->request->authority.off;
            field->value_len = head->request->authority.len;
        }
    }
}

/* The empty line has come: what can only be told of a whole head. */
static int finish(struct http_head *head, int head_len)
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

/* The request line. Returns the offset of the first field, 0 or -error. */
static int parse_first_line(struct http_head *head)
{
    struct http_parser *parser = head->parser;
    int next;

    /* RFC 9112 2.2: some clients end a body with a CRLF too many. */
    if (parser->next == 0 && head->data.p[0] == '\r') {
        next = http_head_line_end(head, 0, HTTP_ERROR_REQUEST_LINE);
        if (next <= 0)
            return next;
        parser->next = (uint32_t)next;
    }
    open_window(head, parser->next, head->line_room);
    next = http_line_parse(head, parser->next);
    if (next > 0) {
        parser->next = (uint32_t)next;
        parser->flags |= SEEN_LINE;
    }
    return next;
}

/* The lines from parser->next on. Returns the head's length, 0 or -error. */
static int parse_fields(struct http_head *head)
{
    struct http_parser *parser = head->parser;

    while (parser->next < head->data.n) {
        size_t start = parser->next;
        char c = head->data.p[start];
        int next;

        if (c == '\r') {
            next = http_head_line_end(head, start, HTTP_ERROR_FIELD_NAME);
            return next > 0 ? finish(head, next) : next;
        }
        next = http_is_blank(c) ? parse_fold(head, start)
                                : parse_field(head, start);
        if (next <= 0)
            return next;
        parser->next = (uint32_t)next;
    }
    return 0;
}

/*
 * A line that was there in part is looked at again when its end has come, or
 * too much of it: a peer who sends it byte by byte costs no more than others.
 */
static bool is_due(const struct http_head *head)
{
    const struct http_parser *parser = head->parser;
    size_t room = head->line_room;

    if (parser->flags & SEEN_LINE)
        room = head->field_room;
    return head->data.n > parser->next + room ||
           memchr(head->data.p + parser->seen, '\n',
                  head->data.n - parser->seen);
}

static int parse_lines(struct http_head *head)
{
    struct http_parser *parser = head->parser;
    int result;

    if (head->data.n == 0 || (parser->seen > parser->next && !is_due(head)))
        return 0;
    if (!(parser->flags & SEEN_LINE)) {
        result = parse_first_line(head);
        if (result <= 0)
            return result;
    }
    return parse_fields(head);
}

int http_parse(struct http_parser *parser, const struct http_limits *limits,
               struct bytes data, struct http_request *request,
               struct http_field *fields, uint32_t max_fields)
{
    struct http_head head = {
        .data = data,
        .scan = http_scan_get(),
        .flags = limits->flags,
        .parser = parser,
        .request = request,
        .fields = fields,
        .max_fields = max_fields,
        .line_room = limits->line_bytes ? limits->line_bytes : INT32_MAX,
        .field_room = INT32_MAX,
    };
    int result;

    must(data.n <= INT32_MAX && data.n >= parser->seen);
    if (limits->fields && limits->fields < max_fields)
        head.max_fields = limits->fields;
    if (limits->field_bytes)
        head.field_room = max_u64(limits->field_bytes, 2) - 2;
    if (parser->seen == 0)
        *request = (struct http_request){0};
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
        while (n > 0 && http_is_blank(out[n - 1]))
            n--;
        while (i + 1 < value.n &&
               (value.p[i + 1] == '\n' || http_is_blank(value.p[i + 1]) ||
                value.p[i + 1] == '\r'))
            i++;
        out[n++] = ' ';
    }
    return n;
}
