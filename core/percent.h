/* SPDX-License-Identifier: MIT */
/*
 * percent - undoes the escapes of a request target (RFC 3986 2.1). Pure. A '%'
 * that two hex digits do not follow stays as it is.
 */
#ifndef GCORN_CORE_PERCENT_H
#define GCORN_CORE_PERCENT_H

#include "base.h"
#include "bytes.h"

/* What the escape at text.p stands for; -1 when there is none. */
int percent_byte(struct bytes text);

/* Returns the length; out has room for text.n. */
size_t percent_decode(struct bytes text, char *out);
#endif
