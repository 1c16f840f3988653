/* SPDX-License-Identifier: MIT */
/*
 * permessage-deflate with any bytes. The first byte says as what: offers of a
 * client, a compressed message, or what an interpreter wrote. Nothing outside
 * is read or written, rooms are kept to, and the pieces that a message comes
 * in make no difference.
 */
#include <stdlib.h>

#include "core/ws_out.h"

#define OUTPUT_MAX (1U << 20)

static struct ws_zlib zlib;

struct result {
    int code;
    size_t bytes;
    uint64_t sum;
    bool whole;
};

static void offers(struct bytes text)
{
    char answer[WS_ANSWER_MAX];
    struct ws_agreed agreed;

    if (!ws_offer_choose(text, &agreed))
        return;
    must(agreed.server_bits >= WS_BITS_MIN && agreed.server_bits <= 15);
    must(agreed.client_bits >= 8 && agreed.client_bits <= WS_BITS_MAX);
    must(ws_offer_answer(&agreed, answer) <= sizeof(answer));
}

/* One call's worth. False: no more comes of what it has. */
static bool inflate_some(struct ws_inflater *inflater, struct bytes *in,
                         size_t room, struct result *result)
{
    char *to = malloc(room);
    size_t before = in->n;
    int64_t n;

    must(to);
    n = ws_inflate(inflater, in, to, room);
    must(n <= (int64_t)room && in->n <= before);
    for (int64_t i = 0; i < n; i++)
        result->sum = result->sum * 31 + (uint8_t)to[i];
    free(to);
    if (n < 0)
        result->code = (int)-n;
    else
        result->bytes += (size_t)n;
    return n == (int64_t)room && result->bytes < OUTPUT_MAX;
}

static void inflate_piece(struct ws_inflater *inflater, struct bytes piece,
                          size_t room, struct result *result)
{
    char *copy = malloc(piece.n);
    struct bytes in = {copy, piece.n};

    must(copy);
    memcpy(copy, piece.p, piece.n);
    while (inflate_some(inflater, &in, room, result))
        continue;
    must(in.n == 0 || result->code != 0 || result->bytes >= OUTPUT_MAX);
    free(copy);
}

/* Two messages with the same bytes: the second has the first's window. */
static struct result message(struct bytes data, size_t piece, size_t room)
{
    struct ws_window *window = ws_window_get(&zlib);
    struct result result = {0};
    uint32_t len = 0;

    must(window);
    for (int i = 0; i < 2 && !result.code && result.bytes < OUTPUT_MAX; i++) {
        struct ws_inflater *inflater = ws_inflate_begin(&zlib, window, len);

        must(inflater);
        for (size_t at = 0; at < data.n && !result.code; at += piece)
            inflate_piece(
                inflater,
                (struct bytes){data.p + at, min_u64(piece, data.n - at)}, room,
                &result);
        if (!result.code)
            inflate_piece(inflater, (struct bytes){"\0\0\xff\xff", 4}, room,
                          &result);
        result.whole = ws_inflate_is_whole(inflater);
        len = ws_inflate_end(&zlib, inflater, window, WS_WINDOW_BYTES);
        must(len <= WS_WINDOW_BYTES);
    }
    ws_window_put(&zlib, window);
    return result;
}

static void messages(struct bytes data)
{
    struct result whole = message(data, data.n + 1, 4096);
    struct result bits = message(data, 3, 61);

    if (whole.bytes >= OUTPUT_MAX || bits.bytes >= OUTPUT_MAX)
        return;
    must(whole.code == bits.code);
    must(whole.code || (whole.bytes == bits.bytes && whole.sum == bits.sum &&
                        whole.whole == bits.whole));
}

/* What an interpreter wrote, of which the worker believes nothing. */
static void notes(struct bytes data)
{
    struct ws_out out = {.agreed = {.deflate = true, .server_bits = 12}};
    char *copy = malloc(data.n + 1);
    char *to = malloc(WS_OUT_ROOM_MIN);
    struct bytes in = {copy, data.n};
    bool goes_on = true;

    must(copy && to);
    memcpy(copy, data.p, data.n);
    while (goes_on && (in.n > 0 || ws_out_is_pending(&out))) {
        size_t made = 0;

        switch (ws_out_next(&zlib, &out, &in, to, WS_OUT_ROOM_MIN, &made)) {
        case WS_OUT_MORE:
            break;
        case WS_OUT_NOTE:
            goes_on = in.n >= out.left;
            if (!goes_on)
                break;
            in.p += out.left;
            in.n -= out.left;
            out.left = 0;
            ws_out_noted(&out);
            break;
        case WS_OUT_BAD:
            goes_on = false;
            break;
        }
        must(made <= WS_OUT_ROOM_MIN);
    }
    ws_out_drop(&zlib, &out);
    free(copy);
    free(to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static void (*const plays[])(struct bytes) = {messages, notes, offers};
    static bool ready;

    if (!ready)
        must(ws_zlib_init(&zlib, 4) == 0);
    ready = true;
    if (n > 0)
        plays[data[0] % 3]((struct bytes){(const char *)data + 1, n - 1});
    return 0;
}
