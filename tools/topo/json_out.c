/* SPDX-License-Identifier: MIT */
#include "tools/topo/json_out.h"

#include <inttypes.h>

/* Lists stay on one line, objects get a line for each of their values. */
static void begin(struct json *json, const char *key)
{
    if (json->has_value)
        fputc(',', json->out);
    if (key)
        fprintf(json->out, "\n%*s\"%s\": ", json->depth * 2, "", key);
    else if (json->has_value)
        fputc(' ', json->out);
    json->has_value = true;
}

void json_open(struct json *json, const char *key, char bracket)
{
    begin(json, key);
    fputc(bracket, json->out);
    json->depth++;
    json->has_value = false;
}

void json_close(struct json *json, char bracket)
{
    json->depth--;
    if (bracket == '}' && json->has_value)
        fprintf(json->out, "\n%*s", json->depth * 2, "");
    fputc(bracket, json->out);
    json->has_value = true;
}

/* How many bytes the character at @p has, 0 if it is not UTF-8. */
/* Firmware and operators write what they like into names. */
static int utf8_length(const unsigned char *p)
{
    int n = *p < 0x80 ? 1 : *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;

    if ((*p >= 0x80 && *p < 0xc2) || *p > 0xf4)
        return 0;
    for (int i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

static void put_text(FILE *out, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;

    fputc('"', out);
    while (*p) {
        int n = utf8_length(p);

        if (*p == '"' || *p == '\\')
            fprintf(out, "\\%c", *p);
        else if (*p < 0x20)
            fprintf(out, "\\u%04x", *p);
        else if (n == 0)
            fputc('?', out);
        else
            fprintf(out, "%.*s", n, (const char *)p);
        p += n ? n : 1;
    }
    fputc('"', out);
}

void json_text(struct json *json, const char *key, const char *text)
{
    begin(json, key);
    if (text)
        put_text(json->out, text);
    else
        fputs("null", json->out);
}

void json_number(struct json *json, const char *key, uint64_t number)
{
    begin(json, key);
    fprintf(json->out, "%" PRIu64, number);
}

void json_signed(struct json *json, const char *key, int64_t number,
                 bool is_null)
{
    begin(json, key);
    if (is_null)
        fputs("null", json->out);
    else
        fprintf(json->out, "%" PRId64, number);
}

void json_milli(struct json *json, const char *key, uint64_t milli)
{
    begin(json, key);
    if (milli == 0)
        fputs("null", json->out);
    else
        fprintf(json->out, "%" PRIu64 ".%03" PRIu64, milli / 1000,
                milli % 1000);
}

void json_bool(struct json *json, const char *key, bool value)
{
    begin(json, key);
    fputs(value ? "true" : "false", json->out);
}

void json_maybe(struct json *json, const char *key, int value)
{
    begin(json, key);
    fputs(value < 0 ? "null" : value ? "true" : "false", json->out);
}
