/* SPDX-License-Identifier: MIT */
#include "percent.h"

#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int percent_byte(struct bytes text)
{
    int high, low;

    if (text.n < 3 || text.p[0] != '%')
        return -1;
    high = hex_digit(text.p[1]);
    low = hex_digit(text.p[2]);
    return high >= 0 && low >= 0 ? high << 4 | low : -1;
}

size_t percent_decode(struct bytes text, char *out)
{
    size_t n = 0;

    while (text.n > 0) {
        int byte = percent_byte(text);
        size_t taken = byte < 0 ? 1 : 3;

        out[n++] = byte < 0 ? *text.p : (char)byte;
        text.p += taken;
        text.n -= taken;
    }
    return n;
}
