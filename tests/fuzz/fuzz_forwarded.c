/* SPDX-License-Identifier: MIT */
/*
 * Any field lines, through the parser, from a peer who is trusted or not. The
 * client that is found must be named in a field, and a stranger's word must
 * change nothing.
 */
#include <stdlib.h>
#include <sys/socket.h>

#include "core/forwarded.h"

#define MAX_FIELDS 40

static const char start[] = "GET /app/x HTTP/1.1\r\nHost: a\r\n";

struct asked {
    struct http_request request;
    struct http_field fields[MAX_FIELDS];
    struct forwarded forwarded;
    enum http_error error;
};

static bool parse(const char *text, size_t n, struct asked *asked)
{
    static const struct http_limits limits = {.flags = HTTP_PERMIT_OBS_FOLD};
    struct http_parser parser = {0};

    return http_parse(&parser, &limits, (struct bytes){text, n},
                      &asked->request, asked->fields, MAX_FIELDS) > 0;
}

static void check_span(const struct asked *asked, struct http_span span)
{
    must(span.off <= asked->request.head_len &&
         span.len <= asked->request.head_len - span.off);
}

static void check_trusted(const struct asked *asked, const char *text,
                          const struct http_request *before)
{
    const struct forwarded *told = &asked->forwarded;

    must(!told->has_port || told->has_client);
    check_span(asked, told->script_name);
    check_span(asked, asked->request.path);
    must(asked->request.path.len + told->script_name.len == before->path.len);
    must(memcmp(text + before->path.off, text + told->script_name.off,
                told->script_name.len) == 0);
}

static void check_stranger(const struct asked *asked,
                           const struct forwarded_config *config)
{
    const struct forwarded *told = &asked->forwarded;

    must(!asked->error || (config->map == FORWARDED_REFUSE &&
                           asked->error == HTTP_ERROR_FIELD_NAME));
    if (asked->error)
        return;
    must(!told->has_client && !told->has_port && told->script_name.len == 0);
    must(told->scheme == FORWARDED_SCHEME_UNKNOWN);
}

static void ask(const struct forwarded_config *config, bool trusted,
                const char *text, size_t n)
{
    struct asked asked = {.error = HTTP_ERROR_NONE};
    struct forwarded_head head = {text, &asked.request, asked.fields};
    struct forwarded_peer peer = {.trusted = trusted, .is_ip = true};
    struct http_request before;

    if (!parse(text, n, &asked))
        return;
    before = asked.request;
    must(ip_parse(trusted ? BYTES("10.0.0.1") : BYTES("192.0.2.1"), &peer.ip) ==
         0);
    asked.error = forwarded_read(config, &peer, &head, &asked.forwarded);
    if (!trusted)
        check_stranger(&asked, config);
    else if (!asked.error)
        check_trusted(&asked, text, &before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct forwarded_config config = {.headers = BYTES("SCRIPT_NAME,A_B")};
    size_t n = sizeof(start) - 1;
    struct bytes bad;
    char *text;

    if (size < 1)
        return 0;
    config.map = (enum forwarded_map)(*data % 3);
    config.client = (enum forwarded_client)(*data / 3 % 4);
    must(trust_parse(&config.allow, BYTES("10.0.0.0/8,2001:db8::/32"), &bad) ==
         0);
    text = malloc(n + size);
    must(text);
    memcpy(text, start, n);
    memcpy(text + n, data + 1, size - 1);
    ask(&config, true, text, n + size - 1);
    ask(&config, false, text, n + size - 1);
    free(text);
    trust_done(&config.allow);
    return 0;
}
