/* SPDX-License-Identifier: MIT */
/*
 * access_line - Gunicorn's access log format compiled to a table of atoms, and
 * one entry to one line. No I/O.
 */
#ifndef GCORN_CORE_ACCESS_LINE_H
#define GCORN_CORE_ACCESS_LINE_H

#include "access_log.h"

/* The longest line; more is cut, the newline stays. */
#define ACCESS_LINE_BYTES 8192
#define ACCESS_ATOMS_MAX 128

/* One piece of the format: literal text, or an atom. */
struct access_atom {
    uint8_t kind;      /* private */
    bool left;         /* "-": padded on the right */
    uint16_t width;    /* at least so many characters */
    int32_t most;      /* at most so many; -1: no limit */
    struct bytes text; /* literal, or the name in %({name}i)s */
};

struct access_format {
    char *format; /* what the atoms point into */
    uint32_t count;
    bool wants_response;
    bool wants_cpu; /* CPU time of every request */
    bool json;      /* one object a line: no atoms */
    time_t second;  /* of the date below */
    char date[32];
    struct access_atom atom[ACCESS_ATOMS_MAX];
};

/* Returns 0; -EINVAL for a format that is broken or too long; -ENOMEM. */
int access_format_init(struct access_format *format, const char *text);
void access_format_done(struct access_format *format);

/* Writes at most max bytes, newline included. Returns how many. */
size_t access_line(struct access_format *format,
                   const struct access_entry *entry, char *text, size_t max);

/* The same as one JSON object, with the names of the Elastic Common Schema.
 * Long values are cut, the object stays whole: max is at least 4096. */
size_t access_json(const struct access_entry *entry, char *text, size_t max);
#endif
