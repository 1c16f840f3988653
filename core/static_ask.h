/* SPDX-License-Identifier: MIT */
/*
 * static_ask - what a request for a file asks for: which encoding, whether it
 * has changed, which ranges. RFC 9110 sections 12 to 14 as pure functions.
 */
#ifndef GCORN_CORE_STATIC_ASK_H
#define GCORN_CORE_STATIC_ASK_H

#include "http.h"
#include "http_write.h"

/* A request with more ranges, or for more bytes than there are, gets all. */
#define STATIC_RANGES_MAX 16

enum static_coding {
    STATIC_IDENTITY,
    STATIC_BROTLI,
    STATIC_GZIP,
    STATIC_CODINGS,
};

struct static_range {
    uint64_t off;
    uint64_t len; /* at least 1 */
};

/* The fields that matter here; a list may come in several fields. */
struct static_ask {
    const char *head;
    const struct http_request *request;
    const struct http_field *fields;
};

/* What is compared with it. */
struct static_state {
    struct bytes etag; /* with its quotes; strong */
    int64_t modified_s;
    uint64_t size;
};

/*
 * The codings in the order in which the client wants them; those it did not
 * name are left out, identity ends the list.
 */
uint32_t static_ask_codings(const struct static_ask *ask,
                            enum static_coding codings[STATIC_CODINGS]);

/*
 * Returns 200, 304, 412, 416, or 206 with *ret_count ranges. For GET and HEAD,
 * of which the latter has no ranges.
 */
int static_ask_status(const struct static_ask *ask,
                      const struct static_state *state,
                      struct static_range ranges[STATIC_RANGES_MAX],
                      uint32_t *ret_count);
#endif
