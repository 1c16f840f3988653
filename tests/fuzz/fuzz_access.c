/* SPDX-License-Identifier: MIT */
/*
 * Any format, and any request that the parser takes, or the pieces of one that
 * it does not: what a client sent ends no line of the access log, and no quoted
 * field, and is no control character in it.
 */
#include <stdlib.h>
#include <string.h>

#include "core/access_line.h"

#define FIELDS_MAX 40

static const char *const formats[] = {
    ACCESS_LOG_DEFAULT,
    "\"%({x}i)s\" \"%({host}i)s\" \"%(U)s\" \"%(q)s\" \"%(m)s\" \"%(H)s\"",
    "\"%({x-a}o)s\" %(a)s",
    "%(h)s \"%(r)s\" %(f)s",
};

static const struct access_place place = {.cpus = "0-3"};

/* Of the format's own there is nothing in these but quotes and blanks. */
static void check_line(const char *line, size_t n)
{
    must(n >= 1 && n <= ACCESS_LINE_BYTES && line[n - 1] == '\n');
    for (size_t i = 0; i < n - 1; i++)
        must((uint8_t)line[i] >= 0x20 && line[i] != 0x7f);
}

static void format_both(const char *format, const struct access_entry *entry)
{
    char *line = malloc(ACCESS_LINE_BYTES);
    struct access_format compiled;
    bool known = false;

    must(line);
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
        known |= format == formats[i];
    if (access_format_init(&compiled, format) == 0) {
        size_t n = access_line(&compiled, entry, line, ACCESS_LINE_BYTES);

        if (known && !compiled.json)
            check_line(line, n);
        must(n <= ACCESS_LINE_BYTES);
        access_format_done(&compiled);
    }
    check_line(line, access_json(entry, line, ACCESS_LINE_BYTES));
    free(line);
}

static void spans_set(struct http_request *request, struct bytes text)
{
    uint32_t third = (uint32_t)text.n / 3;

    *request = (struct http_request){.head_len = (uint32_t)text.n};
    request->method = (struct http_span){0, third};
    request->target = request->path = (struct http_span){third, third};
    request->query = (struct http_span){third, third / 2};
    request->version = (struct http_span){2 * third, third};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct http_limits limits = {.fields = FIELDS_MAX};
    static const struct exchange_peer peer = {.addr = "192.0.2.1",
                                              .addr_len = 9};
    struct http_field fields[FIELDS_MAX];
    struct http_parser parser = {0};
    struct http_request request;
    char format[200] = {0};
    struct bytes text;
    size_t split;

    if (size < 2)
        return 0;
    split = min_u64(data[1], min_u64(size - 2, sizeof(format) - 1));
    memcpy(format, data + 2, split);
    text = (struct bytes){(const char *)data + 2 + split, size - 2 - split};
    if (http_parse(&parser, &limits, text, &request, fields, FIELDS_MAX) <= 0)
        spans_set(&request, text);
    format_both(data[0] & 1 ? format : formats[data[0] / 2 % 4],
                &(struct access_entry){
                    .request = &request,
                    .head = text.p,
                    .fields = fields,
                    .peer = &peer,
                    .proxy = &peer,
                    .place = &place,
                    .response_head = {text.p, min_u64(text.n, 300)},
                    .status = data[0] * 5,
                });
    return 0;
}
