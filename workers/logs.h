/* SPDX-License-Identifier: MIT */
/*
 * logs - the log files: opened by the master before anything is forked, and
 * opened anew under the same descriptor numbers after they were rotated, by
 * each process for itself.
 */
#ifndef GCORN_WORKERS_LOGS_H
#define GCORN_WORKERS_LOGS_H

#include "core/log_remote.h"
#include "workers/config.h"
#include "core/owner.h"

struct logs {
    int error_fd;
    int access_fd;           /* -1: off */
    const char *error_path;  /* NULL: not a file */
    const char *access_path; /* NULL: not a file */
    bool access_wants_cpu;   /* the format asks for CPU times */
    bool capture;            /* standard streams are the error log's file */
    bool access_to_syslog;
    struct log_remote remote;
    uint32_t workers_told; /* to statsd: see gauges.c */
    uint64_t backlog_ns;   /* when it is told again */
    struct owner owner;
};

/* Relative names count from the current directory. 0, or -EINVAL. */
int logs_open(struct logs *logs, const struct config *config,
              const struct owner *owner, struct config_error *error);

/* Can this be the access log's format? 0, or -EINVAL. */
int logs_check(const struct config *config, struct config_error *error);

/* The access log's format is as config says. */
void logs_format(struct logs *logs, const struct config *config);

/*
 * The access log is turned on, off, or becomes or was standard output: for
 * processes that are forked from now on. Stays when it can't be opened.
 */
void logs_switch_access(struct logs *logs, const struct config *config);

/* The files are called as config says from now on; then logs_reopen(). */
void logs_follow(struct logs *logs, const struct config *config);

/*
 * For each process that writes, the master first. Keeps the old file, and
 * says so, when the new one cannot be opened.
 */
void logs_reopen(const struct logs *logs);
#endif
