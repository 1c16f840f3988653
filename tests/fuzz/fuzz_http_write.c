/* SPDX-License-Identifier: MIT */
/*
 * Error pages with any message, into any room: complete or refused, the head
 * as long as it says, and nothing of the message that is markup.
 */
#include <stdlib.h>
#include <string.h>

#include "core/http_write.h"

static void check_page(struct bytes page, struct bytes message)
{
    const char *end = memmem(page.p, page.n, "\r\n\r\n", 4);
    const char *length = memmem(page.p, page.n, "Content-Length: ", 16);
    const char *body;

    must(end && length && length < end);
    body = end + 4;
    must(strtoul(length + 16, NULL, 10) == page.n - (size_t)(body - page.p));
    must(memcmp(page.p, "HTTP/1.1 ", 9) == 0);
    /* The page's own tags are these; a message has added none. */
    for (size_t i = 0; i < message.n; i++)
        must(message.p[i] != '\0' || memchr(body, 0, 1) == NULL);
    for (const char *p = body; p < page.p + page.n; p++)
        must(*p != '<' || strchr("/htb1p", p[1]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char own[] = "<html><head><title></title></head><body><h1>"
                              "<p></p></h1></body></html>";
    char date[HTTP_DATE_LEN];
    struct bytes message;
    int64_t when;
    size_t room;
    char *page;
    int n;

    if (size < 10)
        return 0;
    memcpy(&when, data, sizeof(when));
    http_date(date, (time_t)(when & 0x3fffffffffLL));
    room = (size_t)data[8] * 16 + 1;
    message = (struct bytes){(const char *)data + 10, size - 10};
    page = malloc(room);
    must(page);
    n = http_error_response(page, room, 100 + data[9] * 2, BYTES("A: b\r\n"),
                            message, date);
    must(n == -ENOSPC || (n > 0 && (size_t)n <= room));
    if (n > 0) {
        size_t tags = 0;
        size_t expected = 0;

        check_page((struct bytes){page, (size_t)n}, message);
        for (int i = 0; i < n; i++)
            tags += page[i] == '<';
        for (size_t i = 0; i < sizeof(own); i++)
            expected += own[i] == '<';
        must(tags == expected);
    }
    free(page);
    return 0;
}
