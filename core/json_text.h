/* SPDX-License-Identifier: MIT */
/*
 * json_text - bytes of whatever origin as the inside of a JSON string.
 * What is not UTF-8 is taken for Latin-1, so the result always is.
 */
#ifndef GCORN_CORE_JSON_TEXT_H
#define GCORN_CORE_JSON_TEXT_H

#include "base.h"
#include "bytes.h"

/* Writes at most `most` bytes, never a part of an escape. Returns how many. */
size_t json_text(char *out, size_t most, struct bytes text);
#endif
