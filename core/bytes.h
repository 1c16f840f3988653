/* SPDX-License-Identifier: MIT */
/*
 * bytes - a borrowed range of memory: never owned, never NUL-terminated.
 */
#ifndef GCORN_CORE_BYTES_H
#define GCORN_CORE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct bytes {
    const char *p;
    size_t n;
};

#define BYTES(literal) ((struct bytes){(literal), sizeof(literal) - 1})

static inline struct bytes bytes_of(const char *text)
{
    return (struct bytes){text, strlen(text)};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

/* ASCII case is ignored. */
static inline bool bytes_equal_nocase(struct bytes a, struct bytes b)
{
    return a.n == b.n && strncasecmp(a.p, b.p, a.n) == 0;
}
#endif
