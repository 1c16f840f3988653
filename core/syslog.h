/* SPDX-License-Identifier: MIT */
/*
 * syslog - log lines to a syslog server, each a datagram: in the format of RFC
 * 5424, or, for the sockets of the local system (/dev/log), in the older one,
 * which is all that their readers understand.
 *
 * The name is Gunicorn's: gunicorn.NAME.error, gunicorn.NAME.access.
 */
#ifndef GCORN_CORE_SYSLOG_H
#define GCORN_CORE_SYSLOG_H

#include "datagram.h"
#include "log.h"

#define SYSLOG_PORT 514

struct syslog {
    struct datagram to;
    int facility; /* 0 to 23 */
    bool local;   /* the older format */
    char name[40];
    char host[256];
};

/* -1 for a name that Gunicorn does not have. */
int syslog_facility(const char *name);

/* The address is parsed and opened by the caller. */
void syslog_init(struct syslog *syslog, int facility, const char *name);

/* kind is "error" or "access". Control characters are escaped by the caller. */
void syslog_send(struct syslog *syslog, enum log_level level, const char *kind,
                 struct bytes text);

/* A log_sink_fn; context is the syslog. */
void syslog_on_log(void *context, enum log_level level, const char *text,
                   struct bytes block);
#endif
