/* SPDX-License-Identifier: MIT */
/* permessage-deflate: what is agreed, and messages there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/ws_out.h"

#define MESSAGE_MAX 300000

static void test_offers(void **state)
{
    static const struct {
        const char *offer;
        const char *answer; /* NULL: declined */
    } rows[] = {
        {"permessage-deflate", "permessage-deflate; server_max_window_bits=12"},
        {" , PerMessage-Deflate ; Server_Max_Window_Bits = \"10\" ",
         "permessage-deflate; server_max_window_bits=10"},
        {"permessage-deflate; client_max_window_bits=15",
         "permessage-deflate; server_max_window_bits=12; "
         "client_max_window_bits=12"},
        {"permessage-deflate; client_max_window_bits=8",
         "permessage-deflate; server_max_window_bits=12; "
         "client_max_window_bits=8"},
        {"x; y=\"a,b;c\", permessage-deflate",
         "permessage-deflate; server_max_window_bits=12"},
        {"permessage-deflate; server_max_window_bits=08", NULL},
        {"permessage-deflate; server_max_window_bits=8", NULL},
        {"permessage-deflate; server_max_window_bits", NULL},
        {"permessage-deflate; client_max_window_bits=\"15", NULL},
        {"permessage-deflate; client_no_context_takeover=0", NULL},
        {"permessage-deflate;", NULL},
        {"permessage-deflate x", NULL},
        {"\"permessage-deflate\"", NULL},
        {"", NULL},
        {";;;", NULL},
    };
    struct ws_agreed agreed;
    char answer[WS_ANSWER_MAX];
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_SIZE(rows); i++) {
        bool taken = ws_offer_choose(bytes_of(rows[i].offer), &agreed);
        size_t n = taken ? ws_offer_answer(&agreed, answer) : 0;

        if (taken != (rows[i].answer != NULL))
            fail_msg("%s was %s", rows[i].offer, taken ? "taken" : "declined");
        if (taken) {
            assert_int_equal(n, strlen(rows[i].answer));
            assert_memory_equal(answer, rows[i].answer, n);
        }
    }
}

/* A WebSocket's two ends: notes on one side, messages on the other. */
struct pair {
    struct ws_zlib *zlib;
    struct ws_out out;
    struct ws_window *window;
    uint32_t window_len;
    char wire[2 * MESSAGE_MAX];
    size_t wire_len;
    char heard[MESSAGE_MAX];
    size_t heard_len;
    uint32_t frames;
};

static void pair_init(struct pair *pair, struct ws_zlib *zlib, bool forgets)
{
    memset(pair, 0, sizeof(*pair));
    pair->zlib = zlib;
    pair->out.agreed = (struct ws_agreed){.deflate = true,
                                          .server_forgets = forgets,
                                          .server_bits = WS_BITS_OURS};
    pair->window = ws_window_get(zlib);
    assert_non_null(pair->window);
}

/* The interpreter's bytes in pieces of random length, into pages of `room`. */
static void say(struct pair *pair, struct bytes text, size_t room)
{
    struct exchange_note note = {.len = (uint32_t)text.n, .kind = 2, .last = 1};
    size_t all = sizeof(note) + text.n;
    char *notes = malloc(all);
    size_t used = 0;

    assert_non_null(notes);
    memcpy(notes, &note, sizeof(note));
    memcpy(notes + sizeof(note), text.p, text.n);
    pair->wire_len = 0;
    while (used < all || ws_out_is_pending(&pair->out)) {
        size_t piece = used < all
                           ? min_u64(all - used, 1 + (size_t)rand() % 20000)
                           : 0;
        struct bytes in = {notes + used, piece};
        size_t made;

        assert_true(pair->wire_len + room <= sizeof(pair->wire));
        assert_int_equal(ws_out_next(pair->zlib, &pair->out, &in,
                                     pair->wire + pair->wire_len, room, &made),
                         WS_OUT_MORE);
        assert_true(made <= room);
        pair->wire_len += made;
        used += piece - in.n;
    }
    assert_false(pair->out.in_message);
    free(notes);
}

/* Takes one frame's payload off the wire. */
static struct bytes next_frame(struct pair *pair, size_t *at, uint8_t *first)
{
    const uint8_t *p = (const uint8_t *)pair->wire + *at;
    size_t head = p[1] < 126 ? 2 : p[1] == 126 ? 4 : 10;
    size_t len = p[1];
    size_t i;

    if (head > 2)
        for (len = 0, i = 2; i < head; i++)
            len = len << 8 | p[i];
    *first = p[0];
    *at += head + len;
    assert_true(*at <= pair->wire_len);
    pair->frames++;
    return (struct bytes){(const char *)p + head, len};
}

static void inflate_all(struct pair *pair, struct ws_inflater *inflater,
                        struct bytes in)
{
    int64_t n;

    do {
        size_t room = 1 + (size_t)rand() % 5000;

        room = min_u64(room, sizeof(pair->heard) - pair->heard_len);
        n = ws_inflate(inflater, &in, pair->heard + pair->heard_len, room);
        assert_true(n >= 0);
        pair->heard_len += (size_t)n;
        if ((size_t)n < room || room == 0)
            break;
    } while (true);
    assert_int_equal(in.n, 0);
}

/* All that is on the wire, which is one message. */
static void hear(struct pair *pair)
{
    struct ws_inflater *inflater = NULL;
    size_t at = 0;
    uint8_t first = 0;

    pair->heard_len = 0;
    pair->frames = 0;
    while (at < pair->wire_len) {
        struct bytes payload = next_frame(pair, &at, &first);

        if (pair->frames == 1 && first & 0x40)
            inflater = ws_inflate_begin(pair->zlib, pair->window,
                                        pair->window_len);
        assert_int_equal(first & 0x0f, pair->frames == 1 ? 2 : 0);
        if (inflater) {
            inflate_all(pair, inflater, payload);
            continue;
        }
        memcpy(pair->heard + pair->heard_len, payload.p, payload.n);
        pair->heard_len += payload.n;
    }
    assert_true(first & 0x80);
    if (!inflater)
        return;
    inflate_all(pair, inflater, (struct bytes){"\0\0\xff\xff", 4});
    assert_true(ws_inflate_is_whole(inflater));
    pair->window_len = ws_inflate_end(pair->zlib, inflater, pair->window,
                                      1U << WS_BITS_OURS);
}

static void fill(char *text, size_t n, int kind)
{
    size_t i;

    for (i = 0; i < n; i++)
        text[i] = (char)(kind == 0   ? 0
                         : kind == 1 ? "abcdefgh"[i * i % 97 % 8]
                                     : rand());
}

static void test_there_and_back(void **state)
{
    static const size_t sizes[] = {0,     1,     WS_COMPRESS_MIN, 1000,  65530,
                                   65536, 65541, MESSAGE_MAX - 1, 12345, 200};
    static char text[MESSAGE_MAX];
    static struct ws_zlib zlib;
    static struct pair pair;
    int forgets;

    (void)state;
    assert_int_equal(ws_zlib_init(&zlib, 4), 0);
    for (forgets = 0; forgets < 2; forgets++) {
        pair_init(&pair, &zlib, forgets);
        for (size_t i = 0; i < 6 * ARRAY_SIZE(sizes); i++) {
            size_t n = sizes[i % ARRAY_SIZE(sizes)];

            fill(text, n, (int)(i / ARRAY_SIZE(sizes)) % 3);
            say(&pair, (struct bytes){text, n},
                i % 2 ? WS_OUT_ROOM_MIN : 131072);
            hear(&pair);
            assert_int_equal(pair.heard_len, n);
            assert_memory_equal(pair.heard, text, n);
        }
        ws_window_put(&zlib, pair.window);
        ws_out_drop(&zlib, &pair.out);
    }
    assert_int_equal(pool_used(&zlib.inflaters), 0);
    assert_int_equal(pool_used(&zlib.deflaters), 0);
    assert_int_equal(pool_used(&zlib.windows), 0);
    ws_zlib_done(&zlib);
}

/* More than there are compressors: they are taken from who is idle. */
static void test_taken_away(void **state)
{
    enum { COUNT = 600 };
    static struct ws_deflater *deflater[COUNT];
    static struct ws_zlib zlib;
    uint32_t kept = 0;
    int i;

    (void)state;
    assert_int_equal(ws_zlib_init(&zlib, COUNT), 0);
    for (i = 0; i < COUNT; i++) {
        assert_true(ws_deflate_begin(&zlib, &deflater[i], 12));
        ws_deflate_end(&zlib, &deflater[i], false);
    }
    for (i = 0; i < COUNT; i++)
        kept += deflater[i] != NULL;
    assert_int_equal(kept, pool_used(&zlib.deflaters));
    assert_true(kept > 0 && kept < COUNT);
    assert_non_null(deflater[COUNT - 1]);
    assert_null(deflater[0]);
    /* In the middle of a message none is. */
    for (i = 0; i < COUNT && ws_deflate_begin(&zlib, &deflater[i], 9); i++)
        continue;
    assert_int_equal(i, kept);
    for (i = 0; i < COUNT; i++)
        ws_deflate_drop(&zlib, &deflater[i]);
    assert_int_equal(pool_used(&zlib.deflaters), 0);
    ws_zlib_done(&zlib);
}

/* What comes out fills the room to its last byte, so it is called again. */
static void test_whole_at_the_end_of_the_room(void **state)
{
    static const char hello[] = "\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff";
    static struct ws_zlib zlib;
    struct bytes in = {hello, sizeof(hello) - 1};
    struct ws_inflater *inflater;
    char to[8];

    (void)state;
    assert_int_equal(ws_zlib_init(&zlib, 1), 0);
    inflater = ws_inflate_begin(&zlib, NULL, 0);
    assert_non_null(inflater);
    assert_int_equal(ws_inflate(inflater, &in, to, 5), 5);
    assert_memory_equal(to, "Hello", 5);
    assert_int_equal(ws_inflate(inflater, &in, to, 5), 0);
    assert_int_equal(ws_inflate(inflater, &in, to, 5), 0);
    assert_true(ws_inflate_is_whole(inflater));
    ws_inflate_end(&zlib, inflater, NULL, 0);
    ws_zlib_done(&zlib);
}

static void test_not_deflated(void **state)
{
    static const struct bytes wrong[] = {
        {"\xff\xff\xff\xff", 4}, /* no such block */
        {"\x4b\0\0\xff\xff", 5}, /* the end is in the middle of one */
        {"\x04\x00\xff\xff", 4}, /* nothing to refer to */
    };
    static struct ws_zlib zlib;
    char to[512];
    size_t i;

    (void)state;
    assert_int_equal(ws_zlib_init(&zlib, 1), 0);
    for (i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct ws_inflater *inflater = ws_inflate_begin(&zlib, NULL, 0);
        struct bytes in = wrong[i];

        assert_non_null(inflater);
        assert_null(ws_inflate_begin(&zlib, NULL, 0)); /* there is but one */
        assert_true(ws_inflate(inflater, &in, to, sizeof(to)) < 0 ||
                    !ws_inflate_is_whole(inflater));
        ws_inflate_end(&zlib, inflater, NULL, 0);
    }
    ws_zlib_done(&zlib);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offers),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_taken_away),
        cmocka_unit_test(test_whole_at_the_end_of_the_room),
        cmocka_unit_test(test_not_deflated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
