/* SPDX-License-Identifier: MIT */
/*
 * conn_file - parts of a response that are files: the descriptors that come from
 * interpreters, and what is read from them. For conn*.c only.
 */
#ifndef GCORN_CORE_CONN_FILE_H
#define GCORN_CORE_CONN_FILE_H

#include "base.h"

struct conn;
struct conn_job;
struct conn_set;
struct exchange_part;

/* A descriptor that an interpreter sent for a part of its response. */
struct conn_file {
    struct conn_file *next;
    uint64_t sequence;
    uint32_t part;
    int32_t fd;
};

/* 1 when it is being read, 0 when it is empty, or -errno. */
int conn_file_start(struct conn_set *set, struct conn *c,
                    const struct exchange_part *part);
/* A piece was sent; false when it was the last. */
bool conn_file_next(struct conn_set *set, struct conn *c);
void conn_on_read(struct conn_set *set, struct conn *c, int result);
void conn_files_receive(struct conn_set *set);
void conn_files_drop(struct conn_set *set, struct conn_job *job);
#endif
