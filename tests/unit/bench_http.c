/* SPDX-License-Identifier: MIT */
/*
 * What parsing a head costs, for each scanner: "meson test --benchmark" or by
 * hand, with a number of rounds (for callgrind: few).
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/http.h"

static const char small[] = "GET /json HTTP/1.1\r\n"
                            "Host: 127.0.0.1:8000\r\n"
                            "Connection: keep-alive\r\n"
                            "User-Agent: bench\r\n"
                            "Accept: */*\r\n\r\n";

static const char browser[] =
    "GET /shop/items/4711?sort=price&page=2 HTTP/1.1\r\n"
    "Host: www.example.com\r\n"
    "Connection: keep-alive\r\n"
    "Cache-Control: max-age=0\r\n"
    "sec-ch-ua: \"Chromium\";v=\"124\", \"Not-A.Brand\";v=\"99\"\r\n"
    "sec-ch-ua-mobile: ?0\r\n"
    "sec-ch-ua-platform: \"Linux\"\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;"
    "q=0.8\r\n"
    "Sec-Fetch-Site: none\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-US,en;q=0.9\r\n"
    "Cookie: sessionid=0123456789abcdef0123456789abcdef; csrftoken=abcdefgh\r\n"
    "\r\n";

static const struct http_limits limits = {
    .line_bytes = 4094, .fields = 100, .field_bytes = 8190};

static void measure(const char *what, struct bytes text, unsigned rounds)
{
    struct http_field fields[100];
    struct http_request request;
    uint64_t start = now_ns();

    for (unsigned i = 0; i < rounds; i++) {
        struct http_parser parser = {0};

        must(http_parse(&parser, &limits, text, &request, fields, 100) ==
             (int)text.n);
    }
    printf("%-8s %-8s %4zu bytes %7.1f ns\n", http_scan_name(), what, text.n,
           (double)(now_ns() - start) / rounds);
}

int main(int argc, char **argv)
{
    static const char *const scanners[] = {"scalar", "sse4.2", "avx2"};
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000000;

    for (size_t i = 0; i < ARRAY_SIZE(scanners) && rounds > 0; i++) {
        if (http_scan_use(scanners[i]) < 0)
            continue;
        measure("small", (struct bytes){small, sizeof(small) - 1}, rounds);
        measure("browser", (struct bytes){browser, sizeof(browser) - 1},
                rounds);
    }
    return 0;
}
