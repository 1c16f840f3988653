/* SPDX-License-Identifier: MIT */
#include "static_part.h"

#include <inttypes.h>
#include <stdio.h>

struct text {
    char *out;
    size_t room;
    size_t n;
};

static void put(struct text *text, struct bytes bytes)
{
    must(bytes.n <= text->room - text->n);
    memcpy(text->out + text->n, bytes.p, bytes.n);
    text->n += bytes.n;
}

static void put_range(struct text *text, const struct static_range *range,
                      uint64_t size)
{
    char line[96];
    int n = snprintf(line, sizeof(line),
                     "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64
                     "\r\n",
                     range->off, range->off + range->len - 1, size);

    put(text, (struct bytes){line, (size_t)n});
}

static void put_type(struct text *text, struct bytes type)
{
    put(text, BYTES("Content-Type: "));
    put(text, type);
    put(text, BYTES("\r\n"));
}

static void put_content(struct text *text, const struct static_answer *answer)
{
    static const struct bytes codings[] = {
        {"", 0},
        {"Content-Encoding: br\r\n", 22},
        {"Content-Encoding: gzip\r\n", 24},
    };

    if (answer->count > 1) {
        put(text, BYTES("Content-Type: multipart/byteranges; boundary="));
        put(text, answer->boundary);
        put(text, BYTES("\r\n"));
    } else {
        put_type(text, answer->file->type);
    }
    put(text, codings[answer->coding]);
    put(text, BYTES("Accept-Ranges: bytes\r\n"));
    if (answer->count == 1)
        put_range(text, answer->ranges, answer->file->as[answer->coding].size);
}

size_t static_part_fields(const struct static_answer *answer,
                          char out[STATIC_FIELDS_MAX])
{
    const struct static_file *file = answer->file;
    const struct static_variant *variant = &file->as[answer->coding];
    struct text text = {out, STATIC_FIELDS_MAX, 0};
    char date[HTTP_DATE_LEN];

    if (answer->status != 304)
        put_content(&text, answer);
    http_date(date, variant->modified_ns / (int64_t)NS_PER_S);
    put(&text, BYTES("Last-Modified: "));
    put(&text, (struct bytes){date, sizeof(date)});
    put(&text, BYTES("\r\nETag: "));
    put(&text, (struct bytes){variant->etag, variant->etag_len});
    put(&text, BYTES("\r\n"));
    if (file->as[STATIC_BROTLI].is_there || file->as[STATIC_GZIP].is_there)
        put(&text, BYTES("Vary: Accept-Encoding\r\n"));
    return text.n;
}

size_t static_part_text(const struct static_parts *parts, uint32_t index,
                        char out[STATIC_PART_MAX])
{
    struct text text = {out, STATIC_PART_MAX, 0};

    put(&text, BYTES("\r\n--"));
    put(&text, parts->boundary);
    if (index == parts->count) {
        put(&text, BYTES("--\r\n"));
        return text.n;
    }
    put(&text, BYTES("\r\n"));
    put_type(&text, parts->type);
    put_range(&text, &parts->ranges[index], parts->size);
    put(&text, BYTES("\r\n"));
    return text.n;
}

uint64_t static_part_length(const struct static_answer *answer)
{
    uint64_t size = answer->file->as[answer->coding].size;
    struct static_parts parts = {answer->file->type, answer->boundary,
                                 answer->ranges, answer->count, size};
    char text[STATIC_PART_MAX];
    uint64_t total = 0;

    if (answer->count == 0)
        return size;
    if (answer->count == 1)
        return answer->ranges[0].len;
    for (uint32_t i = 0; i < answer->count; i++)
        total += static_part_text(&parts, i, text) + answer->ranges[i].len;
    return total + static_part_text(&parts, answer->count, text);
}
