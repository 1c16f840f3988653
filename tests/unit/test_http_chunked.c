/* SPDX-License-Identifier: MIT */
/*
 * The chunked coding, whole and in every split: same data, same verdict, and
 * nothing taken from what follows the body.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/http.h"
#include "core/http_chunked.h"

struct decoded {
    char data[9000];
    size_t n;
    size_t used;
    int error;
    bool done;
};

/* One piece, in a block of its own, as far as it goes. */
static void feed(struct http_chunked *chunked, struct bytes piece,
                 struct decoded *decoded)
{
    char *block = malloc(piece.n ? piece.n : 1);
    struct bytes rest = {block, piece.n};

    assert_non_null(block);
    if (piece.n)
        memcpy(block, piece.p, piece.n);
    while (rest.n > 0 && !chunked->done && decoded->error == 0) {
        struct bytes data;
        int used = http_chunked_next(chunked, rest, &data);

        if (used < 0) {
            decoded->error = -used;
            break;
        }
        assert_in_range(used, 1, rest.n);
        assert_in_range(decoded->n + data.n, 0, sizeof(decoded->data));
        memcpy(decoded->data + decoded->n, data.p, data.n);
        decoded->n += data.n;
        decoded->used += (size_t)used;
        rest.p += used;
        rest.n -= (size_t)used;
    }
    decoded->done = chunked->done;
    free(block);
}

static void assert_same(const struct decoded *a, const struct decoded *b)
{
    assert_int_equal(a->error, b->error);
    assert_int_equal(a->done, b->done);
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->data, b->data, a->n);
    if (!a->error)
        assert_int_equal(a->used, b->used);
}

static void decode(struct bytes text, struct decoded *whole)
{
    struct http_chunked chunked = {0};

    memset(whole, 0, sizeof(*whole));
    feed(&chunked, text, whole);
    for (size_t at = 0; at <= text.n && text.n < 300; at++) {
        struct decoded split = {0};

        chunked = (struct http_chunked){0};
        feed(&chunked, (struct bytes){text.p, at}, &split);
        feed(&chunked, (struct bytes){text.p + at, text.n - at}, &split);
        assert_same(&split, whole);
    }
    chunked = (struct http_chunked){0};
    for (size_t at = 0; at < text.n; at++) {
        static struct decoded bytewise;

        if (at == 0)
            memset(&bytewise, 0, sizeof(bytewise));
        feed(&chunked, (struct bytes){text.p + at, 1}, &bytewise);
        if (at + 1 == text.n)
            assert_same(&bytewise, whole);
    }
}

#define LAST "0\r\n\r\n"

static void test_valid(void **state)
{
    static const char *const cases[][2] = {
        {LAST, ""},
        {"000\r\n\r\n", ""},
        {"5\r\nhello\r\n" LAST, "hello"},
        {"5\r\nhello\r\n6\r\n world\r\n" LAST, "hello world"},
        {"a\r\n0123456789\r\n" LAST, "0123456789"},
        {"A\r\n0123456789\r\n" LAST, "0123456789"},
        {"0005\r\nhello\r\n" LAST, "hello"},
        {"00000000000000000000000000000000000000005\r\nhello\r\n" LAST,
         "hello"},
        {"c\r\n\r\n0\r\n\r\n5\r\nhe\r\n" LAST, "\r\n0\r\n\r\n5\r\nhe"},
        {"5;a\r\nhello\r\n" LAST, "hello"},
        {"5;a=b\r\nhello\r\n" LAST, "hello"},
        {"5 ; a ; b = c ;d=\"e; \\\"f\\\\ \xff\" ;g\r\nhello\r\n" LAST,
         "hello"},
        {"5;a=\"\"\r\nhello\r\n0;fin=1\r\n\r\n", "hello"},
        {"5\r\nhello\r\n0\r\nVary: *\r\nX-Trailer:\r\nX:\t\xff\r\n\r\n",
         "hello"},
        {"0\r\nX-Transfer-Encoding: a\r\nTransfer-Encodings: b\r\n\r\n", ""},
        {"0\r\nProxy-Authorization-Longer-Than-Kept: a\r\n\r\n", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct decoded whole;

        decode(bytes_of(cases[i][0]), &whole);
        if (whole.error || !whole.done)
            fail_msg("error %d for: %s", whole.error, cases[i][0]);
        assert_int_equal(whole.used, strlen(cases[i][0]));
        assert_int_equal(whole.n, strlen(cases[i][1]));
        assert_memory_equal(whole.data, cases[i][1], whole.n);
    }
}

static void test_invalid(void **state)
{
    static const struct {
        struct bytes text;
        enum http_error error;
    } cases[] = {
        {BYTES("\r\n"), HTTP_ERROR_CHUNK_SIZE},
        {BYTES(";a\r\n"), HTTP_ERROR_CHUNK_SIZE},
        {BYTES(" 5\r\n"), HTTP_ERROR_CHUNK_SIZE},
        {BYTES("5 \r\n"), HTTP_ERROR_CHUNK_SIZE},
        {BYTES("5 5\r\n"), HTTP_ERROR_CHUNK_SIZE},
        {BYTES("5\tx"), HTTP_ERROR_CHUNK_SIZE},
        {BYTES("6_0\r\n"), HTTP_ERROR_CHUNK_SIZE},
        {BYTES("0x5\r\n"), HTTP_ERROR_CHUNK_SIZE},
        {BYTES("+5\r\n"), HTTP_ERROR_CHUNK_SIZE},
        {BYTES("-0\r\n"), HTTP_ERROR_CHUNK_SIZE},
        {BYTES("5.0\r\n"), HTTP_ERROR_CHUNK_SIZE},
        {BYTES("5\0\r\n"), HTTP_ERROR_CHUNK_SIZE},
        {BYTES("5\xa0\r\n"), HTTP_ERROR_CHUNK_SIZE},
        {BYTES("5\nhello"), HTTP_ERROR_CHUNK_SIZE},
        {BYTES("5\r\rhello"), HTTP_ERROR_CHUNK_SIZE},
        {BYTES("five\r\n"), HTTP_ERROR_CHUNK_SIZE},
        {BYTES("8000000000000000\r\n"), HTTP_ERROR_CHUNK_SIZE},
        {BYTES("fffffffffffffffff\r\n"), HTTP_ERROR_CHUNK_SIZE},
        {BYTES("10000000000000005\r\n"), HTTP_ERROR_CHUNK_SIZE},
        {BYTES("5;\r\n"), HTTP_ERROR_CHUNK_EXTENSION},
        {BYTES("5;a=\r\n"), HTTP_ERROR_CHUNK_EXTENSION},
        {BYTES("5;a\n"), HTTP_ERROR_CHUNK_EXTENSION},
        {BYTES("5;a b\r\n"), HTTP_ERROR_CHUNK_EXTENSION},
        {BYTES("5;a \r\n"), HTTP_ERROR_CHUNK_EXTENSION},
        {BYTES("5;a=b=c\r\n"), HTTP_ERROR_CHUNK_EXTENSION},
        {BYTES("5;a=\"b\r\n"), HTTP_ERROR_CHUNK_EXTENSION},
        {BYTES("5;a=\"b\"c\r\n"), HTTP_ERROR_CHUNK_EXTENSION},
        {BYTES("5;a=\"\\\n\"\r\n"), HTTP_ERROR_CHUNK_EXTENSION},
        {BYTES("5;a=\"\0\"\r\n"), HTTP_ERROR_CHUNK_EXTENSION},
        {BYTES("5\r\nhelloXX"), HTTP_ERROR_CHUNK_END},
        {BYTES("5\r\nhello\n"), HTTP_ERROR_CHUNK_END},
        {BYTES("5\r\nhello\r0"), HTTP_ERROR_CHUNK_END},
        {BYTES("3\r\nhello"), HTTP_ERROR_CHUNK_END},
        {BYTES("0\r\n\n"), HTTP_ERROR_TRAILER},
        {BYTES("0\r\n\rX"), HTTP_ERROR_TRAILER},
        {BYTES("0\r\n: a\r\n"), HTTP_ERROR_TRAILER},
        {BYTES("0\r\nX\r\n"), HTTP_ERROR_TRAILER},
        {BYTES("0\r\nX : a\r\n"), HTTP_ERROR_TRAILER},
        {BYTES("0\r\n X: a\r\n"), HTTP_ERROR_TRAILER},
        {BYTES("0\r\nX: a\r\n b\r\n"), HTTP_ERROR_TRAILER},
        {BYTES("0\r\nX: a\nb\r\n"), HTTP_ERROR_TRAILER},
        {BYTES("0\r\nX: a\0\r\n"), HTTP_ERROR_TRAILER},
        {BYTES("0\r\nX: a\r\r\n"), HTTP_ERROR_TRAILER},
        {BYTES("0\r\nhost: a\r\n"), HTTP_ERROR_TRAILER},
        {BYTES("0\r\nX: a\r\nContent-Length: 9\r\n"), HTTP_ERROR_TRAILER},
        {BYTES("0\r\nTransfer-Encoding: chunked\r\n"), HTTP_ERROR_TRAILER},
        {BYTES("0\r\nTrailer: a\r\n"), HTTP_ERROR_TRAILER},
        {BYTES("0\r\nTE: a\r\n"), HTTP_ERROR_TRAILER},
        {BYTES("0\r\nauthorization: a\r\n"), HTTP_ERROR_TRAILER},
        {BYTES("0\r\nProxy-Authorization: a\r\n"), HTTP_ERROR_TRAILER},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct decoded whole;

        decode(cases[i].text, &whole);
        if (whole.error != (int)cases[i].error)
            fail_msg("%d, not %d for: %s", whole.error, (int)cases[i].error,
                     cases[i].text.p);
    }
}

static void test_next_request(void **state)
{
    struct decoded whole;
    struct bytes text = BYTES("1\r\nx\r\n" LAST "GET / HTTP/1.1\r\n");

    (void)state;
    decode(text, &whole);
    assert_true(whole.done);
    assert_int_equal(whole.used, 11);
}

/* A line or trailers of a given length around the limit. */
static void test_limits(void **state)
{
    char text[HTTP_TRAILERS_MAX + 100];
    struct decoded whole;

    (void)state;
    memset(text, 'a', sizeof(text));
    memcpy(text, "0;", 2);
    memcpy(text + HTTP_CHUNK_LINE_MAX - 2, "\r\n\r\n", 4);
    decode((struct bytes){text, HTTP_CHUNK_LINE_MAX + 2}, &whole);
    assert_int_equal(whole.error, 0);
    assert_true(whole.done);
    memset(text, 'a', sizeof(text));
    memcpy(text, "0;", 2);
    decode((struct bytes){text, HTTP_CHUNK_LINE_MAX}, &whole);
    assert_int_equal(whole.error, 0);
    decode((struct bytes){text, HTTP_CHUNK_LINE_MAX + 1}, &whole);
    assert_int_equal(whole.error, HTTP_ERROR_CHUNK_EXTENSION);
    memset(text, '0', sizeof(text));
    decode((struct bytes){text, HTTP_CHUNK_LINE_MAX + 1}, &whole);
    assert_int_equal(whole.error, HTTP_ERROR_CHUNK_SIZE);

    memset(text, 'a', sizeof(text));
    memcpy(text, "0\r\nX:", 5);
    memcpy(text + 3 + HTTP_TRAILERS_MAX - 4, "\r\n\r\n", 4);
    decode((struct bytes){text, 3 + HTTP_TRAILERS_MAX}, &whole);
    assert_int_equal(whole.error, 0);
    assert_true(whole.done);
    memset(text + 10, 'a', sizeof(text) - 10);
    decode((struct bytes){text, 3 + HTTP_TRAILERS_MAX + 1}, &whole);
    assert_int_equal(whole.error, HTTP_ERROR_TRAILER_LIMIT);
}

/* The size line's limit is each line's own. */
static void test_many_chunks(void **state)
{
    char text[6 * 1500 + 5];
    struct decoded whole;

    (void)state;
    for (size_t i = 0; i < 1500; i++)
        memcpy(text + i * 6, "1\r\nx\r\n", 6);
    memcpy(text + 9000, LAST, 5);
    decode((struct bytes){text, sizeof(text)}, &whole);
    assert_true(whole.done);
    assert_int_equal(whole.n, 1500);
}

/* A size near 2^63 is a number like others; only its data does not come. */
static void test_huge_size(void **state)
{
    struct http_chunked chunked = {0};
    struct bytes data;

    (void)state;
    assert_int_equal(
        http_chunked_next(&chunked, BYTES("7fffffffffffffff\r\nabc"), &data),
        21);
    assert_int_equal(data.n, 3);
    assert_int_equal(chunked.left, INT64_MAX - 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),        cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_next_request), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_many_chunks),  cmocka_unit_test(test_huge_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
