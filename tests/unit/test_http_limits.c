/* SPDX-License-Identifier: MIT */
/*
 * Limits of a request head, at the edge and one over it.
 */
#include "http_feed.h"

/* A request with a target, and a field, of given lengths. */
static struct bytes sized(char *out, size_t room, size_t target, size_t value)
{
    size_t n;

    n = (size_t)snprintf(out, room, "GET /");
    memset(out + n, 'a', target - 1);
    n += target - 1;
    n += (size_t)snprintf(out + n, room - n, " " V H "X: ");
    memset(out + n, 'v', value);
    n += value;
    n += (size_t)snprintf(out + n, room - n, "\r\n\r\n");
    return (struct bytes){out, n};
}

static int outcome(const struct http_limits *limits, struct bytes text)
{
    struct parsed parsed;

    parse_all_ways(limits, text, &parsed);
    return parsed.result;
}

static void test_line_limit(void **state)
{
    /* "GET " and " HTTP/1.1" are 13 of the 40 bytes. */
    struct http_limits limits = {.line_bytes = 40};
    char text[400];
    struct bytes whole;

    (void)state;
    whole = sized(text, sizeof(text), 27, 1);
    assert_int_equal(outcome(&limits, whole), whole.n);
    whole = sized(text, sizeof(text), 28, 1);
    assert_int_equal(outcome(&limits, whole), -HTTP_ERROR_LINE_LIMIT);
    /* Refused with the first byte too many, not when the line ends. */
    assert_int_equal(outcome(&limits, (struct bytes){text, 40}), 0);
    assert_int_equal(outcome(&limits, (struct bytes){text, 41}),
                     -HTTP_ERROR_LINE_LIMIT);
    limits.line_bytes = 0;
    assert_int_equal(outcome(&limits, whole), whole.n);
    /* The empty line before it does not count. */
    limits.line_bytes = 14;
    assert_int_equal(outcome(&limits, BYTES("\r\nGET / " V H END)), 29);
    limits.line_bytes = 13;
    assert_int_equal(outcome(&limits, BYTES("\r\nGET / " V H END)),
                     -HTTP_ERROR_LINE_LIMIT);
}

static void test_field_limit(void **state)
{
    /* "X: " and CRLF are 5 of the 50 bytes. */
    struct http_limits limits = {.field_bytes = 50};
    char text[400];
    struct bytes whole;

    (void)state;
    whole = sized(text, sizeof(text), 1, 45);
    assert_int_equal(outcome(&limits, whole), whole.n);
    whole = sized(text, sizeof(text), 1, 46);
    assert_int_equal(outcome(&limits, whole), -HTTP_ERROR_FIELD_LIMIT);
    assert_int_equal(outcome(&limits, (struct bytes){text, 25 + 48}), 0);
    assert_int_equal(outcome(&limits, (struct bytes){text, 25 + 49}),
                     -HTTP_ERROR_FIELD_LIMIT);
    limits.field_bytes = 0;
    assert_int_equal(outcome(&limits, whole), whole.n);
    limits.field_bytes = 12;
    assert_int_equal(outcome(&limits, BYTES(R "X-Very-Long-Na")),
                     -HTTP_ERROR_FIELD_LIMIT);
    assert_int_equal(outcome(&limits, BYTES(R "X:            ")),
                     -HTTP_ERROR_FIELD_LIMIT);
    for (limits.field_bytes = 1; limits.field_bytes < 9; limits.field_bytes++)
        assert_int_equal(outcome(&limits, BYTES(R END)),
                         -HTTP_ERROR_FIELD_LIMIT);
    assert_int_equal(outcome(&limits, BYTES(R END)), 27);
}

/* All lines of a folded field count together. */
static void test_fold_limit(void **state)
{
    struct http_limits limits = {.field_bytes = 14,
                                 .flags = HTTP_PERMIT_OBS_FOLD};
    struct bytes text = BYTES("GET / HTTP/1.0\r\nX: abc\r\n de\r\n\r\n");

    (void)state;
    assert_int_equal(outcome(&limits, text), text.n);
    limits.field_bytes = 12;
    assert_int_equal(outcome(&limits, text), -HTTP_ERROR_FIELD_LIMIT);
    limits.field_bytes = 9;
    assert_int_equal(outcome(&limits, text), -HTTP_ERROR_FIELD_LIMIT);
}

static void test_fields_limit(void **state)
{
    struct http_limits limits = {.fields = 2};
    struct http_parser parser = {0};
    struct bytes two = BYTES(R "X: 1\r\n\r\n");
    struct bytes three = BYTES(R "X: 1\r\nY");
    struct http_request request;
    struct http_field fields[1];

    (void)state;
    assert_int_equal(outcome(&limits, two), two.n);
    assert_int_equal(outcome(&limits, three), -HTTP_ERROR_FIELDS_LIMIT);
    limits.fields = 0;
    assert_int_equal(outcome(&limits, three), 0);
    assert_int_equal(http_parse(&parser, &limits, two, &request, fields, 1),
                     -HTTP_ERROR_FIELDS_LIMIT);
}

/* A name has sixteen bits for its length, however much the caller allows. */
static void test_endless_name(void **state)
{
    static char text[70000];
    struct http_limits limits = {0};
    struct http_parser parser = {0};
    struct parsed parsed;

    (void)state;
    memset(text, 'n', sizeof(text));
    memcpy(text, R, strlen(R));
    text[strlen(R) + UINT16_MAX] = ':';
    parse_whole(&limits, (struct bytes){text, sizeof(text)}, &parsed);
    assert_int_equal(parsed.result, 0);
    memset(text + strlen(R), 'n', sizeof(text) - strlen(R));
    text[strlen(R) + UINT16_MAX + 1] = ':';
    feed(&parser, &limits, (struct bytes){text, sizeof(text)}, sizeof(text),
         &parsed);
    assert_int_equal(parsed.result, -HTTP_ERROR_FIELD_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_limit),
        cmocka_unit_test(test_field_limit),
        cmocka_unit_test(test_fold_limit),
        cmocka_unit_test(test_fields_limit),
        cmocka_unit_test(test_endless_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
