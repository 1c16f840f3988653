/* SPDX-License-Identifier: MIT */
/*
 * Reads what clients send from standard input, for each connection a length
 * (32 bits, in the machine's order) and the bytes, and says how it is
 * understood, a line for each request: "app KEEP METHOD PATH QUERY HOST BODY" in
 * hex, or "refused STATUS", or "more" if the last one is not complete; then
 * "end". Used by http_cases.py.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/http.h"
#include "core/http_chunked.h"

#define MAX_INPUT (8U << 20)
#define MAX_FIELDS 100

static const struct http_limits limits = {
    .line_bytes = 4094, .fields = 100, .field_bytes = 8190};

static struct http_field fields[MAX_FIELDS];

static void print_hex(struct bytes text)
{
    putchar(' ');
    if (text.n == 0)
        putchar('-');
    for (size_t i = 0; i < text.n; i++)
        printf("%02x", (uint8_t)text.p[i]);
}

static struct bytes span(struct bytes head, struct http_span where)
{
    return (struct bytes){head.p + where.off, where.len};
}

static struct bytes host_of(struct bytes head, const struct http_request *r)
{
    for (uint32_t i = 0; i < r->field_count; i++) {
        if (fields[i].name_id == HTTP_NAME_HOST)
            return (struct bytes){head.p + fields[i].value_off,
                                  fields[i].value_len};
    }
    return (struct bytes){"", 0};
}

/* Returns how much of rest the body takes, -1 if it is not complete, -error. */
static long chunked_body(struct bytes rest, struct bytes *body, char *store)
{
    struct http_chunked chunked = {0};
    size_t at = 0;

    *body = (struct bytes){store, 0};
    while (!chunked.done && at < rest.n) {
        struct bytes data;
        int used = http_chunked_next(
            &chunked, (struct bytes){rest.p + at, rest.n - at}, &data);

        if (used < 0)
            return used - 1;
        memcpy(store + body->n, data.p, data.n);
        body->n += data.n;
        at += (size_t)used;
    }
    return chunked.done ? (long)at : -1;
}

static long body_of(const struct http_request *request, struct bytes rest,
                    struct bytes *body, char *store)
{
    if (request->flags & HTTP_CHUNKED)
        return chunked_body(rest, body, store);
    if (request->content_length > rest.n)
        return -1;
    *body = (struct bytes){rest.p, request->content_length};
    return (long)request->content_length;
}

/* Returns how much of the input one request takes, or 0 at its end. */
static size_t replay(struct bytes input, char *store)
{
    struct http_parser parser = {0};
    struct http_request request;
    struct bytes body;
    long used;
    int head_len = http_parse(&parser, &limits, input, &request, fields,
                              MAX_FIELDS);

    if (head_len < 0) {
        printf("refused %d\n", http_error_status((enum http_error) - head_len));
        return 0;
    }
    used = head_len == 0 ? -1
                         : body_of(&request,
                                   (struct bytes){input.p + head_len,
                                                  input.n - (size_t)head_len},
                                   &body, store);
    if (used == -1) {
        puts("more");
        return 0;
    }
    if (used < 0) {
        printf("refused %d\n", http_error_status((enum http_error)(-used - 1)));
        return 0;
    }
    printf("app %d", (request.flags & HTTP_KEEP_ALIVE) != 0);
    print_hex(span(input, request.method));
    print_hex(span(input, request.path));
    print_hex(span(input, request.query));
    print_hex(host_of(input, &request));
    print_hex(body);
    putchar('\n');
    if (!(request.flags & HTTP_KEEP_ALIVE))
        return 0;
    return (size_t)head_len + (size_t)used;
}

/* One connection's input, in a block of its size. */
static void replay_all(size_t n)
{
    char *input = malloc(n ? n : 1);
    char *store = malloc(n ? n : 1);
    struct bytes rest = {input, n};

    must(input && store && fread(input, 1, n, stdin) == n);
    while (rest.n > 0) {
        size_t used = replay(rest, store);

        rest.n = used ? rest.n - used : 0;
        rest.p += used;
    }
    puts("end");
    free(input);
    free(store);
}

int main(void)
{
    uint32_t n;

    while (fread(&n, sizeof(n), 1, stdin) == 1) {
        must(n <= MAX_INPUT);
        replay_all(n);
    }
    return 0;
}
