/* SPDX-License-Identifier: MIT */
#include "tools/topo/markup.h"

#include <stdarg.h>

void markup_text(FILE *out, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    for (const char *p = text; *p; p++) {
        switch (*p) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            /* Control characters are not allowed, not even escaped. */
            fputc((unsigned char)*p < 0x20 ? ' ' : *p, out);
        }
    }
}
