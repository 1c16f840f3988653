/* SPDX-License-Identifier: MIT */
/*
 * PROXY protocol headers, each one in every split: what has arrived in part
 * must be waited for, and mean the same in the end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "core/proxy.h"

#define MARK "\r\n\r\n\0\r\nQUIT\n"
#define IP4 "\xc0\x00\x02\x01\xc0\x00\x02\x02\x9c\x40\x00\x50"
#define IP6                                                                    \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\x01\x0d\xb8\0\0\0\0\0\0\0"   \
    "\0\0\0\0\2\xd4\x31\x00\x50"
#define TEXT(literal)                                                          \
    {                                                                          \
        literal, sizeof(literal) - 1                                           \
    }
#define REST "GET / HTTP/1.1\r\n\r\n"

static void assert_told(const struct proxy_info *info, const char *want)
{
    char from[IP_TEXT_MAX] = "";
    char to[IP_TEXT_MAX] = "";
    char text[160] = "";

    if (info->family) {
        ip_format(&info->from, info->family, from);
        ip_format(&info->to, info->family, to);
        snprintf(text, sizeof(text), "%s %u %s %u", from, info->from_port, to,
                 info->to_port);
    }
    assert_string_equal(text, want);
}

struct told {
    struct bytes text; /* without what follows it */
    const char *want;  /* "" when the real peer counts */
    enum proxy_mode mode;
};

static const struct told told[] = {
    {TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 40000 80\r\n"),
     "192.0.2.1 40000 192.0.2.2 80", PROXY_V1},
    {TEXT("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
     "255.255.255.255 65535 255.255.255.255 65535", PROXY_V1},
    {TEXT("PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n"),
     "255.255.255.255 65535 0.0.0.0 0", PROXY_V1},
    {TEXT("PROXY TCP6 2001:db8::1 2001:db8::2 40000 80\r\n"),
     "2001:db8::1 40000 2001:db8::2 80", PROXY_V1},
    {TEXT("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n"),
     "::ffff:192.0.2.1 1 ::1 2", PROXY_V1},
    {TEXT("PROXY UNKNOWN\r\n"), "", PROXY_V1},
    {TEXT("PROXY UNKNOWN \r\n"), "", PROXY_V1},
    {TEXT("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"), "",
     PROXY_V1},
    {TEXT(MARK "\x21\x11\x00\x0c" IP4), "192.0.2.1 40000 192.0.2.2 80",
     PROXY_V2},
    {TEXT(MARK "\x21\x11\x00\x11" IP4 "\x04\x00\x02hi"),
     "192.0.2.1 40000 192.0.2.2 80", PROXY_V2},
    {TEXT(MARK "\x21\x21\x00\x24" IP6), "2001:db8::1 54321 2001:db8::2 80",
     PROXY_V2},
    {TEXT(MARK "\x20\x00\x00\x00"), "", PROXY_V2},
    {TEXT(MARK "\x20\x11\x00\x0c" IP4), "", PROXY_V2},
    {TEXT(MARK "\x20\x99\x00\x03"
               "abc"),
     "", PROXY_V2},
    {TEXT(MARK "\x21\x00\x00\x00"), "", PROXY_V2},
    {TEXT(MARK "\x21\x01\x00\x04"
               "abcd"),
     "", PROXY_V2},
    {TEXT(MARK "\x21\x31\x00\x02"
               "/x"),
     "", PROXY_V2},
};

static void look(const struct told *want, enum proxy_mode mode)
{
    char text[512];
    size_t all = want->text.n + sizeof(REST) - 1;
    struct proxy_info info;
    size_t len;

    memcpy(text, want->text.p, want->text.n);
    memcpy(text + want->text.n, REST, sizeof(REST) - 1);
    for (size_t n = 0; n < want->text.n; n++)
        assert_int_equal(
            proxy_parse(mode, (struct bytes){text, n}, &info, &len), -EAGAIN);
    for (size_t n = want->text.n; n <= all; n++) {
        assert_int_equal(
            proxy_parse(mode, (struct bytes){text, n}, &info, &len), 0);
        assert_int_equal(len, want->text.n);
        assert_told(&info, want->want);
    }
}

static void test_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(told); i++) {
        enum proxy_mode other = told[i].mode == PROXY_V1 ? PROXY_V2 : PROXY_V1;
        struct proxy_info info;
        size_t len = 1;

        look(&told[i], told[i].mode);
        look(&told[i], PROXY_AUTO);
        /* Not looked for: what it is then, is for the HTTP parser to say. */
        assert_int_equal(proxy_parse(other, told[i].text, &info, &len), 0);
        assert_int_equal(len, 0);
        assert_int_equal(proxy_parse(PROXY_OFF, told[i].text, &info, &len), 0);
        assert_int_equal(len, 0);
    }
}

#define LONG_WORD "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void test_broken(void **state)
{
    static const struct bytes cases[] = {
        TEXT("PROXY \r\n"),
        TEXT("PROXY TCP4\r\n"),
        TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 40000\r\n"),
        TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 40000 80 \r\n"),
        TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 40000 80 1\r\n"),
        TEXT("PROXY TCP4  192.0.2.1 192.0.2.2 40000 80\r\n"),
        TEXT("PROXY TCP4\t192.0.2.1 192.0.2.2 40000 80\r\n"),
        TEXT("PROXY tcp4 192.0.2.1 192.0.2.2 40000 80\r\n"),
        TEXT("PROXY UDP4 192.0.2.1 192.0.2.2 40000 80\r\n"),
        TEXT("PROXY UNKNOWNS\r\n"),
        TEXT("PROXY TCP4 256.0.2.1 192.0.2.2 40000 80\r\n"),
        TEXT("PROXY TCP4 192.168.0.1 192.16...\r\n"),
        TEXT("PROXY TCP4 2001:db8::1 2001:db8::2 40000 80\r\n"),
        TEXT("PROXY TCP6 192.0.2.1 192.0.2.2 40000 80\r\n"),
        TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 65536 80\r\n"),
        TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 +80 80\r\n"),
        TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 40000 8_0\r\n"),
        TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 40000 80\n"),
        TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 40000 80\rG"),
        TEXT("PROXY UNKNOWN " LONG_WORD LONG_WORD),
        TEXT("PROXY UNKNOWN " LONG_WORD "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"),
        TEXT(MARK "\x11"),
        TEXT(MARK "\x22"),
        TEXT(MARK "\x2f\x11\x00\x0c" IP4),
        TEXT(MARK "\x21\x12\x00\x0c" IP4),
        TEXT(MARK "\x21\x10\x00\x0c" IP4),
        TEXT(MARK "\x21\x41\x00\x0c" IP4),
        TEXT(MARK "\x21\x11\x00\x0b" IP4),
        TEXT(MARK "\x21\x11\x00\x00"),
        TEXT(MARK "\x21\x21\x00\x0c" IP4),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct proxy_info info;
        size_t len;
        int rc = -EAGAIN;

        for (size_t n = 1; n <= cases[i].n && rc == -EAGAIN; n++)
            rc = proxy_parse(PROXY_AUTO, (struct bytes){cases[i].p, n}, &info,
                             &len);
        assert_int_equal(rc, -EPROTO);
        assert_int_equal(proxy_parse(PROXY_AUTO, cases[i], &info, &len),
                         -EPROTO);
    }
}

/* Told as soon as it differs, not later: a short request must not wait. */
static void test_absent(void **state)
{
    static const char *const cases[] = {
        "G",        "PUT / HTTP/1.1\r\n", "PRI", "\r\nGET / HTTP/1.1\r\n",
        "proxy ",   "PROXYTCP4",          "\n",  "\r\n\r\nG",
        "PROXY\r\n"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct proxy_info info;
        size_t len = 1;

        assert_int_equal(
            proxy_parse(PROXY_AUTO, bytes_of(cases[i]), &info, &len), 0);
        assert_int_equal(len, 0);
        assert_int_equal(info.family, 0);
    }
}

/* The longest: 65535 bytes of extensions. */
static void test_long(void **state)
{
    size_t all = 16 + 65535;
    char *text = calloc(1, all);
    struct proxy_info info;
    size_t len;

    (void)state;
    assert_non_null(text);
    memcpy(text, MARK "\x21\x11\xff\xff" IP4, 28);
    assert_int_equal(
        proxy_parse(PROXY_AUTO, (struct bytes){text, all - 1}, &info, &len),
        -EAGAIN);
    assert_int_equal(
        proxy_parse(PROXY_AUTO, (struct bytes){text, all}, &info, &len), 0);
    assert_int_equal(len, all);
    assert_told(&info, "192.0.2.1 40000 192.0.2.2 80");
    free(text);
}

static void test_modes(void **state)
{
    enum proxy_mode mode = PROXY_OFF;

    (void)state;
    assert_int_equal(proxy_mode_parse("v1", &mode), 0);
    assert_int_equal(mode, PROXY_V1);
    assert_int_equal(proxy_mode_parse("V2", &mode), 0);
    assert_int_equal(mode, PROXY_V2);
    assert_int_equal(proxy_mode_parse("True", &mode), 0);
    assert_int_equal(mode, PROXY_AUTO);
    assert_int_equal(proxy_mode_parse("off", &mode), 0);
    assert_int_equal(mode, PROXY_OFF);
    assert_int_equal(proxy_mode_parse("v3", &mode), -EINVAL);
    assert_int_equal(proxy_mode_parse("", &mode), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_told),   cmocka_unit_test(test_broken),
        cmocka_unit_test(test_absent), cmocka_unit_test(test_long),
        cmocka_unit_test(test_modes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
