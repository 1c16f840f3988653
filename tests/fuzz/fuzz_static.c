/* SPDX-License-Identifier: MIT */
/*
 * A request for a file: any path may only name what lies below the directory,
 * and whatever conditions and ranges it has, what is to be sent lies in the
 * file and has the length that was said.
 */
#include <stdlib.h>

#include "core/static_part.h"
#include "core/static_path.h"

#define FIELDS 32
#define SIZE 1000

static void check_name(const char *name)
{
    size_t n = strlen(name);
    const char *part = name;

    must(n > 0 && name[0] != '/' && name[n - 1] != '/');
    while (part) {
        const char *slash = strchr(part, '/');
        size_t len = slash ? (size_t)(slash - part) : strlen(part);

        must(len > 0);
        must(part[0] != '.' ||
             (len == 11 && memcmp(part, ".well-known", len) == 0));
        part = slash ? slash + 1 : NULL;
    }
    must(static_path_type((struct bytes){name, n}).n > 0);
}

static void check_path(struct bytes path)
{
    char out[STATIC_PATH_MAX];
    int n = static_path_decode(path, false, out);

    if (n < 0)
        return;
    must((size_t)n <= path.n);
    n = static_path_name((struct bytes){out, (size_t)n}, out);
    if (n >= 0) {
        must(strlen(out) == (size_t)n);
        check_name(out);
    }
}

static void check_ranges(const struct static_file *file,
                         const struct static_range *ranges, uint32_t count)
{
    struct static_answer answer = {
        206, file, STATIC_IDENTITY, BYTES("boundary"), ranges, count};
    struct static_parts parts = {file->type, answer.boundary, ranges, count,
                                 SIZE};
    char text[STATIC_PART_MAX];
    char fields[STATIC_FIELDS_MAX];
    uint64_t content = 0;
    uint64_t around = 0;

    must(count <= STATIC_RANGES_MAX);
    must(static_part_fields(&answer, fields) > 0);
    for (uint32_t i = 0; i < count; i++) {
        must(ranges[i].len > 0 && ranges[i].off < SIZE &&
             ranges[i].len <= SIZE - ranges[i].off);
        content += ranges[i].len;
    }
    for (uint32_t i = 0; i <= count && count > 1; i++)
        around += static_part_text(&parts, i, text);
    must(content <= SIZE);
    must(static_part_length(&answer) == (count ? content : SIZE) + around);
}

static void check_request(struct bytes head, const struct http_request *request,
                          const struct http_field *fields)
{
    struct static_ask ask = {head.p, request, fields};
    struct static_file file = {.type = BYTES("a/b")};
    struct static_state state = {BYTES("\"e\""), 784111777, SIZE};
    struct static_range ranges[STATIC_RANGES_MAX];
    enum static_coding codings[STATIC_CODINGS];
    uint32_t count = 0;
    uint32_t n = static_ask_codings(&ask, codings);
    int status = static_ask_status(&ask, &state, ranges, &count);

    must(n >= 1 && n <= STATIC_CODINGS && codings[n - 1] == STATIC_IDENTITY);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < i; k++)
            must(codings[i] != codings[k]);
    must(status == 200 || status == 206 || status == 304 || status == 412 ||
         status == 416);
    must((status == 206) == (count > 0));
    file.as[STATIC_IDENTITY].size = SIZE;
    check_ranges(&file, ranges, count);
    check_path((struct bytes){head.p + request->path.off, request->path.len});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_parser parser = {0};
    struct http_limits limits = {0};
    struct http_request request;
    struct http_field fields[FIELDS];
    char *copy = malloc(size ? size : 1);
    struct bytes head = {copy, size};

    must(copy);
    if (size)
        memcpy(copy, data, size);
    check_path(head);
    if (http_parse(&parser, &limits, head, &request, fields, FIELDS) > 0)
        check_request(head, &request, fields);
    free(copy);
    return 0;
}
