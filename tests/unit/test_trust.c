/* SPDX-License-Identifier: MIT */
/* Lists of trusted addresses: what is an error, and who is in one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/trust.h"

static bool has(const char *list, const char *text)
{
    struct trust trust;
    struct bytes bad;
    struct ip ip;
    bool result;

    assert_int_equal(trust_parse(&trust, bytes_of(list), &bad), 0);
    assert_int_equal(ip_parse(bytes_of(text), &ip), 0);
    result = trust_has(&trust, &ip);
    trust_done(&trust);
    return result;
}

/* Each of the addresses, which are separated by blanks. */
static void assert_all(const char *list, const char *addresses, bool want)
{
    while (*addresses) {
        char text[64];
        size_t n = strcspn(addresses, " ");

        snprintf(text, sizeof(text), "%.*s", (int)n, addresses);
        assert_int_equal(has(list, text), want);
        addresses += n + (addresses[n] == ' ');
    }
}

static void test_members(void **state)
{
    static const struct {
        const char *list;
        const char *inside; /* separated by blanks */
        const char *outside;
    } cases[] = {
        {"", "", "127.0.0.1 ::1"},
        {" , ,", "", "127.0.0.1"},
        {"*", "127.0.0.1 ::1 8.8.8.8 2001:db8::1", ""},
        {"10.0.0.1,*", "8.8.8.8", ""},
        {"127.0.0.1,::1", "127.0.0.1 ::1 ::ffff:127.0.0.1", "127.0.0.2 ::2"},
        {" 10.0.0.1 ,\t10.0.0.2", "10.0.0.1 10.0.0.2", "10.0.0.3"},
        {"10.0.0.0/8", "10.0.0.0 10.255.255.255", "9.255.255.255 11.0.0.0"},
        {"192.168.4.0/22", "192.168.4.0 192.168.7.255",
         "192.168.3.255 192.168.8.0"},
        {"192.168.4.0/255.255.252.0", "192.168.4.0 192.168.7.255",
         "192.168.3.255 192.168.8.0"},
        {"10.1.2.3/32", "10.1.2.3", "10.1.2.2"},
        {"0.0.0.0/0", "0.0.0.0 255.255.255.255", "::1 2001:db8::1"},
        {"0.0.0.0/0.0.0.0", "8.8.8.8", "::1"},
        {"::/0", "::1 2001:db8::1", "127.0.0.1 ::ffff:127.0.0.1"},
        {"2001:db8::/33", "2001:db8:7fff:: 2001:db8::1", "2001:db8:8000::"},
        {"2001:db8::1/128", "2001:db8::1", "2001:db8::2"},
        {"::ffff:10.0.0.0/104", "10.1.2.3", "11.0.0.0 ::1"},
        {"::ffff:10.0.0.1", "10.0.0.1", "10.0.0.2"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_all(cases[i].list, cases[i].inside, true);
        assert_all(cases[i].list, cases[i].outside, false);
    }
}

static void test_errors(void **state)
{
    static const struct {
        const char *list;
        const char *bad;
    } cases[] = {
        {"localhost", "localhost"},
        {"127.0.0.1, 127.0.0", "127.0.0"},
        {"10.0.0.1/8", "10.0.0.1/8"},
        {"11.0.0.0/7", "11.0.0.0/7"},
        {"2001:db8::1/64 ,::1", "2001:db8::1/64"},
        {"1.2.3.4/33", "1.2.3.4/33"},
        {"1.2.3.4/", "1.2.3.4/"},
        {"1.2.3.4/+8", "1.2.3.4/+8"},
        {"1.2.3.4/032", "1.2.3.4/032"},
        {"::/129", "::/129"},
        {"::/255.0.0.0", "::/255.0.0.0"},
        {"::1/65664", "::1/65664"},
        {"10.0.0.0/255.0.255.0", "10.0.0.0/255.0.255.0"},
        {"10.0.0.0/8/8", "10.0.0.0/8/8"},
        {"/8", "/8"},
        {"**", "**"},
        {"10.0.0.1 10.0.0.2", "10.0.0.1 10.0.0.2"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct trust trust;
        struct bytes bad = {"", 0};

        assert_int_equal(trust_parse(&trust, bytes_of(cases[i].list), &bad),
                         -EINVAL);
        assert_int_equal(bad.n, strlen(cases[i].bad));
        assert_memory_equal(bad.p, cases[i].bad, bad.n);
    }
}

/* Every width, against a network whose bits behind it are all zero. */
static void test_widths(void **state)
{
    (void)state;
    for (unsigned bits = 1; bits <= 32; bits++) {
        uint32_t net = UINT32_MAX << (32 - bits);
        uint32_t out = net ^ 1U << (32 - bits);
        char list[64];
        char inside[64];
        char outside[64];

        snprintf(list, sizeof(list), "%u.%u.%u.%u/%u", net >> 24,
                 net >> 16 & 255, net >> 8 & 255, net & 255, bits);
        snprintf(inside, sizeof(inside), "255.255.255.255");
        snprintf(outside, sizeof(outside), "%u.%u.%u.%u", out >> 24,
                 out >> 16 & 255, out >> 8 & 255, out & 255);
        assert_true(has(list, inside));
        assert_false(has(list, outside));
    }
}

static void test_nobody(void **state)
{
    struct trust trust = {0};
    struct ip ip = {{0}};

    (void)state;
    assert_false(trust_has(&trust, &ip));
    trust_done(&trust);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_widths),
        cmocka_unit_test(test_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
