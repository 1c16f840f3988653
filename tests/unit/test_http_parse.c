/* SPDX-License-Identifier: MIT */
/*
 * Request heads: what is taken, what is refused and why.
 */
#include "http_feed.h"

static void assert_span(const char *base, struct http_span span,
                        const char *want)
{
    if (span.len != strlen(want) ||
        memcmp(base + span.off, want, span.len) != 0)
        fail_msg("'%.*s' is not '%s'", (int)span.len, base + span.off, want);
}

struct valid {
    const char *text;
    const char *method;
    const char *path;
    const char *query;
    const char *host; /* value of the Host field in the result, or NULL */
    uint64_t content_length;
    unsigned flags;
    unsigned fields;
    uint32_t permit;
};

#define KA HTTP_KEEP_ALIVE

static const struct valid valid[] = {
    {"GET / " V H END, "GET", "/", "", "a", 0, KA, 1, 0},
    {"\r\nGET / " V H END, "GET", "/", "", "a", 0, KA, 1, 0},
    {"GET / HTTP/1.0\r\n\r\n", "GET", "/", "", NULL, 0, 0, 0, 0},
    {"GET / HTTP/1.9\r\n" H END, "GET", "/", "", "a", 0, KA, 1, 0},
    {"GET /a?b=c?d#e?f#g " V H END, "GET", "/a", "b=c?d", "a", 0, KA, 1, 0},
    {"GET /? " V H END, "GET", "/", "", "a", 0, KA, 1, 0},
    {"GET /#x " V H END, "GET", "/", "", "a", 0, KA, 1, 0},
    {"GET /\xc3\xa9?\xff " V H END, "GET", "/\xc3\xa9", "\xff", "a", 0, KA, 1,
     0},
    {"GET ///x//\"|{}^ " V H END, "GET", "///x//\"|{}^", "", "a", 0, KA, 1, 0},
    {"OPTIONS * " V H END, "OPTIONS", "*", "", "a", 0, KA, 1, 0},
    {"CONNECT b:443 " V H END, "CONNECT", "", "", "a", 0, KA, 1, 0},
    {"CONNECT [::1]:443 " V H END, "CONNECT", "", "", "a", 0, KA, 1, 0},
    {"GET http://b:80/c?d " V H END, "GET", "/c", "d", "b:80", 0,
     KA | HTTP_ABSOLUTE, 1, 0},
    {"GET http://b " V H END, "GET", "", "", "b", 0, KA | HTTP_ABSOLUTE, 1, 0},
    {"GET http://b?x/y " V H END, "GET", "", "x/y", "b", 0, KA | HTTP_ABSOLUTE,
     1, 0},
    {"GET http://[::1]:80/ " V H END, "GET", "/", "", "[::1]:80", 0,
     KA | HTTP_ABSOLUTE, 1, 0},
    {"GET http://b/ HTTP/1.0\r\n\r\n", "GET", "/", "", NULL, 0, HTTP_ABSOLUTE,
     0, 0},
    {"M-SEARCH / " V H END, "M-SEARCH", "/", "", "a", 0, KA, 1, 0},
    {"UPDATEREDIRECTREFABC / " V H END, "UPDATEREDIRECTREFABC", "/", "", "a", 0,
     KA, 1, 0},
    {"get / " V H END, "get", "/", "", "a", 0, KA, 1, HTTP_PERMIT_ANY_METHOD},
    {"get / " V H END, "get", "/", "", "a", 0, KA | HTTP_CASEFOLD, 1,
     HTTP_PERMIT_ANY_METHOD | HTTP_CASEFOLD_METHOD},
    {"G# / " V H END, "G#", "/", "", "a", 0, KA, 1, HTTP_PERMIT_ANY_METHOD},
    {"GET / HTTP/2.0\r\n" H END, "GET", "/", "", "a", 0, KA, 1,
     HTTP_PERMIT_ANY_VERSION},
    {"GET / HTTP/0.9\r\n\r\n", "GET", "/", "", NULL, 0, 0, 0,
     HTTP_PERMIT_ANY_VERSION},
    {"GET / " V "Host:\r\n\r\n", "GET", "/", "", "", 0, KA, 1, 0},
    {"GET / " V "hOST: \t a:8000 \t\r\n\r\n", "GET", "/", "", "a:8000", 0, KA,
     1, 0},
    {"GET / " V "Host: [::1]\r\n\r\n", "GET", "/", "", "[::1]", 0, KA, 1, 0},
    {"GET / " V "Host: [fe80::1%25eth0]:80\r\n\r\n", "GET", "/", "",
     "[fe80::1%25eth0]:80", 0, KA, 1, 0},
    {"GET / " V "Host: [::ffff:1.2.3.4]\r\n\r\n", "GET", "/", "",
     "[::ffff:1.2.3.4]", 0, KA, 1, 0},
    {"GET / " V "Host: [v1F.a:b]\r\n\r\n", "GET", "/", "", "[v1F.a:b]", 0, KA,
     1, 0},
    {"GET / " V "Host: a%41%5b\r\n\r\n", "GET", "/", "", "a%41%5b", 0, KA, 1,
     0},
    {"POST / " V H "Expect: , 100-continue,,100-Continue ,\r\n"
     "Transfer-Encoding: chunked\r\n\r\n",
     "POST", "/", "", "a", 0, KA | HTTP_CHUNKED | HTTP_EXPECT_100, 3, 0},
    {"GET / " V H "Expect:\r\n\r\n", "GET", "/", "", "a", 0, KA, 2, 0},
    {"GET / " V "Host: 0.0.0.0=5000\r\n\r\n", "GET", "/", "", "0.0.0.0=5000", 0,
     KA, 1, 0},
    {"POST / " V H "Content-Length: 0012\r\n\r\n", "POST", "/", "", "a", 12,
     KA | HTTP_HAS_LENGTH, 2, 0},
    {"POST / " V H "Content-Length: 9223372036854775799\r\n\r\n", "POST", "/",
     "", "a", 9223372036854775799, KA | HTTP_HAS_LENGTH, 2, 0},
    {"POST / " V H "Content_Length: 3\r\nContent-Length: 5\r\n\r\n", "POST",
     "/", "", "a", 5, KA | HTTP_HAS_LENGTH | HTTP_FORWARDED, 3, 0},
    {"POST / " V H "Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
     "POST", "/", "", "a", 5, KA | HTTP_HAS_LENGTH | HTTP_FORWARDED, 3, 0},
    {"GET / " V H "X-Forwarded-Ssl: on\r\n\r\n", "GET", "/", "", "a", 0,
     KA | HTTP_FORWARDED, 2, 0},
    {"GET / " V H "forwarded: for=a\r\n\r\n", "GET", "/", "", "a", 0,
     KA | HTTP_FORWARDED, 2, 0},
    {"POST / " V H "Transfer-Encoding: \tChUnKeD \r\n\r\n", "POST", "/", "",
     "a", 0, KA | HTTP_CHUNKED, 2, 0},
    {"POST / " V H "Transfer-Encoding: chunked\r\nExpect: 100-Continue\r\n\r\n",
     "POST", "/", "", "a", 0, KA | HTTP_CHUNKED | HTTP_EXPECT_100, 3, 0},
    {"GET / " V H "Expect: 100-continue\r\n\r\n", "GET", "/", "", "a", 0, KA, 2,
     0},
    {"GET / HTTP/1.0\r\nExpect: else\r\nContent-Length: 1\r\n\r\n", "GET", "/",
     "", NULL, 1, HTTP_HAS_LENGTH, 2, 0},
    {"GET / " V H "Connection: close\r\n\r\n", "GET", "/", "", "a", 0, 0, 2, 0},
    {"GET / " V H "Connection: x , CLOSE ,\r\n\r\n", "GET", "/", "", "a", 0, 0,
     2, 0},
    {"GET / " V H "Connection: keep-alive\r\nConnection: close\r\n\r\n", "GET",
     "/", "", "a", 0, 0, 3, 0},
    {"GET / " V H "Connection: closed\r\n\r\n", "GET", "/", "", "a", 0, KA, 2,
     0},
    {"GET / " V H "Connection: Upgrade, x\r\n\r\n", "GET", "/", "", "a", 0,
     KA | HTTP_UPGRADE_ASKED, 2, 0},
    {"GET / HTTP/1.0\r\nConnection: upgrade\r\n\r\n", "GET", "/", "", NULL, 0,
     0, 1, 0},
    {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET", "/", "", NULL,
     0, KA, 1, 0},
    {"GET / HTTP/1.0\r\nConnection: Keep-Alive, close\r\n\r\n", "GET", "/", "",
     NULL, 0, 0, 1, 0},
    {"GET / " V H "Proxy-Connection: close\r\n\r\n", "GET", "/", "", "a", 0, KA,
     2, 0},
    {"GET / " V "X-A : b\r\n" H END, "GET", "/", "", "a", 0, KA, 2,
     HTTP_STRIP_NAME_SPACES},
    {"GET / " V H "!#$%&'*+-.^`|~09aZ:\x80\xff\t \"\r\n\r\n", "GET", "/", "",
     "a", 0, KA, 2, 0},
};

static void test_valid(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(valid); i++) {
        const struct valid *v = valid + i;
        struct http_limits limits = usual;
        struct parsed parsed;

        limits.flags = v->permit;
        parse_all_ways(&limits, bytes_of(v->text), &parsed);
        if (parsed.result != (int)strlen(v->text))
            fail_msg("%d for: %s", parsed.result, v->text);
        assert_int_equal(parsed.request.head_len, parsed.result);
        assert_span(v->text, parsed.request.method, v->method);
        assert_span(v->text, parsed.request.path, v->path);
        assert_span(v->text, parsed.request.query, v->query);
        assert_int_equal(parsed.request.content_length, v->content_length);
        assert_int_equal(parsed.request.flags, v->flags);
        assert_int_equal(parsed.request.field_count, v->fields);
    }
}

static const struct http_field *find(const struct parsed *parsed,
                                     enum http_name name)
{
    for (uint32_t i = 0; i < parsed->request.field_count; i++) {
        if (parsed->fields[i].name_id == name)
            return parsed->fields + i;
    }
    return NULL;
}

static void test_host(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(valid); i++) {
        const struct valid *v = valid + i;
        const struct http_field *host;
        struct http_limits limits = usual;
        struct parsed parsed;

        limits.flags = v->permit;
        parse_whole(&limits, bytes_of(v->text), &parsed);
        host = find(&parsed, HTTP_NAME_HOST);
        assert_int_equal(host != NULL, v->host != NULL);
        if (host && v->host)
            assert_span(v->text,
                        (struct http_span){host->value_off, host->value_len},
                        v->host);
    }
}

struct invalid {
    enum http_error error;
    const char *text;
    uint32_t permit;
};

#define P "POST / " V H

static const struct invalid invalid[] = {
    {HTTP_ERROR_REQUEST_LINE, "\r\n\r\nGET / " V H END, 0},
    {HTTP_ERROR_REQUEST_LINE, "\nGET / " V H END, 0},
    {HTTP_ERROR_REQUEST_LINE, "\rGET / " V H END, 0},
    {HTTP_ERROR_METHOD, " GET / " V H END, 0},
    {HTTP_ERROR_METHOD, "\x16\x03\x01\n", 0},
    {HTTP_ERROR_METHOD, "get / " V, 0},
    {HTTP_ERROR_METHOD, "GE / " V, 0},
    {HTTP_ERROR_METHOD, "UPDATEREDIRECTREFABCD / " V, 0},
    {HTTP_ERROR_METHOD, "GE#T / " V, 0},
    {HTTP_ERROR_METHOD, "GE:T / " V, 0},
    {HTTP_ERROR_METHOD, "GE\xffT / " V, HTTP_PERMIT_ANY_METHOD},
    {HTTP_ERROR_METHOD, "GET\t/ " V, 0},
    {HTTP_ERROR_REQUEST_LINE, "GET\r\n", 0},
    {HTTP_ERROR_REQUEST_LINE, "GET\n/\nHTTP/1.1\r\n", 0},
    {HTTP_ERROR_REQUEST_LINE, "GET /\r\n", 0},
    {HTTP_ERROR_REQUEST_LINE, "GET HTTP/1.1\r\n", 0},
    {HTTP_ERROR_TARGET, "GET  HTTP/1.1\r\n", 0},
    {HTTP_ERROR_TARGET, "GET  / HTTP/1.1\r\n", 0},
    {HTTP_ERROR_REQUEST_LINE, "GET / b HTTP/1.1\r\n", 0},
    {HTTP_ERROR_REQUEST_LINE, "GET /  HTTP/1.1\r\n", 0},
    {HTTP_ERROR_REQUEST_LINE, "GET / HTTP/1.1 \r\n", 0},
    {HTTP_ERROR_REQUEST_LINE, "GET / HTTP/1.1\n", 0},
    {HTTP_ERROR_REQUEST_LINE, "GET / HTTP/1.1\rX\n", 0},
    {HTTP_ERROR_TARGET, "GET /\tb " V, 0},
    {HTTP_ERROR_TARGET, "GET /a\x01 " V, 0},
    {HTTP_ERROR_TARGET, "GET /a?\x7f " V, 0},
    {HTTP_ERROR_TARGET, "GET /a#\x1b " V, 0},
    {HTTP_ERROR_REQUEST_LINE, "GET /a\rb " V, 0},
    {HTTP_ERROR_REQUEST_LINE, "GET /a?\nb " V, 0},
    {HTTP_ERROR_TARGET, "GET * " V, 0},
    {HTTP_ERROR_TARGET, "OPTIONS ** " V, 0},
    {HTTP_ERROR_TARGET, "GET b:443 " V, 0},
    {HTTP_ERROR_TARGET, "GET a/b " V, 0},
    {HTTP_ERROR_TARGET, "GET ?a " V, 0},
    {HTTP_ERROR_TARGET, "GET http:///a " V, 0},
    {HTTP_ERROR_TARGET, "GET http://:80/a " V, 0},
    {HTTP_ERROR_TARGET, "GET http://u@h/a " V, 0},
    {HTTP_ERROR_TARGET, "GET http://h:8x/a " V, 0},
    {HTTP_ERROR_TARGET, "GET http://[::1/a " V, 0},
    {HTTP_ERROR_TARGET, "GET http://[]/a " V, 0},
    {HTTP_ERROR_TARGET, "GET http:/a " V, 0},
    {HTTP_ERROR_TARGET, "GET ://a " V, 0},
    {HTTP_ERROR_TARGET, "GET 1http://a " V, 0},
    {HTTP_ERROR_TARGET, "GET a!b://a " V, 0},
    {HTTP_ERROR_TARGET, "GET a:// " V, 0},
    {HTTP_ERROR_TARGET, "PUT s://]ufd/: " V, 0},
    {HTTP_ERROR_TARGET, "CONNECT / " V, 0},
    {HTTP_ERROR_TARGET, "CONNECT b " V, 0},
    {HTTP_ERROR_TARGET, "CONNECT b: " V, 0},
    {HTTP_ERROR_TARGET, "CONNECT :443 " V, 0},
    {HTTP_ERROR_TARGET, "CONNECT b:443?x " V, 0},
    {HTTP_ERROR_VERSION, "GET / http/1.1\r\n", 0},
    {HTTP_ERROR_VERSION, "GET / HTTP/1.10\r\n", HTTP_PERMIT_ANY_VERSION},
    {HTTP_ERROR_VERSION, "GET / HTTP/1.\r\n", 0},
    {HTTP_ERROR_VERSION, "GET / HTTP/1\r\n", 0},
    {HTTP_ERROR_VERSION, "GET / HTTP/1,1\r\n", 0},
    {HTTP_ERROR_VERSION, "GET / HTTP/+.1\r\n", 0},
    {HTTP_ERROR_VERSION, "GET / \r\n", 0},
    {HTTP_ERROR_VERSION_UNSUPPORTED, "GET / HTTP/2.0\r\n", 0},
    {HTTP_ERROR_VERSION_UNSUPPORTED, "GET / HTTP/0.9\r\n", 0},
    {HTTP_ERROR_TARGET, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0},
    {HTTP_ERROR_FIELD_NAME, R "X-Test : v\r\n", 0},
    {HTTP_ERROR_FIELD_NAME, R "X-Test\t: v\r\n", 0},
    {HTTP_ERROR_FIELD_NAME, R "X Test: v\r\n", HTTP_STRIP_NAME_SPACES},
    {HTTP_ERROR_FIELD_NAME, R "X-Test\r\n", 0},
    {HTTP_ERROR_FIELD_NAME, R "X-Te\rst: v\r\n", 0},
    {HTTP_ERROR_FIELD_NAME, R ": v\r\n", 0},
    {HTTP_ERROR_FIELD_NAME, R "X\x80: v\r\n", 0},
    {HTTP_ERROR_FIELD_NAME, R "X(: v\r\n", 0},
    {HTTP_ERROR_FIELD_NAME, R "\r:\n", 0},
    {HTTP_ERROR_FIELD_NAME, R "\n", 0},
    {HTTP_ERROR_FIELD_NAME, "GET / " V " X: 1\r\n" H END, 0},
    {HTTP_ERROR_FIELD_VALUE, R "X: a\rb\r\n", 0},
    {HTTP_ERROR_FIELD_VALUE, R "X: a\nb\r\n", 0},
    {HTTP_ERROR_FIELD_VALUE, R "X: a\x7f\r\n", 0},
    {HTTP_ERROR_FIELD_VALUE, R "X: \x1b\r\n", 0},
    {HTTP_ERROR_FIELD_VALUE, R "X:\r\r\n", 0},
    {HTTP_ERROR_OBS_FOLD, R "X: a\r\n b\r\n\r\n", 0},
    {HTTP_ERROR_OBS_FOLD, R "X: a\r\n\t", 0},
    {HTTP_ERROR_OBS_FOLD, P "Content-Length: 1\r\n 2\r\n\r\n",
     HTTP_PERMIT_OBS_FOLD},
    {HTTP_ERROR_CODING, P "Transfer-Encoding:\r\n chunked\r\n\r\n", 0},
    {HTTP_ERROR_CODING, P "Transfer-Encoding:\r\n chunked\r\n\r\n",
     HTTP_PERMIT_OBS_FOLD},
    {HTTP_ERROR_HOST, "GET / " V "X: a\r\n\r\n", 0},
    {HTTP_ERROR_HOST, "GET / " V END, 0},
    {HTTP_ERROR_HOST, R "hOsT: b\r\n", 0},
    {HTTP_ERROR_HOST, R H, 0},
    {HTTP_ERROR_HOST, "GET / " V "Host: a b\r\n", 0},
    {HTTP_ERROR_HOST, "GET / " V "Host: a,b\r\n", 0},
    {HTTP_ERROR_HOST, "GET / " V "Host: a@b\r\n", 0},
    {HTTP_ERROR_HOST, "GET / " V "Host: a/b\r\n", 0},
    {HTTP_ERROR_HOST, "GET / " V "Host: a:b\r\n", 0},
    {HTTP_ERROR_HOST, "GET / " V "Host: a:1:2\r\n", 0},
    {HTTP_ERROR_HOST, "GET / " V "Host: [::1]8\r\n", 0},
    {HTTP_ERROR_HOST, "GET / " V "Host: [\r\n", 0},
    {HTTP_ERROR_HOST, "GET / " V "Host: []\r\n", 0},
    {HTTP_ERROR_HOST, "GET / " V "Host: [zz]\r\n", 0},
    {HTTP_ERROR_HOST, "GET / " V "Host: [1.2.3.4]\r\n", 0},
    {HTTP_ERROR_HOST, "GET / " V "Host: [::1%25]\r\n", 0},
    {HTTP_ERROR_HOST, "GET / " V "Host: [::1%eth0]\r\n", 0},
    {HTTP_ERROR_HOST, "GET / " V "Host: [::1::2]\r\n", 0},
    {HTTP_ERROR_HOST, "GET / " V "Host: [v.a]\r\n", 0},
    {HTTP_ERROR_HOST, "GET / " V "Host: [v1.]\r\n", 0},
    {HTTP_ERROR_HOST, "GET / " V "Host: a%zzb\r\n", 0},
    {HTTP_ERROR_HOST, "GET / " V "Host: a%4\r\n", 0},
    {HTTP_ERROR_HOST, "GET / " V "Host: \xe9\r\n", 0},
    {HTTP_ERROR_HOST, "GET / HTTP/1.0\r\nHost: a b\r\n", 0},
    {HTTP_ERROR_LENGTH, P "Content-Length: \r\n", 0},
    {HTTP_ERROR_LENGTH, P "Content-Length: -1\r\n", 0},
    {HTTP_ERROR_LENGTH, P "Content-Length: +1\r\n", 0},
    {HTTP_ERROR_LENGTH, P "Content-Length: 1_0\r\n", 0},
    {HTTP_ERROR_LENGTH, P "Content-Length: 0x1\r\n", 0},
    {HTTP_ERROR_LENGTH, P "Content-Length: 5 5\r\n", 0},
    {HTTP_ERROR_LENGTH, P "Content-Length: 5, 5\r\n", 0},
    {HTTP_ERROR_LENGTH, P "Content-Length: \xb2\r\n", 0},
    {HTTP_ERROR_LENGTH, P "Content-Length: 5\r\nContent-Length: 5\r\n", 0},
    {HTTP_ERROR_LENGTH, P "Content-Length: 0\r\nContent-Length: 0\r\n", 0},
    {HTTP_ERROR_LENGTH, P "Content-Length: 9223372036854775810\r\n", 0},
    {HTTP_ERROR_LENGTH, P "Content-Length: 18446744073709551616\r\n", 0},
    {HTTP_ERROR_LENGTH, P "Content-Length: 36893488147419103237\r\n", 0},
    {HTTP_ERROR_FRAMING,
     P "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 0},
    {HTTP_ERROR_FRAMING,
     P "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", 0},
    {HTTP_ERROR_CODING, P "Transfer-Encoding: \r\n", 0},
    {HTTP_ERROR_CODING, P "Transfer-Encoding: identity\r\n", 0},
    {HTTP_ERROR_CODING, P "Transfer-Encoding: gzip, chunked\r\n", 0},
    {HTTP_ERROR_CODING, P "Transfer-Encoding: ,chunked\r\n", 0},
    {HTTP_ERROR_CODING_ORDER, P "Transfer-Encoding: chunked, chunked\r\n", 0},
    {HTTP_ERROR_CODING_ORDER, P "Transfer-Encoding: Chunked\t,gzip\r\n", 0},
    {HTTP_ERROR_CODING, P "Transfer-Encoding: chunkedx, gzip\r\n", 0},
    {HTTP_ERROR_CODING, P "Transfer-Encoding: chunked;q=1\r\n", 0},
    {HTTP_ERROR_CODING, P "Transfer-Encoding: chunked\xa0\r\n", 0},
    {HTTP_ERROR_CODING_ORDER,
     P "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 0},
    {HTTP_ERROR_CODING_ORDER,
     P "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", 0},
    {HTTP_ERROR_CODING_VERSION,
     "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", 0},
    {HTTP_ERROR_EXPECTATION, P "Expect: 200-ok\r\n", 0},
    {HTTP_ERROR_EXPECTATION, P "Expect: 100-continue, else\r\n", 0},
    {HTTP_ERROR_EXPECTATION, P "Expect: 100-continue;a=b\r\n", 0},
    {HTTP_ERROR_DUPLICATE, P "Content-Type: a/b\r\ncontent-type: a/b\r\n", 0},
};

/*
 * No case has the end of its head: the line that is wrong is enough. It has to
 * end in LF, since a line that came in pieces is looked at when it is over.
 */
static void test_invalid(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(invalid); i++) {
        const struct invalid *v = invalid + i;
        struct http_limits limits = usual;
        struct parsed parsed;

        limits.flags = v->permit;
        parse_all_ways(&limits, bytes_of(v->text), &parsed);
        if (parsed.result != -(int)v->error)
            fail_msg("%d, not %d for: %s", parsed.result, -(int)v->error,
                     v->text);
    }
}

static void test_nul(void **state)
{
    static const struct {
        struct bytes text;
        enum http_error error;
    } cases[] = {
        {BYTES("GE\0T / " V), HTTP_ERROR_METHOD},
        {BYTES("GET /\0 " V), HTTP_ERROR_TARGET},
        {BYTES("GET /?\0 " V), HTTP_ERROR_TARGET},
        {BYTES("GET /#\0 " V), HTTP_ERROR_TARGET},
        {BYTES("GET / HTTP/1.1\0\r\n"), HTTP_ERROR_REQUEST_LINE},
        {BYTES(R "X\0: a\r\n"), HTTP_ERROR_FIELD_NAME},
        {BYTES(R "X: a\0b\r\n"), HTTP_ERROR_FIELD_VALUE},
        {BYTES(P "Content-Length: 5\0\r\n"), HTTP_ERROR_FIELD_VALUE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct parsed parsed;

        parse_all_ways(&usual, cases[i].text, &parsed);
        assert_int_equal(parsed.result, -(int)cases[i].error);
    }
}

static void test_underscores(void **state)
{
    struct bytes text = BYTES(R "X_A: 1\r\nX-B: 2\r\nX_C: 3\r\n\r\n");
    struct parsed parsed;

    (void)state;
    parse_all_ways(&usual, text, &parsed);
    assert_int_equal(parsed.request.field_count, 4);
    assert_true(parsed.request.flags & HTTP_FORWARDED);
    assert_int_equal(parsed.fields[1].flags, HTTP_FIELD_DROPPED);
    assert_int_equal(parsed.fields[2].flags, 0);
    assert_int_equal(parsed.fields[3].flags, HTTP_FIELD_DROPPED);
}

static void test_folds(void **state)
{
    static const struct {
        const char *lines;
        const char *value;
        unsigned flags;
    } cases[] = {
        {"X: one\r\n two\r\n", "one two", HTTP_FIELD_FOLDED},
        {"X: one \t\r\n\t \t two  \r\n", "one two", HTTP_FIELD_FOLDED},
        {"X:\r\n two\r\n", "two", 0},
        {"X: one\r\n \r\n", "one", 0},
        {"X: one\r\n \r\n two\r\n", "one two", HTTP_FIELD_FOLDED},
        {"X: a\r\n b\r\n c d\r\n", "a b c d", HTTP_FIELD_FOLDED},
    };
    struct http_limits limits = usual;

    (void)state;
    limits.flags = HTTP_PERMIT_OBS_FOLD;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[200];
        char value[200];
        struct parsed parsed;
        size_t n;

        snprintf(text, sizeof(text), "GET / " V "%s" H END, cases[i].lines);
        parse_all_ways(&limits, bytes_of(text), &parsed);
        assert_int_equal(parsed.result, strlen(text));
        assert_int_equal(parsed.request.field_count, 2);
        assert_int_equal(parsed.fields[0].flags, cases[i].flags);
        n = http_unfold((struct bytes){text + parsed.fields[0].value_off,
                                       parsed.fields[0].value_len},
                        value);
        assert_int_equal(n, strlen(cases[i].value));
        assert_memory_equal(value, cases[i].value, n);
    }
}

/* What follows the head is not touched and does not change the result. */
static void test_more_behind(void **state)
{
    struct bytes text = BYTES(R "\r\nGET /b HTTP/1.1\r\n\x00\xff");
    struct parsed parsed;

    (void)state;
    parse_all_ways(&usual, text, &parsed);
    assert_int_equal(parsed.result, 27);
}

/* Lines that are done are not read again: the caller may rely on it. */
static void test_lines_once(void **state)
{
    struct http_parser parser = {0};
    struct parsed parsed;
    char text[] = R "X: 1\r\nY: 2\r\n\r\n";
    size_t n = sizeof(text) - 1;

    (void)state;
    assert_int_equal(
        feed(&parser, &usual, (struct bytes){text, n}, n - 8, &parsed), 0);
    memset(text, '\0', n - 8);
    assert_int_equal(feed(&parser, &usual, (struct bytes){text, n}, n, &parsed),
                     n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),       cmocka_unit_test(test_host),
        cmocka_unit_test(test_invalid),     cmocka_unit_test(test_nul),
        cmocka_unit_test(test_underscores), cmocka_unit_test(test_folds),
        cmocka_unit_test(test_more_behind), cmocka_unit_test(test_lines_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
