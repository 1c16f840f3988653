/* SPDX-License-Identifier: MIT */
/*
 * Fields of trusted proxies: whole request heads through the parser, then what
 * forwarded_read() makes of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "core/forwarded.h"

#define FIELDS 80
#define PROTO "X-Forwarded-Proto: "
#define PROTOCOL "X-Forwarded-Protocol: "
#define SSL "X-Forwarded-Ssl: "
#define XFF "X-Forwarded-For: "
#define FWD "Forwarded: "

/* A request with these lines, from a peer; the config trusts 10.0.0.0/8. */
struct asked {
    const char *lines;
    const char *path; /* NULL: "/" */
    const char *peer; /* NULL: a Unix socket */
    bool untrusted;   /* the one at the other end of the socket */
    enum forwarded_map map;
    enum forwarded_client client;
    const char *headers; /* NULL: the default */
};

struct seen {
    enum http_error error;
    struct forwarded forwarded;
    struct http_request request;
    struct http_field fields[FIELDS];
    char head[8192];
};

static struct forwarded_config config_of(const struct asked *asked)
{
    struct forwarded_config config = {
        .headers = bytes_of(asked->headers ? asked->headers
                                           : "SCRIPT_NAME,PATH_INFO"),
        .map = asked->map,
        .client = asked->client,
    };
    struct bytes bad;

    assert_int_equal(
        trust_parse(&config.allow, BYTES("10.0.0.0/8,2001:db8::/32"), &bad), 0);
    return config;
}

static void ask(const struct asked *asked, struct seen *seen)
{
    static const struct http_limits limits = {.flags = HTTP_PERMIT_OBS_FOLD};
    struct forwarded_config config = config_of(asked);
    struct forwarded_peer peer = {.trusted = !asked->untrusted,
                                  .is_ip = asked->peer != NULL};
    struct forwarded_head head = {seen->head, &seen->request, seen->fields};
    struct http_parser parser = {0};
    int n = snprintf(seen->head, sizeof(seen->head),
                     "GET %s?q HTTP/1.1\r\nHost: a\r\n%s\r\n",
                     asked->path ? asked->path : "/", asked->lines);

    assert_int_equal(http_parse(&parser, &limits,
                                (struct bytes){seen->head, (size_t)n},
                                &seen->request, seen->fields, FIELDS),
                     n);
    if (asked->peer)
        assert_int_equal(ip_parse(bytes_of(asked->peer), &peer.ip), 0);
    seen->error = forwarded_read(&config, &peer, &head, &seen->forwarded);
    trust_done(&config.allow);
}

static void test_scheme(void **state)
{
    static const struct {
        const char *lines;
        enum http_error error;
        enum forwarded_scheme scheme;
    } cases[] = {
        {"", 0, FORWARDED_SCHEME_UNKNOWN},
        {PROTO "https\r\n", 0, FORWARDED_SCHEME_HTTPS},
        {PROTO "http\r\n", 0, FORWARDED_SCHEME_HTTP},
        {PROTO "HTTPS\r\n", 0, FORWARDED_SCHEME_HTTP},
        {PROTO "\r\n", 0, FORWARDED_SCHEME_HTTP},
        {PROTOCOL "ssl\r\n", 0, FORWARDED_SCHEME_HTTPS},
        {"X-FORWARDED-PROTOCOL: https\r\n", 0, FORWARDED_SCHEME_HTTP},
        {SSL "on\r\n", 0, FORWARDED_SCHEME_HTTPS},
        {SSL "off\r\n", 0, FORWARDED_SCHEME_HTTP},
        {PROTO "https\r\n" SSL "on\r\n" PROTOCOL "ssl\r\n", 0,
         FORWARDED_SCHEME_HTTPS},
        {PROTO "https\r\n" SSL "off\r\n", HTTP_ERROR_SCHEME, 0},
        {PROTO "http\r\n" SSL "on\r\n", HTTP_ERROR_SCHEME, 0},
        {PROTO "https\r\n" PROTO "http\r\n", HTTP_ERROR_SCHEME, 0},
    };
    struct seen *seen = calloc(1, sizeof(*seen));

    (void)state;
    assert_non_null(seen);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct asked asked = {.lines = cases[i].lines, .peer = "10.0.0.1"};

        ask(&asked, seen);
        assert_int_equal(seen->error, cases[i].error);
        if (!cases[i].error)
            assert_int_equal(seen->forwarded.scheme, cases[i].scheme);
        asked.untrusted = true;
        ask(&asked, seen);
        assert_int_equal(seen->error, HTTP_ERROR_NONE);
        assert_int_equal(seen->forwarded.scheme, FORWARDED_SCHEME_UNKNOWN);
    }
    free(seen);
}

static void test_script_name(void **state)
{
    static const struct {
        const char *path;
        const char *value;
        const char *script_name; /* NULL: refused */
        const char *rest;
    } cases[] = {
        {"/app/x", "/app", "/app", "/x"},
        {"/app/", "/app", "/app", "/"},
        {"/app", "/app", "/app", ""},
        {"/app/x", "/app/", "/app", "/x"},
        {"/x", "/", "", "/x"},
        {"/x", "", "", "/x"},
        {"/a/b/c", "/a/b", "/a/b", "/c"},
        {"/apple", "/app", NULL, NULL},
        {"/ap", "/app", NULL, NULL},
        {"/x", "/app", NULL, NULL},
        {"/App/x", "/app", NULL, NULL},
        {"http://h/app/x", "/app", "/app", "/x"},
        {"http://h", "/app", NULL, NULL},
    };
    struct seen *seen = calloc(1, sizeof(*seen));

    (void)state;
    assert_non_null(seen);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct asked asked = {.path = cases[i].path, .peer = "10.0.0.1"};
        struct http_span script, path;
        char lines[64];

        snprintf(lines, sizeof(lines), "Script_Name: %s\r\n", cases[i].value);
        asked.lines = lines;
        ask(&asked, seen);
        if (!cases[i].rest) {
            assert_int_equal(seen->error, HTTP_ERROR_SCRIPT_NAME);
            continue;
        }
        assert_int_equal(seen->error, HTTP_ERROR_NONE);
        script = seen->forwarded.script_name;
        path = seen->request.path;
        assert_int_equal(script.len, strlen(cases[i].script_name));
        assert_memory_equal(seen->head + script.off, cases[i].script_name,
                            script.len);
        assert_int_equal(path.len, strlen(cases[i].rest));
        assert_memory_equal(seen->head + path.off, cases[i].rest, path.len);
        asked.untrusted = true;
        ask(&asked, seen);
        assert_int_equal(seen->forwarded.script_name.len, 0);
    }
    free(seen);
}

/* Of the fields A_B and C_D (2 and 3; 0 is Host) which are dropped. */
static void test_underscores(void **state)
{
    static const struct {
        enum forwarded_map map;
        const char *headers;
        bool untrusted;
        enum http_error error;
        bool dropped[2];
    } cases[] = {
        {FORWARDED_DROP, NULL, false, 0, {true, true}},
        {FORWARDED_DROP, "X, a_b ,y", false, 0, {false, true}},
        {FORWARDED_DROP, "*", false, 0, {false, false}},
        {FORWARDED_DROP, "A_B,C_D", true, 0, {true, true}},
        {FORWARDED_DROP, "*", true, 0, {true, true}},
        {FORWARDED_REFUSE, NULL, false, HTTP_ERROR_FIELD_NAME, {0}},
        {FORWARDED_REFUSE, "a_b", false, HTTP_ERROR_FIELD_NAME, {0}},
        {FORWARDED_REFUSE, "a_b,c_d", false, 0, {false, false}},
        {FORWARDED_REFUSE, "*", true, HTTP_ERROR_FIELD_NAME, {0}},
        {FORWARDED_DANGEROUS, NULL, true, 0, {false, false}},
        {FORWARDED_DANGEROUS, "", false, 0, {false, false}},
    };
    struct seen *seen = calloc(1, sizeof(*seen));

    (void)state;
    assert_non_null(seen);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct asked asked = {.lines = "X-A: 1\r\nA_b: 2\r\nc_D: 3\r\n",
                              .peer = "10.0.0.1",
                              .map = cases[i].map,
                              .headers = cases[i].headers,
                              .untrusted = cases[i].untrusted};

        ask(&asked, seen);
        assert_int_equal(seen->error, cases[i].error);
        for (size_t n = 0; !cases[i].error && n < 2; n++)
            assert_int_equal(seen->fields[2 + n].flags,
                             cases[i].dropped[n] ? HTTP_FIELD_DROPPED : 0);
    }
    free(seen);
}

/* A dangerous SCRIPT_NAME of a stranger is a field like others, no more. */
static void test_dangerous_script_name(void **state)
{
    struct asked asked = {.lines = "SCRIPT_NAME: /app\r\n",
                          .peer = "192.0.2.1",
                          .map = FORWARDED_DANGEROUS,
                          .untrusted = true};
    struct seen *seen = calloc(1, sizeof(*seen));

    (void)state;
    assert_non_null(seen);
    ask(&asked, seen);
    assert_int_equal(seen->error, HTTP_ERROR_NONE);
    assert_int_equal(seen->forwarded.script_name.len, 0);
    assert_int_equal(seen->fields[1].flags, 0);
    free(seen);
}

#define AUTO FORWARDED_CLIENT_AUTO
#define X FORWARDED_CLIENT_X
#define RFC FORWARDED_CLIENT_RFC

static void test_client(void **state)
{
    static const struct {
        enum forwarded_client client;
        const char *peer;
        const char *lines;
        const char *want; /* "" nobody; "400" */
    } cases[] = {
        {FORWARDED_CLIENT_OFF, "10.0.0.1", XFF "192.0.2.1\r\n", ""},
        {X, "10.0.0.1", XFF "192.0.2.1\r\n", "192.0.2.1"},
        {X, "192.0.2.9", XFF "192.0.2.1\r\n", ""},
        {X, NULL, XFF "192.0.2.1\r\n", "192.0.2.1"},
        {X, "10.0.0.1", XFF "6.6.6.6, 192.0.2.1\r\n", "192.0.2.1"},
        {X, "10.0.0.1", XFF "6.6.6.6, 192.0.2.1, 10.0.0.2\r\n", "192.0.2.1"},
        {X, "10.0.0.1",
         XFF "6.6.6.6\r\n" XFF "192.0.2.1\r\n" XFF "10.1.1.1\r\n", "192.0.2.1"},
        {X, "10.0.0.1", XFF "10.0.0.3,10.0.0.2\r\n", "10.0.0.3"},
        {X, "10.0.0.1", XFF "6.6.6.6, unknown, 10.0.0.2\r\n", "10.0.0.2"},
        {X, "10.0.0.1", XFF "6.6.6.6, junk\r\n", ""},
        {X, "10.0.0.1", XFF " , ,192.0.2.1,,\r\n", "192.0.2.1"},
        {X, "10.0.0.1", XFF "\r\n", ""},
        {X, "10.0.0.1", XFF "192.0.2.1:81\r\n", "192.0.2.1 81"},
        {X, "10.0.0.1", XFF "[2001:db9::1]:81\r\n", "2001:db9::1 81"},
        {X, "10.0.0.1", XFF "2001:db9::1\r\n", "2001:db9::1"},
        {X, "10.0.0.1", XFF "[2001:db9::1]\r\n", "2001:db9::1"},
        {X, "10.0.0.1", XFF "192.0.2.1:\r\n", ""},
        {X, "10.0.0.1", XFF "[192.0.2.1]\r\n", ""},
        {X, "10.0.0.1", XFF "192.0.2.1,\r\n 10.0.0.2\r\n", "192.0.2.1"},
        {X, "10.0.0.1", FWD "for=192.0.2.1\r\n", ""},
        {X, "2001:db8::1", XFF "2001:db9::1, 2001:db8::2\r\n", "2001:db9::1"},
        {X, "::ffff:10.0.0.1", XFF "::ffff:192.0.2.1\r\n", "192.0.2.1"},
        {RFC, "10.0.0.1", FWD "for=192.0.2.1\r\n", "192.0.2.1"},
        {RFC, "10.0.0.1", XFF "192.0.2.1\r\n", ""},
        {RFC, "10.0.0.1", FWD "For=\"192.0.2.1:81\";by=1.2.3.4\r\n",
         "192.0.2.1 81"},
        {RFC, "10.0.0.1", FWD "proto=http ; for=\"[2001:db9::1]:81\"\r\n",
         "2001:db9::1 81"},
        {RFC, "10.0.0.1", FWD "for=\"[2001:db9::1]:_x\"\r\n", "2001:db9::1"},
        {RFC, "10.0.0.1", FWD "for=6.6.6.6, for=192.0.2.1, for=10.0.0.2\r\n",
         "192.0.2.1"},
        {RFC, "10.0.0.1", FWD "for=6.6.6.6\r\n" FWD "for=192.0.2.1\r\n",
         "192.0.2.1"},
        {RFC, "10.0.0.1", FWD "for=6.6.6.6, for=_hidden, for=10.0.0.2\r\n",
         "10.0.0.2"},
        {RFC, "10.0.0.1", FWD "for=6.6.6.6, proto=http\r\n", ""},
        {RFC, "10.0.0.1", FWD "for=\"6.6.6.6, for=192.0.2.1\r\n", ""},
        {RFC, "10.0.0.1", FWD "for=\"6.6.6.6, for=\"192.0.2.1\"\r\n", ""},
        {RFC, "10.0.0.1", FWD "for=\"6.6.6.6\\\r\n", ""},
        {RFC, "10.0.0.1", FWD "for = 192.0.2.1\r\n", ""},
        {RFC, "10.0.0.1", FWD "for=192.0.2.1;\r\n", ""},
        {RFC, "10.0.0.1", FWD "for=2001:db9::1\r\n", ""},
        {RFC, "10.0.0.1", FWD "for=\"a\\\"b\", for=192.0.2.1\r\n", "192.0.2.1"},
        {AUTO, "10.0.0.1", FWD "for=192.0.2.1\r\n", "192.0.2.1"},
        {AUTO, "10.0.0.1", XFF "192.0.2.1\r\n", "192.0.2.1"},
        {AUTO, "10.0.0.1", XFF "192.0.2.1\r\n" FWD "for=\"192.0.2.1:7\"\r\n",
         "192.0.2.1 7"},
        {AUTO, "10.0.0.1", XFF "192.0.2.1\r\n" FWD "for=6.6.6.6\r\n", "400"},
        {AUTO, "10.0.0.1", XFF "192.0.2.1\r\n" FWD "for=unknown\r\n", "400"},
        {AUTO, "192.0.2.9", XFF "192.0.2.1\r\n" FWD "for=6.6.6.6\r\n", ""},
    };
    struct seen *seen = calloc(1, sizeof(*seen));

    (void)state;
    assert_non_null(seen);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct asked asked = {.lines = cases[i].lines,
                              .peer = cases[i].peer,
                              .client = cases[i].client};
        const struct forwarded *told = &seen->forwarded;
        char text[64] = "";
        size_t n = 0;

        ask(&asked, seen);
        if (seen->error == HTTP_ERROR_CLIENT)
            snprintf(text, sizeof(text), "400");
        else if (told->has_client)
            n = ip_format(&told->client,
                          ip_is_v4(&told->client) ? AF_INET : AF_INET6, text);
        if (!seen->error && told->has_port)
            snprintf(text + n, sizeof(text) - n, " %u", told->port);
        assert_string_equal(text, cases[i].want);
    }
    free(seen);
}

/* The scheme is that of the hop whose word on the client is taken. */
static void test_client_scheme(void **state)
{
    static const struct {
        const char *lines;
        enum http_error error;
        enum forwarded_scheme scheme;
    } cases[] = {
        {FWD "for=192.0.2.1;proto=https\r\n", 0, FORWARDED_SCHEME_HTTPS},
        {FWD "for=192.0.2.1;proto=HTTPS, for=10.0.0.2;proto=http\r\n", 0,
         FORWARDED_SCHEME_HTTPS},
        {FWD "for=6.6.6.6;proto=https, for=192.0.2.1;proto=http\r\n", 0,
         FORWARDED_SCHEME_HTTP},
        {FWD "for=192.0.2.1\r\n", 0, FORWARDED_SCHEME_UNKNOWN},
        {FWD "for=192.0.2.1;proto=https\r\n" PROTO "http\r\n",
         HTTP_ERROR_SCHEME, 0},
        {FWD "for=192.0.2.1;proto=https\r\n" PROTO "https\r\n", 0,
         FORWARDED_SCHEME_HTTPS},
    };
    struct seen *seen = calloc(1, sizeof(*seen));

    (void)state;
    assert_non_null(seen);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct asked asked = {
            .lines = cases[i].lines, .peer = "10.0.0.1", .client = AUTO};

        ask(&asked, seen);
        assert_int_equal(seen->error, cases[i].error);
        if (!cases[i].error)
            assert_int_equal(seen->forwarded.scheme, cases[i].scheme);
    }
    free(seen);
}

/* More trusted hops than are looked at: the furthest of those counts. */
static void test_many_hops(void **state)
{
    char lines[4096] = XFF "6.6.6.6";
    struct asked asked = {.lines = lines, .peer = "10.0.0.1", .client = X};
    struct seen *seen = calloc(1, sizeof(*seen));
    char text[IP_TEXT_MAX];

    (void)state;
    assert_non_null(seen);
    for (int i = 0; i < 100; i++)
        snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines),
                 ", 10.0.0.%d", i);
    snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines), "\r\n");
    ask(&asked, seen);
    assert_true(seen->forwarded.has_client);
    ip_format(&seen->forwarded.client, AF_INET, text);
    assert_string_equal(text, "10.0.0.68");
    free(seen);
}

static void test_words(void **state)
{
    enum forwarded_map map = FORWARDED_DROP;
    enum forwarded_client client = FORWARDED_CLIENT_OFF;

    (void)state;
    assert_int_equal(forwarded_map_parse("Refuse", &map), 0);
    assert_int_equal(map, FORWARDED_REFUSE);
    assert_int_equal(forwarded_map_parse("allow", &map), -EINVAL);
    assert_int_equal(forwarded_client_parse("forwarded", &client), 0);
    assert_int_equal(client, FORWARDED_CLIENT_RFC);
    assert_int_equal(forwarded_client_parse("true", &client), 0);
    assert_int_equal(client, FORWARDED_CLIENT_AUTO);
    assert_int_equal(forwarded_client_parse("both", &client), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scheme),
        cmocka_unit_test(test_script_name),
        cmocka_unit_test(test_underscores),
        cmocka_unit_test(test_dangerous_script_name),
        cmocka_unit_test(test_client),
        cmocka_unit_test(test_client_scheme),
        cmocka_unit_test(test_many_hops),
        cmocka_unit_test(test_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
