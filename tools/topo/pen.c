/* SPDX-License-Identifier: MIT */
#include "tools/topo/pen.h"

#include <stdarg.h>
#include <string.h>

/* Blanks are held back until something follows them. */
void pen_draw(struct pen *pen, enum ink ink, const char *format, ...)
{
    static const char *const codes[] = {
        [INK_PLAIN] = "",          [INK_BOLD] = "\033[1m",
        [INK_DIM] = "\033[2m",     [INK_GREEN] = "\033[32m",
        [INK_YELLOW] = "\033[33m", [INK_RED] = "\033[31m",
    };
    char text[512];
    int length, n;
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    length = (int)strlen(text);
    for (n = length; n > 0 && text[n - 1] == ' '; n--)
        text[n - 1] = '\0';
    pen->column += length;
    if (n == 0) {
        pen->blanks += length;
        return;
    }
    fprintf(pen->out, "%*s%s%s%s", pen->blanks, "",
            pen->color ? codes[ink] : "", text,
            pen->color && ink != INK_PLAIN ? "\033[0m" : "");
    pen->blanks = length - n;
}

void pen_line(struct pen *pen)
{
    fputc('\n', pen->out);
    pen->column = pen->blanks = 0;
}

void pen_pad(struct pen *pen, int column)
{
    for (; pen->column < column; pen->column++)
        pen->blanks++;
}

void pen_words(struct pen *pen, enum ink ink, const char *text)
{
    while (*text) {
        int n = (int)strcspn(text, " ");

        if (pen->column + n > pen->width && pen->column > PEN_INDENT) {
            pen_line(pen);
            pen_pad(pen, PEN_INDENT);
        }
        pen_draw(pen, ink, "%.*s", n, text);
        for (text += n; *text == ' '; text++)
            pen_draw(pen, ink, " ");
    }
}

void pen_section(struct pen *pen, const char *name, const char *format, ...)
{
    char text[512];
    va_list args;

    pen_draw(pen, INK_BOLD, "%s", name);
    pen_pad(pen, PEN_INDENT);
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    pen_words(pen, INK_PLAIN, text);
    pen_line(pen);
}
