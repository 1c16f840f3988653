/* SPDX-License-Identifier: MIT */
#include "json_text.h"

#include <stdio.h>

/* Bytes of a valid UTF-8 character at text, 0 if it is none. */
static size_t utf8_length(const unsigned char *text, size_t n)
{
    size_t len = text[0] < 0xc2   ? 0
                 : text[0] < 0xe0 ? 2
                 : text[0] < 0xf0 ? 3
                 : text[0] < 0xf5 ? 4
                                  : 0;

    if (len == 0 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    /* Overlong forms, surrogates, and what is beyond the last character. */
    if ((text[0] == 0xe0 && text[1] < 0xa0) ||
        (text[0] == 0xed && text[1] > 0x9f) ||
        (text[0] == 0xf0 && text[1] < 0x90) ||
        (text[0] == 0xf4 && text[1] > 0x8f))
        return 0;
    return len;
}

/* One character of a JSON string. Returns how many bytes of text it is. */
static size_t escape(const unsigned char *text, size_t n, char out[8],
                     size_t *ret_len)
{
    size_t len = utf8_length(text, n);

    if (len > 0) {
        memcpy(out, text, len);
        *ret_len = len;
        return len;
    }
    if (text[0] == '"' || text[0] == '\\')
        *ret_len = (size_t)snprintf(out, 8, "\\%c", text[0]);
    else if (text[0] < ' ' || text[0] > '~') /* Latin-1, as HTTP once was */
        *ret_len = (size_t)snprintf(out, 8, "\\u%04x", text[0]);
    else {
        out[0] = (char)text[0];
        *ret_len = 1;
    }
    return 1;
}

size_t json_text(char *out, size_t most, struct bytes text)
{
    size_t used = 0;

    for (size_t i = 0; i < text.n;) {
        char one[8];
        size_t len;

        i += escape((const unsigned char *)text.p + i, text.n - i, one, &len);
        if (len > most - used)
            break;
        memcpy(out + used, one, len);
        used += len;
    }
    return used;
}
