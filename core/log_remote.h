/* SPDX-License-Identifier: MIT */
/*
 * log_remote - the servers that hear of what is logged: syslog and statsd. Each
 * program opens its own sockets once, from the settings; forked processes
 * share them.
 */
#ifndef GCORN_CORE_LOG_REMOTE_H
#define GCORN_CORE_LOG_REMOTE_H

#include "statsd.h"
#include "syslog.h"

/* The settings of these names. Borrowed for the call. */
struct log_remote_config {
    bool syslog;
    const char *syslog_addr;
    const char *syslog_facility;
    const char *syslog_prefix;
    const char *name; /* of the server, where there is no prefix */
    const char *statsd_host;
    const char *statsd_prefix;
    const char *dogstatsd_tags;
};

struct log_remote {
    bool has_syslog;
    bool has_statsd;
    struct syslog syslog;
    struct statsd statsd;
};

/*
 * Opens what the settings ask for and listens to the log. What cannot be
 * reached is left out, with a warning: a server does not fail for want of it.
 * The struct must stay where it is.
 */
void log_remote_open(struct log_remote *remote,
                     const struct log_remote_config *config);
#endif
