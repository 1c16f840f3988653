/* SPDX-License-Identifier: MIT */
/*
 * access_log - one line for each request, in Gunicorn's format language.
 *
 * The format is compiled once into a table of atoms. Lines collect in a buffer
 * and are written whole, so lines of several workers never mix (the descriptor
 * is O_APPEND). Everything that a client sent is escaped: it cannot end a line
 * or a quoted field.
 */
#ifndef GCORN_CORE_ACCESS_LOG_H
#define GCORN_CORE_ACCESS_LOG_H

#include "exchange_peer.h"
#include "http.h"

#define ACCESS_LOG_DEFAULT                                                     \
    "%(h)s %(l)s %(u)s %(t)s \"%(r)s\" %(s)s %(b)s \"%(f)s\" \"%(a)s\""

struct access_log;

/* Where requests are served; the same for all of a worker. */
struct access_place {
    uint32_t worker;
    int32_t node; /* -1: unknown */
    char cpus[64];
    uint64_t started_ns;
};

/* What is known about a finished request. Everything is borrowed. */
struct access_entry {
    const struct http_request *request;
    const char *head;                /* request->head_len bytes */
    const struct http_field *fields; /* request->field_count */
    const struct exchange_peer *peer;
    struct bytes response_head; /* for {Name}o; may be empty */
    uint64_t bytes;             /* of the response's body */
    uint64_t duration_ns;
    int status;
    int pid;                           /* of the interpreter, 0: none */
    const struct access_place *place;  /* filled in by access_log_add() */
    const struct exchange_peer *proxy; /* whose connection it is */
    uint64_t connection;               /* its number in this worker */
    uint32_t number;                   /* of the request on it, from 1 */
    uint64_t queue_ns;                 /* 0: it never ran, so of app_ns */
    uint64_t app_ns;
    uint64_t cpu_ns; /* 0: not measured */
    uint64_t bytes_in;
};

struct statsd;
struct syslog;

struct access_config {
    int fd;             /* -1: no file */
    const char *format; /* or "json" */
    struct access_place place;
    struct syslog *syslog; /* NULL: not there */
    struct statsd *statsd; /* NULL: not there */
};

/* Compiles the format. Returns 0, -EINVAL or -ENOMEM. */
int access_log_new(struct access_log **ret_log,
                   const struct access_config *config);

/* Flushes. */
void access_log_free(struct access_log *log);

/* The format names a field of the response. */
bool access_log_wants_response(const struct access_log *log);

void access_log_add(struct access_log *log, struct access_entry *entry,
                    uint64_t now);

/* Writes when much or something old is waiting. */
void access_log_turn(struct access_log *log, uint64_t now);

/* In how many nanoseconds something has to be written; UINT64_MAX: nothing. */
uint64_t access_log_due(const struct access_log *log, uint64_t now);

void access_log_flush(struct access_log *log);
#endif
