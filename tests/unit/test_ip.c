/* SPDX-License-Identifier: MIT */
/* Addresses and ports from text and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "core/ip.h"

static void test_taken(void **state)
{
    static const struct {
        const char *text;
        int family;
        const char *back;
    } cases[] = {
        {"192.0.2.1", AF_INET, "192.0.2.1"},
        {"0.0.0.0", AF_INET, "0.0.0.0"},
        {"255.255.255.255", AF_INET, "255.255.255.255"},
        {"192.0.2.1", AF_INET6, "::ffff:192.0.2.1"},
        {"::ffff:192.0.2.1", AF_INET, "192.0.2.1"},
        {"::ffff:c000:201", AF_INET6, "::ffff:192.0.2.1"},
        {"::", AF_INET6, "::"},
        {"2001:DB8:0:0::1", AF_INET6, "2001:db8::1"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", AF_INET6,
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[IP_TEXT_MAX];
        struct ip ip;

        assert_int_equal(ip_parse(bytes_of(cases[i].text), &ip), 0);
        assert_int_equal(ip_format(&ip, cases[i].family, text),
                         strlen(cases[i].back));
        assert_string_equal(text, cases[i].back);
    }
}

static void test_refused(void **state)
{
    static const struct bytes cases[] = {
        {"", 0},
        {"1", 1},
        {"1.2.3", 5},
        {"1.2.3.4.5", 9},
        {"256.0.2.1", 9},
        {"1.2.3.4 ", 8},
        {" 1.2.3.4", 8},
        {"1.2.3.4\0", 8},
        {"1.2.3.4\0.5", 10},
        {"0x7f.0.0.1", 10},
        {"1.2.3.04", 8},
        {"fe80::1%lo", 10},
        {"[::1]", 5},
        {":::", 3},
        {"1::2::3", 7},
        {"1.2.3.4:80", 10},
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2550", 46},
    };
    struct ip ip;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(ip_parse(cases[i], &ip), -EINVAL);
}

static void test_families(void **state)
{
    static const uint8_t four[4] = {192, 0, 2, 1};
    struct ip six = {{0x20, 0x01, 0x0d, 0xb8}};
    struct ip from_four = ip_from_v4(four);
    struct ip from_six = ip_from_v6(six.byte);
    struct ip mapped;

    (void)state;
    assert_int_equal(ip_parse(BYTES("::ffff:192.0.2.1"), &mapped), 0);
    assert_true(ip_is_v4(&from_four));
    assert_true(ip_equal(&from_four, &mapped));
    assert_false(ip_is_v4(&from_six));
    assert_true(ip_equal(&from_six, &six));
    assert_false(ip_equal(&from_six, &from_four));
    assert_int_equal(ip_parse(BYTES("::192.0.2.1"), &mapped), 0);
    assert_false(ip_is_v4(&mapped));
}

static void test_ports(void **state)
{
    static const char *const bad[] = {"",    "65536", "99999", "100000", "+80",
                                      "-1",  "8_0",   " 80",   "80 ",    "00",
                                      "080", "0x50",  "65iii"};
    uint16_t port = 7;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(ip_parse_port(bytes_of(bad[i]), &port), -EINVAL);
    assert_int_equal(port, 7);
    assert_int_equal(ip_parse_port(BYTES("0"), &port), 0);
    assert_int_equal(port, 0);
    assert_int_equal(ip_parse_port(BYTES("65535"), &port), 0);
    assert_int_equal(port, 65535);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_ports),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
