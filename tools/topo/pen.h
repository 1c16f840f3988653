/* SPDX-License-Identifier: MIT */
/*
 * pen - writes the report to a terminal: colours, columns, lines that fit.
 */
#ifndef GCORN_TOPO_PEN_H
#define GCORN_TOPO_PEN_H

#include "core/base.h"
#include "tools/topo/report.h"

/* Where the text of a section begins. */
#define PEN_INDENT 9

enum ink { INK_PLAIN, INK_BOLD, INK_DIM, INK_GREEN, INK_YELLOW, INK_RED };

struct pen {
    const struct report *report;
    FILE *out;
    bool color;
    int width;
    int column;
    int blanks; /* not yet written: a line must not end in them */
};

printf_like(3, 4) void pen_draw(struct pen *pen, enum ink ink,
                                const char *format, ...);
void pen_line(struct pen *pen);
void pen_pad(struct pen *pen, int column);
/* Word by word; what does not fit goes to the next line. */
void pen_words(struct pen *pen, enum ink ink, const char *text);
/* A line that begins a section, or goes on with it under an empty name. */
printf_like(3, 4) void pen_section(struct pen *pen, const char *name,
                                   const char *format, ...);

/* The nodes, their caches and cores, and who runs where. */
void report_map(struct pen *pen);

#endif
