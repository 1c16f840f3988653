/* SPDX-License-Identifier: MIT */
/*
 * conn_static - static files that the worker sends by itself. For conn*.c
 * only.
 */
#ifndef GCORN_CORE_CONN_STATIC_H
#define GCORN_CORE_CONN_STATIC_H

#include "conn_block.h"
#include "static_part.h"

#include <sys/uio.h>

struct conn;
struct conn_late;
struct conn_set;

/* A static file on its way; more than one range is multipart/byteranges. */
struct conn_transfer {
    int32_t fd;
    uint32_t count; /* of ranges */
    uint32_t next;  /* range to begin with */
    uint32_t page;  /* bytes of c->page to be sent in front */
    uint64_t off;
    uint64_t left; /* of the range */
    uint64_t size;
    uint64_t sent;
    uint64_t sent_head;     /* of these, once the head was made */
    struct conn_late *late; /* NULL: no line is to be written */
    struct bytes type;
    struct conn_span piece;
    uint32_t text_len;
    struct iovec iov[3]; /* page, text, piece */
    struct static_range range[STATIC_RANGES_MAX];
    char text[STATIC_PART_MAX]; /* around a range */
};

/* A conn_local_fn, and the file on its way after that. */
bool conn_static(struct conn_set *set, struct conn *c, const char *head);
void conn_static_on_read(struct conn_set *set, struct conn *c, int result);
/* A piece was sent; false when it was the last. */
bool conn_static_next(struct conn_set *set, struct conn *c);
void conn_static_drop(struct conn_set *set, struct conn *c);
#endif
