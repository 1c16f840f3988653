/* SPDX-License-Identifier: MIT */
/*
 * http_chunked - the chunked coding of request bodies (RFC 9112 7.1), taken
 * apart piece by piece. No I/O, no allocation.
 */
#ifndef GCORN_CORE_HTTP_CHUNKED_H
#define GCORN_CORE_HTTP_CHUNKED_H

#include "base.h"
#include "bytes.h"

/* A longer chunk size line is refused; so are longer trailers, all together. */
#define HTTP_CHUNK_LINE_MAX 1024
#define HTTP_TRAILERS_MAX 8192

/* The chunked coding of a request body. All zero is the start. */
struct http_chunked {
    uint64_t left;    /* bytes of data left in the current chunk */
    uint32_t line;    /* bytes of the current size line so far */
    uint32_t trailer; /* bytes of all trailer lines so far */
    uint8_t state;    /* private */
    uint8_t done;     /* the last chunk and the trailers are over */
    uint8_t name_len; /* private */
    char name[20];    /* private: start of the trailer name being read */
};

/*
 * Takes the next piece of a chunked body. *ret_data is the run of body bytes
 * in it (maybe empty). Returns how many bytes of the piece are used up (call
 * again with the rest until it is empty or chunked->done), or
 * -enum http_error. Trailers are checked and left out.
 */
int http_chunked_next(struct http_chunked *chunked, struct bytes piece,
                      struct bytes *ret_data);
#endif
