/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a chunked body, whole and in pieces: the same data, the same
 * verdict, the same end. What is taken is encoded again and must give the same
 * data.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/http.h"
#include "core/http_chunked.h"

#define MAX_SIZE 16384

struct decoded {
    char data[MAX_SIZE];
    size_t n;
    size_t used;
    int error;
    bool done;
};

static void feed(struct http_chunked *chunked, struct bytes piece,
                 struct decoded *decoded)
{
    char *block = malloc(piece.n ? piece.n : 1);
    struct bytes rest = {block, piece.n};

    must(block);
    if (piece.n)
        memcpy(block, piece.p, piece.n);
    while (rest.n > 0 && !chunked->done && !decoded->error) {
        struct bytes data;
        int used = http_chunked_next(chunked, rest, &data);

        if (used < 0) {
            decoded->error = -used;
            break;
        }
        must(used > 0 && (size_t)used <= rest.n);
        must(data.p >= rest.p && data.p + data.n <= rest.p + used);
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
    must(a->error == b->error && a->done == b->done && a->n == b->n);
    must(memcmp(a->data, b->data, a->n) == 0);
    must(a->error || a->used == b->used);
}

static void feed_pieces(struct bytes text, unsigned step,
                        const struct decoded *whole)
{
    static struct decoded decoded;
    struct http_chunked chunked = {0};
    unsigned state = step;
    size_t at = 0;

    memset(&decoded, 0, sizeof(decoded));
    while (at < text.n) {
        size_t n;

        state = state * 1103515245 + 12345;
        n = min_u64(text.n - at, 1 + (state >> 16) % step);
        feed(&chunked, (struct bytes){text.p + at, n}, &decoded);
        at += n;
    }
    assert_same(&decoded, whole);
}

static void decode_again(const struct decoded *whole)
{
    static struct decoded again;
    static char text[MAX_SIZE + 64];
    struct http_chunked chunked = {0};
    int n = 0;

    memset(&again, 0, sizeof(again));
    if (whole->n > 0) {
        n = snprintf(text, sizeof(text), "%zx\r\n", whole->n);
        memcpy(text + n, whole->data, whole->n);
        n += (int)whole->n;
        memcpy(text + n, "\r\n", 2);
        n += 2;
    }
    memcpy(text + n, "0\r\n\r\n", 5);
    feed(&chunked, (struct bytes){text, (size_t)n + 5}, &again);
    must(again.done && again.n == whole->n);
    must(memcmp(again.data, whole->data, again.n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct decoded whole;
    struct http_chunked chunked = {0};
    struct bytes text;

    if (size < 1 || size > MAX_SIZE)
        return 0;
    memset(&whole, 0, sizeof(whole));
    text = (struct bytes){(const char *)data + 1, size - 1};
    feed(&chunked, text, &whole);
    feed_pieces(text, 1 + data[0] % 64, &whole);
    feed_pieces(text, 1, &whole);
    if (whole.done)
        decode_again(&whole);
    return 0;
}
