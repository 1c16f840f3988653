/* SPDX-License-Identifier: MIT */
/* The access log's lines: whole, bounded, and never what a client wrote. */
#include "core/access_line.h"
#include "core/json_text.h"

#include <stdarg.h>
#include <sys/socket.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

/* A request whose head is in here. */
struct asked {
    char head[16384];
    struct http_field fields[64];
    struct http_request request;
    struct exchange_peer peer;
    struct access_place place;
    struct access_entry entry;
};

static void ask(struct asked *asked, const char *head, size_t len)
{
    static const struct http_limits limits = {0, 64, 0, 0};
    struct http_parser parser = {0};
    int rc;

    memset(asked, 0, sizeof(*asked));
    assert_true(len <= sizeof(asked->head));
    memcpy(asked->head, head, len);
    rc = http_parse(&parser, &limits, (struct bytes){asked->head, len},
                    &asked->request, asked->fields, 64);
    assert_int_equal(rc, (int)len);
    asked->peer =
        (struct exchange_peer){.family = AF_INET, .port = 4000, .addr_len = 9};
    memcpy(asked->peer.addr, "127.0.0.1", 9);
    asked->place = (struct access_place){.worker = 3, .node = 1, .cpus = "6"};
    asked->entry = (struct access_entry){
        .request = &asked->request,
        .head = asked->head,
        .fields = asked->fields,
        .peer = &asked->peer,
        .proxy = &asked->peer,
        .place = &asked->place,
        .status = 200,
        .bytes = 5,
        .pid = 77,
        .connection = 9,
        .number = 2,
        .queue_ns = 1500,
        .app_ns = 2500,
        .cpu_ns = 3500,
        .bytes_in = 40,
    };
}

static const char *line_of(struct asked *asked, const char *format)
{
    static char text[ACCESS_LINE_BYTES + 1];
    struct access_format it;
    size_t n;

    assert_int_equal(access_format_init(&it, format), 0);
    n = access_line(&it, &asked->entry, text, ACCESS_LINE_BYTES);
    access_format_done(&it);
    assert_true(n > 0 && n <= ACCESS_LINE_BYTES && text[n - 1] == '\n');
    text[n - 1] = '\0';
    return text;
}

#define ASK(asked, text) ask(asked, text, sizeof(text) - 1)

static void test_own_atoms(void **state)
{
    struct asked asked;

    (void)state;
    ASK(&asked, "GET / HTTP/1.1\r\nHost: x\r\nX-Request-ID: r-1\r\n\r\n");
    assert_string_equal(line_of(&asked, "%(worker)s %(interpreter)s %(cpu)s "
                                        "%(node)s %(queue)s %(app)s "
                                        "%(cpu_time)s %(bytes_in)s"),
                        "3 77 6 1 1 2 3 40");
    assert_string_equal(line_of(&asked, "%(request_id)s %(peer)s "
                                        "%(connection)s "
                                        "%(connection_requests)s %(tls)s"),
                        "r-1 127.0.0.1:4000 9 2 -");
    asked.entry.pid = 0;
    asked.entry.cpu_ns = 0;
    assert_string_equal(line_of(&asked, "%(interpreter)s%(queue)s%(app)s"
                                        "%(cpu_time)s%(nonsense)s%(worker)4s|"),
                        "-----   3|");
}

static void test_made_request_ids_differ(void **state)
{
    struct asked asked;
    char first[200];

    (void)state;
    ASK(&asked, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    snprintf(first, sizeof(first), "%.199s", line_of(&asked, "%(request_id)s"));
    assert_true(strlen(first) > 10);
    asked.entry.number++;
    assert_string_not_equal(first, line_of(&asked, "%(request_id)s"));
}

static void test_broken_formats(void **state)
{
    static const char *const broken[] = {"%", "%(h", "%(h)", "%(h)y", "%h"};
    struct access_format format;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(broken); i++)
        assert_int_equal(access_format_init(&format, broken[i]), -EINVAL);
}

static json_t *object_of(struct asked *asked, size_t max)
{
    static char text[ACCESS_LINE_BYTES];
    size_t n = access_json(&asked->entry, text, max);
    json_t *object;

    assert_true(n <= max && text[n - 1] == '\n');
    assert_null(memchr(text, '\n', n - 1));
    object = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(object);
    return object;
}

static void test_json(void **state)
{
    struct asked asked;
    const char *url, *agent, *id, *referrer;
    json_int_t queue, status;
    json_t *object;

    (void)state;
    ASK(&asked, "GET /a%20b?q=\"1\" HTTP/1.1\r\nHost: x\r\nUser-Agent: "
                "caf\xc3\xa9 \xff\\"
                "\r\nReferer: \"},{\"\r\nX-Request-ID: r\r\n\r\n");
    object = object_of(&asked, 4096);
    assert_int_equal(
        json_unpack(
            object, "{s:{s:s}, s:{s:s}, s:{s:{s:s, s:s}, s:{s:I}}, s:{s:I}}",
            "url", "original", &url, "user_agent", "original", &agent, "http",
            "request", "id", &id, "referrer", &referrer, "response",
            "status_code", &status, "gcorn", "queue", &queue),
        0);
    assert_string_equal(url, "/a%20b?q=\"1\"");
    assert_string_equal(agent, "caf\xc3\xa9 \xc3\xbf\\");
    assert_string_equal(referrer, "\"},{\"");
    assert_string_equal(id, "r");
    assert_int_equal(status, 200);
    assert_int_equal(queue, 1500);
    json_decref(object);
}

/* Whatever is how long: the object stays whole. */
static void test_json_of_much(void **state)
{
    char head[16384];
    struct asked asked;
    size_t n;

    (void)state;
    n = (size_t)snprintf(head, sizeof(head), "GET /");
    memset(head + n, 0xff, 3000);
    n += 3000;
    head[n++] = '?';
    memset(head + n, '"', 3000);
    n += 3000;
    n += (size_t)snprintf(head + n, sizeof(head) - n,
                          " HTTP/1.1\r\nHost: x\r\nAuthorization: Basic "
                          "//////////////////////////////////////////////////"
                          "//////////////////////////////////////////////8=\r\n"
                          "User-Agent: ");
    memset(head + n, 0x80, 4000);
    n += 4000;
    n += (size_t)snprintf(head + n, sizeof(head) - n, "\r\nReferer: ");
    memset(head + n, '\\', 4000);
    n += 4000;
    n += (size_t)snprintf(head + n, sizeof(head) - n, "\r\n\r\n");
    ask(&asked, head, n);
    asked.entry.bytes = asked.entry.duration_ns = INT64_MAX;
    asked.entry.queue_ns = asked.entry.app_ns = INT64_MAX;
    asked.entry.cpu_ns = asked.entry.connection = INT64_MAX;
    asked.entry.bytes_in = INT64_MAX;
    asked.peer.addr_len = sizeof(asked.peer.addr);
    memset(asked.peer.addr, 'f', sizeof(asked.peer.addr));
    memset(asked.place.cpus, '6', sizeof(asked.place.cpus) - 1);
    json_decref(object_of(&asked, 4096));
    json_decref(object_of(&asked, ACCESS_LINE_BYTES));
    line_of(&asked, ACCESS_LOG_DEFAULT);
}

static void test_json_strings(void **state)
{
    static const struct {
        const char *text;
        const char *inside;
    } cases[] = {
        {"a\"b\\c", "a\\\"b\\\\c"},
        {"\n\x7f\x01", "\\u000a\\u007f\\u0001"},
        {"\xe2\x82\xac", "\xe2\x82\xac"},
        {"\xe2\x82", "\\u00e2\\u0082"},
        {"\xc0\x80", "\\u00c0\\u0080"},
        {"\xed\xa0\x80", "\\u00ed\\u00a0\\u0080"},
        {"\xf4\x90\x80\x80", "\\u00f4\\u0090\\u0080\\u0080"},
        {"\xf0\x9f\x90\x8d", "\xf0\x9f\x90\x8d"},
    };
    char out[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        size_t n = json_text(out, sizeof(out), bytes_of(cases[i].text));

        assert_int_equal(n, strlen(cases[i].inside));
        assert_memory_equal(out, cases[i].inside, n);
    }
    /* No half of an escape. */
    assert_int_equal(json_text(out, 8, bytes_of("abcd\n")), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_atoms),
        cmocka_unit_test(test_made_request_ids_differ),
        cmocka_unit_test(test_broken_formats),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_of_much),
        cmocka_unit_test(test_json_strings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
