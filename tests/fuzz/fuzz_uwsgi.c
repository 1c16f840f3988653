/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a uwsgi packet: every span lies in it, the framing is right,
 * and a part of it is never taken for the whole.
 */
#include <stdlib.h>

#include "core/uwsgi.h"

#define MAX_FIELDS 64

struct parsed {
    int result;
    struct http_request request;
    struct http_field fields[MAX_FIELDS];
    struct uwsgi_peer peer;
};

static void parse(const uint8_t *data, size_t n, uint32_t max_fields,
                  struct parsed *parsed)
{
    char *block = malloc(n ? n : 1);

    must(block);
    if (n)
        memcpy(block, data, n);
    parsed->result = uwsgi_parse((struct bytes){block, n}, &parsed->request,
                                 parsed->fields, max_fields, &parsed->peer);
    free(block);
}

static void check_span(const struct parsed *parsed, size_t off, size_t len)
{
    size_t n = parsed->request.head_len;

    must(off <= n && len <= n - off);
}

static void check_field(const struct parsed *parsed, const char *head,
                        const struct http_field *field)
{
    struct bytes name = {head + field->name_off, field->name_len};
    struct bytes value = {head + field->value_off, field->value_len};

    check_span(parsed, field->name_off, field->name_len);
    check_span(parsed, field->value_off, field->value_len);
    must(name.n > 0);
    if (field->flags & HTTP_FIELD_VARIABLE) {
        must(field->name_id == HTTP_NAME_OTHER);
        must(name.n < 5 || memcmp(name.p, "wsgi.", 5) != 0);
        return;
    }
    must(http_is_token(name) && !memchr(name.p, '_', name.n));
    must(http_is_value(value));
    must(http_name_find(name) == field->name_id);
}

/* In a copy as the exchange has it: names are spelled as HTTP's there. */
static void check_packet(const struct parsed *parsed, const uint8_t *data)
{
    const struct http_request *request = &parsed->request;
    char *head = malloc(request->head_len);
    unsigned lengths = 0;

    must(head);
    memcpy(head, data, request->head_len);
    uwsgi_spell(head, request, parsed->fields);
    for (uint32_t i = 0; i < request->field_count; i++) {
        check_field(parsed, head, &parsed->fields[i]);
        lengths += parsed->fields[i].name_id == HTTP_NAME_CONTENT_LENGTH;
    }
    must(lengths == !!(request->flags & HTTP_HAS_LENGTH));
    must(!(request->flags & (HTTP_CHUNKED | HTTP_KEEP_ALIVE)));
    check_span(parsed, request->method.off, request->method.len);
    check_span(parsed, request->target.off, request->target.len);
    check_span(parsed, request->path.off, request->path.len);
    check_span(parsed, request->query.off, request->query.len);
    check_span(parsed, request->version.off, request->version.len);
    check_span(parsed, parsed->peer.addr.off, parsed->peer.addr.len);
    check_span(parsed, parsed->peer.port.off, parsed->peer.port.len);
    must(request->method.len > 0 && request->target.len > 0);
    free(head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct parsed whole = {0};
    struct parsed part = {0};
    uint32_t max_fields;

    if (size < 1)
        return 0;
    max_fields = *data++ % (MAX_FIELDS + 1);
    size--;
    parse(data, size, max_fields, &whole);
    must(whole.result <= (int)size);
    if (whole.result <= 0)
        return 0;
    must(whole.request.head_len == (uint32_t)whole.result);
    must(whole.request.field_count <= max_fields);
    check_packet(&whole, data);
    parse(data, (size_t)whole.result - 1, max_fields, &part);
    must(part.result == 0);
    parse(data, (size_t)whole.result, max_fields, &part);
    must(part.result == whole.result);
    must(memcmp(&part.request, &whole.request, sizeof(whole.request)) == 0);
    return 0;
}
