/* SPDX-License-Identifier: MIT */
/*
 * static_part - what stands around the content of a file: field lines of the
 * response, and the lines between the parts of multipart/byteranges. Pure.
 */
#ifndef GCORN_CORE_STATIC_PART_H
#define GCORN_CORE_STATIC_PART_H

#include "http_write.h"
#include "static_file.h"

#define STATIC_FIELDS_MAX 512
#define STATIC_PART_MAX 320

struct static_answer {
    int status; /* 200, 206, 304 */
    const struct static_file *file;
    enum static_coding coding;
    struct bytes boundary; /* occurs in no file: at most 40 characters */
    const struct static_range *ranges; /* with 206 */
    uint32_t count;
};

/* Returns the length of the field lines. */
size_t static_part_fields(const struct static_answer *answer,
                          char out[STATIC_FIELDS_MAX]);

/* What stands in front of part `index`, or, behind the last, at the end. */
struct static_parts {
    struct bytes type;
    struct bytes boundary;
    const struct static_range *ranges;
    uint32_t count;
    uint64_t size;
};
size_t static_part_text(const struct static_parts *parts, uint32_t index,
                        char out[STATIC_PART_MAX]);

/* The length of the whole content. */
uint64_t static_part_length(const struct static_answer *answer);
#endif
