/* SPDX-License-Identifier: MIT */
/*
 * Reads inputs from standard input, each a length (32 bits, in the machine's
 * order) and the bytes, and says how the first request in it is understood, a
 * line each: "refuse STATUS", "wait" when it is not complete, or "accept
 * METHOD TARGET BODY NAME VALUE NAME VALUE ...", in hex. For differential.py.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/http.h"
#include "core/http_chunked.h"

#define INPUT_MAX (1U << 20)
#define FIELDS_MAX 100

static const struct http_limits limits = {
    .line_bytes = 4094, .fields = FIELDS_MAX, .field_bytes = 8190};

static struct http_field fields[FIELDS_MAX];

static void print_hex(const char *p, size_t n)
{
    putchar(' ');
    if (n == 0)
        putchar('-');
    for (size_t i = 0; i < n; i++)
        printf("%02x", (uint8_t)p[i]);
}

/* The decoded body goes to store. 1: complete, 0: not yet, or -error. */
static int read_chunked(struct bytes rest, char *store, size_t *ret_n)
{
    struct http_chunked chunked = {0};

    *ret_n = 0;
    while (!chunked.done && rest.n > 0) {
        struct bytes data;
        int used = http_chunked_next(&chunked, rest, &data);

        if (used < 0)
            return used;
        memcpy(store + *ret_n, data.p, data.n);
        *ret_n += data.n;
        rest.p += used;
        rest.n -= (size_t)used;
    }
    return chunked.done;
}

static int read_body(const struct http_request *request, struct bytes rest,
                     char *store, size_t *ret_n)
{
    if (request->flags & HTTP_CHUNKED)
        return read_chunked(rest, store, ret_n);
    *ret_n = min_u64(rest.n, request->content_length);
    memcpy(store, rest.p, *ret_n);
    return *ret_n == request->content_length;
}

static void print_request(const char *text, const struct http_request *request,
                          struct bytes body)
{
    printf("accept");
    print_hex(text + request->method.off, request->method.len);
    print_hex(text + request->target.off, request->target.len);
    print_hex(body.p, body.n);
    for (uint32_t i = 0; i < request->field_count; i++) {
        print_hex(text + fields[i].name_off, fields[i].name_len);
        print_hex(text + fields[i].value_off, fields[i].value_len);
    }
    putchar('\n');
}

static void judge(struct bytes text, char *store)
{
    struct http_parser parser = {0};
    struct http_request request;
    struct bytes body = {store, 0};
    int rc = http_parse(&parser, &limits, text, &request, fields, FIELDS_MAX);

    if (rc > 0) {
        struct bytes rest = {text.p + rc, text.n - (size_t)rc};
        int state = read_body(&request, rest, store, &body.n);

        rc = state < 0 ? state : state > 0 ? rc : 0;
    }
    if (rc < 0)
        printf("refuse %d\n", http_error_status((enum http_error) - rc));
    else if (rc == 0)
        printf("wait\n");
    else
        print_request(text.p, &request, body);
}

int main(void)
{
    char *text = malloc(INPUT_MAX);
    char *store = malloc(INPUT_MAX);
    uint32_t n;

    must(text && store);
    while (fread(&n, sizeof(n), 1, stdin) == 1) {
        must(n <= INPUT_MAX && fread(text, 1, n, stdin) == n);
        judge((struct bytes){text, n}, store);
    }
    free(text);
    free(store);
    return 0;
}
