/* SPDX-License-Identifier: MIT */
#include "access_text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

void access_put(struct access_text *line, const char *text, size_t len)
{
    len = min_u64(len, line->room - line->used);
    memcpy(line->at + line->used, text, len);
    line->used += len;
}

void access_put_foreign(struct access_text *line, struct bytes text)
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        char escape[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};

        if (c == '"' || c == '\\') {
            escape[1] = (char)c;
            access_put(line, escape, 2);
        } else if (c < ' ' || c > '~') {
            access_put(line, escape, 4);
        } else {
            access_put(line, &text.p[i], 1);
        }
    }
}

void access_put_number(struct access_text *line, uint64_t number)
{
    char text[20];
    size_t at = sizeof(text);

    do {
        text[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    access_put(line, text + at, sizeof(text) - at);
}

static struct bytes span(const struct access_entry *entry, uint32_t off,
                         uint32_t len)
{
    if (off > entry->request->head_len || len > entry->request->head_len - off)
        return BYTES("");
    return (struct bytes){entry->head + off, len};
}

struct bytes access_span(const struct access_entry *entry,
                         const struct http_span *at)
{
    return span(entry, at->off, at->len);
}

struct bytes access_request_field(const struct access_entry *entry,
                                  struct bytes name)
{
    for (uint32_t i = entry->request->field_count; i-- > 0;) {
        const struct http_field *field = &entry->fields[i];

        if (!(field->flags & HTTP_FIELD_VARIABLE) &&
            bytes_equal_nocase(span(entry, field->name_off, field->name_len),
                               name))
            return span(entry, field->value_off, field->value_len);
    }
    return (struct bytes){NULL, 0};
}

/* The response's head is our own work, so this need not be strict. */
struct bytes access_response_field(const struct access_entry *entry,
                                   struct bytes name)
{
    struct bytes head = entry->response_head;
    struct bytes found = {NULL, 0};
    const char *line;

    if (head.n == 0)
        return found;
    while ((line = memmem(head.p, head.n, "\r\n", 2)) != NULL) {
        const char *end;

        head.n -= (size_t)(line + 2 - head.p);
        head.p = line + 2;
        end = memmem(head.p, head.n, "\r\n", 2);
        if (!end || end == head.p)
            break;
        if ((size_t)(end - head.p) > name.n + 1 && head.p[name.n] == ':' &&
            strncasecmp(head.p, name.p, name.n) == 0)
            found = (struct bytes){head.p + name.n + 2,
                                   (size_t)(end - head.p) - name.n - 2};
    }
    return found;
}

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = memchr(digits, c, sizeof(digits) - 1);

    return at ? (int)(at - digits) : -1;
}

/* "Basic dXNlcjpwYXNzd29yZA==": what is in front of the colon. */
size_t access_user(const struct access_entry *entry, char out[ACCESS_USER_MAX])
{
    struct bytes value = access_request_field(entry, BYTES("Authorization"));
    size_t used = 0;
    uint32_t bits = 0;
    bool colon = false;

    if (value.n < 6 || strncasecmp(value.p, "basic ", 6) != 0)
        return 0;
    for (size_t i = 6; i < value.n && !colon && used < ACCESS_USER_MAX; i++) {
        int digit = base64_digit(value.p[i]);

        if (digit < 0)
            break;
        bits = bits << 6 | (uint32_t)digit;
        if ((i - 6) % 4 == 0)
            continue;
        out[used] = (char)(bits >> (6 - (i - 6) % 4 * 2));
        colon = out[used] == ':';
        used += !colon;
    }
    return colon ? used : 0;
}

/* Unique in this server's life: the connection is, for its worker. */
struct bytes access_request_id(const struct access_entry *entry,
                               char out[ACCESS_ID_MAX])
{
    struct bytes id = access_request_field(entry, BYTES("X-Request-ID"));
    int n;

    if (id.n > 0 && id.n <= ACCESS_ID_MAX)
        return id;
    n = snprintf(out, ACCESS_ID_MAX, "%08x-%04x-%012llx-%x",
                 (unsigned)(entry->place->started_ns / NS_PER_MS),
                 entry->place->worker, (unsigned long long)entry->connection,
                 entry->number);
    return (struct bytes){out, (size_t)n};
}
