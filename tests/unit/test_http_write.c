/* SPDX-License-Identifier: MIT */
/*
 * Dates against the C library's, phrases, and the error page as it goes out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/http.h"
#include "core/http_write.h"

static void assert_date(time_t when)
{
    char want[40];
    char date[HTTP_DATE_LEN];
    struct tm tm;

    assert_non_null(gmtime_r(&when, &tm));
    assert_int_equal(
        strftime(want, sizeof(want), "%a, %d %b %Y %H:%M:%S GMT", &tm),
        HTTP_DATE_LEN);
    http_date(date, when);
    assert_memory_equal(date, want, HTTP_DATE_LEN);
}

static void test_date(void **state)
{
    char date[HTTP_DATE_LEN];

    (void)state;
    assert_date(784111777);
    /* Every day for 400 years, each at another second of the day. */
    for (time_t day = 0; day < 146097; day++)
        assert_date(day * 86400 + day * 7919 % 86400);
    assert_date(253402300799);
    http_date(date, 253402300800); /* the year 10000 has no place */
    assert_memory_equal(date, "Fri, 31 Dec 9999 23:59:59 GMT", HTTP_DATE_LEN);
    http_date(date, -1);
    assert_memory_equal(date, "Thu, 01 Jan 1970 00:00:00 GMT", HTTP_DATE_LEN);
}

static void test_reason(void **state)
{
    (void)state;
    assert_string_equal(http_reason(200), "OK");
    assert_string_equal(http_reason(404), "Not Found");
    assert_string_equal(http_reason(431), "Request Header Fields Too Large");
    assert_string_equal(http_reason(418), "");
    assert_string_equal(http_reason(-1), "");
    for (int id = 1; id < HTTP_ERROR_COUNT; id++) {
        int status = http_error_status((enum http_error)id);

        assert_in_range(status, 400, 505);
        assert_string_not_equal(http_reason(status), "");
        assert_string_not_equal(http_error_text((enum http_error)id), "");
    }
}

static const char page[] = "HTTP/1.1 503 Service Unavailable\r\n"
                           "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                           "Connection: close\r\n"
                           "Content-Type: text/html\r\n"
                           "Retry-After: 1\r\n"
                           "Content-Length: 175\r\n"
                           "\r\n"
                           "<html>\n"
                           "  <head>\n"
                           "    <title>Service Unavailable</title>\n"
                           "  </head>\n"
                           "  <body>\n"
                           "    <h1><p>Service Unavailable</p></h1>\n"
                           "    &lt;a href=&quot;&#x27;&amp;&quot;&gt;\n"
                           "  </body>\n"
                           "</html>\n";

/* Fits exactly or not at all; the block ends where the room ends. */
static void test_error_response(void **state)
{
    size_t n = sizeof(page) - 1;
    char date[HTTP_DATE_LEN];

    (void)state;
    http_date(date, 784111777);
    for (size_t room = 0; room <= n + 1; room++) {
        char *out = malloc(room ? room : 1);
        int result;

        assert_non_null(out);
        result = http_error_response(out, room, 503,
                                     BYTES("Retry-After: 1\r\n"),
                                     BYTES("<a href=\"'&\">"), date);
        if (room < n) {
            assert_int_equal(result, -ENOSPC);
        } else {
            assert_int_equal(result, n);
            assert_memory_equal(out, page, n);
        }
        free(out);
    }
}

static void test_no_message(void **state)
{
    char out[1000];
    char date[HTTP_DATE_LEN];
    int n;

    (void)state;
    http_date(date, 0);
    n = http_error_response(out, sizeof(out) - 1, 500, BYTES(""), BYTES(""),
                            date);
    assert_in_range(n, 100, sizeof(out) - 1);
    out[n] = '\0';
    assert_non_null(strstr(out, "</h1>\n    \n  </body>"));
}

/* Every registered status fits, and only those with content have a length. */
static void test_reply_head(void **state)
{
    char date[HTTP_DATE_LEN];
    char out[HTTP_REPLY_HEAD_MAX + 6];
    struct http_reply reply = {200, BYTES("A:b\r\n"), UINT64_MAX, date, true};
    size_t n;

    (void)state;
    http_date(date, 784111777);
    n = http_reply_head(out, &reply);
    out[n] = '\0';
    assert_string_equal(out, "HTTP/1.1 200 OK\r\nServer: gcorn\r\n"
                             "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                             "Connection: keep-alive\r\nA:b\r\n"
                             "Content-Length: 18446744073709551615\r\n\r\n");
    reply.keep_alive = false;
    for (reply.status = 100; reply.status < 600; reply.status++) {
        n = http_reply_head(out, &reply);
        out[n] = '\0';
        assert_non_null(strstr(out, "\r\nConnection: close\r\n"));
        assert_int_equal(strstr(out, "Content-Length") != NULL,
                         reply.status >= 200 && reply.status != 204 &&
                             reply.status != 304);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_date),
        cmocka_unit_test(test_reason),
        cmocka_unit_test(test_error_response),
        cmocka_unit_test(test_no_message),
        cmocka_unit_test(test_reply_head),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
