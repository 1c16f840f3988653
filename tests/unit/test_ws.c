/* SPDX-License-Identifier: MIT */
/* WebSocket frames: each rule of RFC 6455, and every way to cut them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/ws.h"

#define WIRE_MAX 200000

/* What a client would send, masked with 1 2 3 4. */
struct wire {
    char bytes[WIRE_MAX];
    size_t n;
};

static void add_head(struct wire *wire, uint8_t first, uint64_t len)
{
    size_t n = ws_head(wire->bytes + wire->n, WS_CONTINUATION, len);

    wire->bytes[wire->n] = (char)first;
    wire->bytes[wire->n + 1] |= (char)0x80;
    wire->n += n;
    memcpy(wire->bytes + wire->n, "\1\2\3\4", 4);
    wire->n += 4;
}

static void add(struct wire *wire, uint8_t first, struct bytes payload)
{
    add_head(wire, first, payload.n);
    for (size_t i = 0; i < payload.n; i++)
        wire->bytes[wire->n++] = (char)(payload.p[i] ^ (char)(1 + i % 4));
}

struct heard {
    char text[WIRE_MAX];
    size_t n;
    int messages;
    int controls;
    enum ws_opcode opcode;
    uint16_t code;
};

/* In pieces of `piece` bytes, into room for `room`. The code, or 0. */
static int hear(const struct wire *wire, size_t piece, size_t room,
                uint64_t max, struct heard *heard)
{
    struct ws_parser parser = {.max_bytes = max};
    size_t used = 0;

    memset(heard, 0, sizeof(*heard));
    while (used < wire->n) {
        struct bytes part = {wire->bytes + used,
                             min_u64(piece, wire->n - used)};
        struct ws_event event;
        int n = ws_next(&parser, part, heard->text + heard->n,
                        min_u64(room, sizeof(heard->text) - heard->n), &event);

        if (n < 0)
            return -n;
        assert_true((size_t)n <= part.n);
        assert_true(n > 0 || event.kind != WS_EVENT_NONE);
        used += (size_t)n;
        if (event.kind == WS_EVENT_DATA) {
            heard->n += event.bytes;
            heard->opcode = event.opcode;
            heard->messages += event.last;
        } else if (event.kind == WS_EVENT_CONTROL) {
            heard->controls++;
            heard->code = event.code;
        }
    }
    return 0;
}

static struct wire wire;
static struct heard heard;

static int hear_all(void)
{
    static const size_t pieces[] = {1, 2, 3, 7, 4096, WIRE_MAX};
    int code = hear(&wire, WIRE_MAX, WIRE_MAX, 0, &heard);

    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        struct heard first = heard;

        assert_int_equal(hear(&wire, pieces[i], pieces[i] + 1, 0, &heard),
                         code);
        if (code == 0) {
            assert_int_equal(first.messages, heard.messages);
            assert_int_equal(first.n, heard.n);
            assert_memory_equal(first.text, heard.text, heard.n);
        }
    }
    return code;
}

static int one(uint8_t first, struct bytes payload)
{
    wire.n = 0;
    add(&wire, first, payload);
    return hear_all();
}

static void test_lengths(void **state)
{
    static const size_t sizes[] = {0, 1, 125, 126, 127, 65535, 65536, 150000};
    static char payload[150000];

    (void)state;
    memset(payload, 'x', sizeof(payload));
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        wire.n = 0;
        add(&wire, 0x82, (struct bytes){payload, sizes[i]});
        assert_int_equal(hear(&wire, 5000, 4096, 0, &heard), 0);
        assert_int_equal(heard.n, sizes[i]);
        assert_int_equal(heard.messages, 1);
        assert_memory_equal(heard.text, payload, sizes[i]);
    }
}

static void test_fragments_with_controls_between(void **state)
{
    (void)state;
    wire.n = 0;
    add(&wire, 0x01, BYTES("frag"));
    add(&wire, 0x89, BYTES("ping"));
    add(&wire, 0x00, BYTES(""));
    add(&wire, 0x8a, BYTES(""));
    add(&wire, 0x80, BYTES("ment"));
    add(&wire, 0x82, BYTES("next"));
    assert_int_equal(hear_all(), 0);
    assert_int_equal(heard.messages, 2);
    assert_int_equal(heard.controls, 2);
    assert_memory_equal(heard.text, "fragmentnext", 12);
}

static void test_what_is_no_protocol(void **state)
{
    static const uint8_t firsts[] = {0xc2, 0xa2, 0x92, 0x83, 0x87, 0x8b,
                                     0x8f, 0x80, 0x00, 0x09, 0x08};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(firsts); i++)
        assert_int_equal(one(firsts[i], BYTES("x")), WS_PROTOCOL_ERROR);
    wire.n = 0; /* a message in a message */
    add(&wire, 0x01, BYTES("a"));
    add(&wire, 0x81, BYTES("b"));
    assert_int_equal(hear_all(), WS_PROTOCOL_ERROR);
    wire.n = 0; /* not masked */
    add(&wire, 0x81, BYTES("a"));
    wire.bytes[1] &= 0x7f;
    assert_int_equal(hear_all(), WS_PROTOCOL_ERROR);
    wire.n = 0; /* a control frame of 126 bytes */
    add_head(&wire, 0x89, 126);
    assert_int_equal(hear_all(), WS_PROTOCOL_ERROR);
    /* Lengths that are longer than they need to be, or absurd. */
    memcpy(wire.bytes, "\x82\xfe\x00\x7d\1\2\3\4", wire.n = 8);
    assert_int_equal(hear_all(), WS_PROTOCOL_ERROR);
    memcpy(wire.bytes, "\x82\xff\0\0\0\0\0\0\xff\xff\1\2\3\4", wire.n = 14);
    assert_int_equal(hear_all(), WS_PROTOCOL_ERROR);
    memcpy(wire.bytes, "\x82\xff\x80\0\0\0\0\0\0\0\1\2\3\4", wire.n = 14);
    assert_int_equal(hear_all(), WS_PROTOCOL_ERROR);
}

static void test_closing(void **state)
{
    static const struct {
        uint16_t code;
        int result;
    } codes[] = {
        {999, WS_PROTOCOL_ERROR},
        {1000, 0},
        {1003, 0},
        {1004, WS_PROTOCOL_ERROR},
        {1005, WS_PROTOCOL_ERROR},
        {1006, WS_PROTOCOL_ERROR},
        {1007, 0},
        {1014, 0},
        {1015, WS_PROTOCOL_ERROR},
        {2999, WS_PROTOCOL_ERROR},
        {3000, 0},
        {4999, 0},
        {5000, WS_PROTOCOL_ERROR},
        {65535, WS_PROTOCOL_ERROR},
    };

    (void)state;
    assert_int_equal(one(0x88, BYTES("")), 0);
    assert_int_equal(heard.code, WS_NO_STATUS);
    assert_int_equal(one(0x88, BYTES("\3")), WS_PROTOCOL_ERROR);
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        char payload[4] = {(char)(codes[i].code >> 8), (char)codes[i].code, 'o',
                           'k'};

        assert_int_equal(one(0x88, (struct bytes){payload, 4}),
                         codes[i].result);
        if (codes[i].result == 0)
            assert_int_equal(heard.code, codes[i].code);
    }
    assert_int_equal(one(0x88, BYTES("\3\xe8\xff")), WS_INVALID_DATA);
    assert_int_equal(one(0x88, BYTES("\3\xe8\xc3")), WS_INVALID_DATA);
}

static void test_utf8(void **state)
{
    static const struct {
        struct bytes text;
        bool valid;
    } cases[] = {
        {BYTES("plain, and more than eight of it"), true},
        {BYTES("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"), true},
        {BYTES("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), true},
        {BYTES("\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"), true},
        {BYTES("\xc2\x80\xdf\xbf\xe0\xa0\x80"), true},
        {BYTES("\xed\xa0\x80"), false},     /* a surrogate */
        {BYTES("\xf4\x90\x80\x80"), false}, /* beyond U+10FFFF */
        {BYTES("\xc0\xaf"), false},         /* overlong */
        {BYTES("\xe0\x80\xaf"), false},
        {BYTES("\xf0\x80\x80\xaf"), false},
        {BYTES("\xf8\x88\x80\x80\x80"), false},
        {BYTES("\x80"), false},
        {BYTES("abcdefghijkl\xff"), false},
        {BYTES("\xce"), false}, /* not complete */
        {BYTES("\xce\xce"), false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(one(0x81, cases[i].text),
                         cases[i].valid ? 0 : WS_INVALID_DATA);
    /* A character may lie across fragments, but not across messages. */
    wire.n = 0;
    add(&wire, 0x01, BYTES("\xce"));
    add(&wire, 0x80, BYTES("\xba"));
    assert_int_equal(hear_all(), 0);
    /* Binary data is not looked at. */
    assert_int_equal(one(0x82, BYTES("\xff\xfe")), 0);
}

static void test_bad_text_is_found_at_once(void **state)
{
    (void)state;
    wire.n = 0;
    add_head(&wire, 0x81, 1000);
    wire.bytes[wire.n++] = (char)(0xff ^ 1);
    assert_int_equal(hear_all(), WS_INVALID_DATA);
}

static void test_limit(void **state)
{
    (void)state;
    wire.n = 0;
    add(&wire, 0x02, BYTES("12345"));
    add(&wire, 0x80, BYTES("67890"));
    assert_int_equal(hear(&wire, 3, 3, 10, &heard), 0);
    assert_int_equal(hear(&wire, 3, 3, 9, &heard), WS_TOO_BIG);
    wire.n = 0; /* told by the head alone */
    add_head(&wire, 0x82, INT64_MAX);
    assert_int_equal(hear(&wire, 20, 20, 1 << 20, &heard), WS_TOO_BIG);
}

static void test_handshake(void **state)
{
    char accept[WS_ACCEPT_LEN];

    (void)state;
    ws_accept(BYTES("dGhlIHNhbXBsZSBub25jZQ=="), accept); /* RFC 6455 1.3 */
    assert_memory_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", WS_ACCEPT_LEN);
    assert_true(ws_key_is_valid(BYTES("dGhlIHNhbXBsZSBub25jZQ==")));
    assert_false(ws_key_is_valid(BYTES("dGhlIHNhbXBsZSBub25jZQ=")));
    assert_false(ws_key_is_valid(BYTES("dGhlIHNhbXBsZSBub25jZQ=a")));
    assert_false(ws_key_is_valid(BYTES("dGhl!HNhbXBsZSBub25jZQ==")));
    assert_false(ws_key_is_valid(BYTES("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_fragments_with_controls_between),
        cmocka_unit_test(test_what_is_no_protocol),
        cmocka_unit_test(test_closing),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_bad_text_is_found_at_once),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_handshake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
