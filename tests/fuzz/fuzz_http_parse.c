/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a request head. The first bytes choose limits, flags and how the
 * rest arrives; then the parser must say the same with every scanner, whole and
 * in pieces, and point nowhere outside the head.
 */
#include <stdlib.h>

#include "core/http.h"

#define MAX_FIELDS 40
#define PREFIX 4

struct parsed {
    int result;
    struct http_request request;
    struct http_field fields[MAX_FIELDS];
};

static const char *const scanners[] = {"scalar", "sse4.2", "avx2"};

/* One call with the first n bytes, in a block of exactly that size. */
static void feed(struct http_parser *parser, const struct http_limits *limits,
                 struct bytes text, size_t n, struct parsed *parsed)
{
    char *block = malloc(n ? n : 1);

    must(block);
    if (n)
        memcpy(block, text.p, n);
    parsed->result = http_parse(parser, limits, (struct bytes){block, n},
                                &parsed->request, parsed->fields, MAX_FIELDS);
    free(block);
}

static void check_span(struct bytes head, size_t off, size_t len)
{
    must(off <= head.n && len <= head.n - off);
}

static void check_field(const struct http_limits *limits, struct bytes head,
                        const struct http_field *field)
{
    struct bytes name = {head.p + field->name_off, field->name_len};
    struct bytes value = {head.p + field->value_off, field->value_len};
    char unfolded[4096];

    check_span(head, field->name_off, field->name_len);
    check_span(head, field->value_off, field->value_len);
    must(http_is_token(name));
    must(http_name_find(name) == field->name_id);
    must(value.n < sizeof(unfolded));
    if (field->flags & HTTP_FIELD_FOLDED) {
        must(limits->flags & HTTP_PERMIT_OBS_FOLD);
        value.n = http_unfold(value, unfolded);
        value.p = unfolded;
    }
    must(http_is_value(value));
    must(value.n == 0 || (value.p[0] != ' ' && value.p[0] != '\t'));
    must(value.n == 0 ||
         (value.p[value.n - 1] != ' ' && value.p[value.n - 1] != '\t'));
}

/* What holds for every head that is taken, whatever it says. */
static void check_head(const struct http_limits *limits, struct bytes text,
                       const struct parsed *parsed)
{
    const struct http_request *request = &parsed->request;
    struct bytes head = {text.p, request->head_len};
    unsigned hosts = 0;
    unsigned framings = 0;

    must(head.n == (size_t)parsed->result && head.n <= text.n);
    must(memcmp(head.p + head.n - 4, "\r\n\r\n", 4) == 0);
    check_span(head, request->method.off, request->method.len);
    check_span(head, request->target.off, request->target.len);
    check_span(head, request->path.off, request->path.len);
    check_span(head, request->query.off, request->query.len);
    check_span(head, request->version.off, request->version.len);
    check_span(head, request->authority.off, request->authority.len);
    must(request->target.len > 0 && request->version.len == 8);
    must(http_is_token(
        (struct bytes){head.p + request->method.off, request->method.len}));
    must(request->field_count <= MAX_FIELDS);
    for (uint32_t i = 0; i < request->field_count; i++) {
        check_field(limits, head, parsed->fields + i);
        hosts += parsed->fields[i].name_id == HTTP_NAME_HOST;
        framings += parsed->fields[i].name_id == HTTP_NAME_CONTENT_LENGTH ||
                    parsed->fields[i].name_id == HTTP_NAME_TRANSFER_ENCODING;
    }
    must(hosts <= 1 && (hosts == 1 || request->version_minor == 0));
    must(framings <= 1);
    must(framings == !!(request->flags & (HTTP_CHUNKED | HTTP_HAS_LENGTH)));
}

static void assert_same(const struct parsed *a, const struct parsed *b)
{
    must(a->result == b->result);
    if (a->result <= 0)
        return;
    must(memcmp(&a->request, &b->request, sizeof(a->request)) == 0);
    must(memcmp(a->fields, b->fields,
                a->request.field_count * sizeof(a->fields[0])) == 0);
}

/*
 * In pieces of one to step bytes. A line that came in pieces may be refused
 * only when its LF is there, so "more" is right then.
 */
static void feed_pieces(const struct http_limits *limits, struct bytes text,
                        unsigned step, const struct parsed *whole)
{
    struct http_parser parser = {0};
    struct parsed parsed = {0};
    unsigned state = step;
    size_t n = 0;

    while (n < text.n && parsed.result == 0) {
        state = state * 1103515245 + 12345;
        n = min_u64(text.n, n + 1 + (state >> 16) % step);
        feed(&parser, limits, text, n, &parsed);
    }
    if (parsed.result == 0 && whole->result < 0) {
        must(!memchr(text.p + parser.next, '\n', text.n - parser.next));
        return;
    }
    assert_same(&parsed, whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_limits limits;
    struct parsed whole = {0};
    struct bytes text;

    if (size < PREFIX || size > 2000)
        return 0;
    limits = (struct http_limits){
        .line_bytes = data[0],
        .fields = data[1] & 31,
        .field_bytes = data[1] >> 5 ? (data[1] >> 5) * 25U : 0,
        .flags = data[2] & 0x1f,
    };
    text = (struct bytes){(const char *)data + PREFIX, size - PREFIX};
    for (size_t i = 0; i < ARRAY_SIZE(scanners); i++) {
        struct http_parser parser = {0};
        struct parsed parsed = {0};

        if (http_scan_use(scanners[i]) < 0)
            continue;
        feed(&parser, &limits, text, text.n, &parsed);
        if (i == 0)
            whole = parsed;
        assert_same(&parsed, &whole);
        feed_pieces(&limits, text, 1 + data[3] % 64, &whole);
        /* Byte by byte is slow, and one scanner in turn is enough. */
        if (i == data[3] / 64U % 3 && text.n < 400)
            feed_pieces(&limits, text, 1, &whole);
    }
    if (whole.result > 0)
        check_head(&limits, text, &whole);
    return 0;
}
