/* SPDX-License-Identifier: MIT */
/*
 * http_feed - for the tests of http_parse: one head with each scanner, whole,
 * byte by byte and in every split. Data lies in a block of exactly its size, so
 * the address sanitizer sees a byte read too many.
 */
#ifndef GCORN_TESTS_HTTP_FEED_H
#define GCORN_TESTS_HTTP_FEED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/http.h"

#define V "HTTP/1.1\r\n"
#define H "Host: a\r\n"
#define END "\r\n"
#define R "GET / " V H

#define MAX_FIELDS 128

static const struct http_limits usual = {
    .line_bytes = 4094, .fields = 100, .field_bytes = 8190};

static const char *const scanners[] = {"scalar", "sse4.2", "avx2"};

struct parsed {
    int result;
    struct http_request request;
    struct http_field fields[MAX_FIELDS];
};

/* One call with the first n bytes of text, in a block of their own. */
static inline int feed(struct http_parser *parser,
                       const struct http_limits *limits, struct bytes text,
                       size_t n, struct parsed *parsed)
{
    char *block = malloc(n ? n : 1);

    assert_non_null(block);
    if (n)
        memcpy(block, text.p, n);
    parsed->result = http_parse(parser, limits, (struct bytes){block, n},
                                &parsed->request, parsed->fields, MAX_FIELDS);
    free(block);
    return parsed->result;
}

static inline void parse_whole(const struct http_limits *limits,
                               struct bytes text, struct parsed *parsed)
{
    struct http_parser parser = {0};

    memset(parsed, 0, sizeof(*parsed));
    feed(&parser, limits, text, text.n, parsed);
}

static inline void assert_same(const struct parsed *a, const struct parsed *b,
                               struct bytes text)
{
    if (a->result != b->result)
        fail_msg("%d and %d for: %.*s", a->result, b->result, (int)text.n,
                 text.p);
    if (a->result <= 0)
        return;
    assert_memory_equal(&a->request, &b->request, sizeof(a->request));
    assert_memory_equal(a->fields, b->fields,
                        a->request.field_count * sizeof(a->fields[0]));
}

static inline void assert_every_split(const struct http_limits *limits,
                                      struct bytes text,
                                      const struct parsed *whole)
{
    struct parsed parsed;

    for (size_t at = 0; at <= text.n; at++) {
        struct http_parser parser = {0};

        memset(&parsed, 0, sizeof(parsed));
        if (feed(&parser, limits, text, at, &parsed) == 0)
            feed(&parser, limits, text, text.n, &parsed);
        assert_same(&parsed, whole, text);
    }
}

static inline void assert_bytewise(const struct http_limits *limits,
                                   struct bytes text,
                                   const struct parsed *whole)
{
    struct http_parser parser = {0};
    struct parsed parsed = {0};

    for (size_t n = 0; n <= text.n && parsed.result == 0; n++)
        feed(&parser, limits, text, n, &parsed);
    assert_same(&parsed, whole, text);
}

/* The whole, with what the other ways of feeding and scanning give. */
static inline void parse_all_ways(const struct http_limits *limits,
                                  struct bytes text, struct parsed *whole)
{
    parse_whole(limits, text, whole);
    for (size_t i = 0; i < ARRAY_SIZE(scanners); i++) {
        struct parsed parsed;

        if (http_scan_use(scanners[i]) < 0)
            continue;
        parse_whole(limits, text, &parsed);
        assert_same(&parsed, whole, text);
        assert_bytewise(limits, text, whole);
        assert_every_split(limits, text, whole);
    }
}
#endif
