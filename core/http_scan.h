/* SPDX-License-Identifier: MIT */
/*
 * http_scan - where a run of allowed bytes ends. Private to the http files.
 *
 * Each function returns the first position from pos on whose byte does not
 * belong to the run, or data.n. Bytes outside data are never read; those before
 * pos may be.
 */
#ifndef GCORN_CORE_HTTP_SCAN_H
#define GCORN_CORE_HTTP_SCAN_H

#include "base.h"
#include "bytes.h"

struct http_scan {
    const char *name;
    size_t (*token)(struct bytes data, size_t pos);  /* RFC 9110 tchar */
    size_t (*value)(struct bytes data, size_t pos);  /* HTAB, SP, VCHAR, obs */
    size_t (*target)(struct bytes data, size_t pos); /* VCHAR, obs, not ? # */
};

/* The scanner in use. */
const struct http_scan *http_scan_get(void);

#define HTTP_CLASS_TOKEN 0x01 /* tchar */
#define HTTP_CLASS_HOST 0x02  /* reg-name without the comma */

/* The classes of each byte. */
extern const uint8_t http_class[256];

static inline bool http_is_class(char c, uint8_t class)
{
    return (http_class[(uint8_t)c] & class) != 0;
}

static inline bool http_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static inline bool http_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* HTAB, SP, VCHAR or obs-text. */
static inline bool http_is_text(char c)
{
    return (uint8_t)c >= ' ' ? c != 0x7f : c == '\t';
}
#endif
