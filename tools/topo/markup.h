/* SPDX-License-Identifier: MIT */
/*
 * markup - text that goes into SVG and HTML.
 */
#ifndef GCORN_TOPO_MARKUP_H
#define GCORN_TOPO_MARKUP_H

#include <stdio.h>

#include "core/base.h"

/* Formats, and escapes the result: no value can become a tag. */
printf_like(2, 3) void markup_text(FILE *out, const char *format, ...);

#endif
