/* SPDX-License-Identifier: MIT */
#include "access_log.h"

#include "access_line.h"
#include "log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES 65536
#define FLUSH_BYTES 8192
#define FLUSH_NS (100 * NS_PER_MS)

struct access_log {
    int fd;
    uint64_t since_ns; /* of the oldest line that waits */
    size_t used;
    struct access_format format;
    struct log_limit limit;
    char buffer[BUFFER_BYTES];
};

int access_log_new(struct access_log **ret_log, int fd, const char *format)
{
    struct access_log *log = calloc(1, sizeof(*log));
    int error;

    if (!log)
        return -ENOMEM;
    log->fd = fd;
    error = access_format_init(&log->format, format);
    if (error)
        free(log);
    else
        *ret_log = log;
    return error;
}

void access_log_free(struct access_log *log)
{
    if (!log)
        return;
    access_log_flush(log);
    access_format_done(&log->format);
    free(log);
}

bool access_log_wants_response(const struct access_log *log)
{
    return log->format.wants_response;
}

/* The request is served all the same when its line cannot be written. */
static void complain(struct access_log *log, int error)
{
    uint32_t dropped;

    if (log_allow(&log->limit, &dropped))
        log_error("The access log cannot be written: %s", strerror(error));
}

void access_log_flush(struct access_log *log)
{
    size_t done = 0;

    while (done < log->used) {
        ssize_t n = write(log->fd, log->buffer + done, log->used - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            complain(log, errno);
            break;
        }
        done += (size_t)n;
    }
    log->used = 0;
}

void access_log_add(struct access_log *log, const struct access_entry *entry,
                    uint64_t now)
{
    size_t len;

    if (BUFFER_BYTES - log->used < ACCESS_LINE_BYTES)
        access_log_flush(log);
    if (log->used == 0)
        log->since_ns = now;
    len = access_line(&log->format, entry, log->buffer + log->used);
    log->used += len;
}

void access_log_turn(struct access_log *log, uint64_t now)
{
    if (log->used > FLUSH_BYTES || access_log_due(log, now) == 0)
        access_log_flush(log);
}

uint64_t access_log_due(const struct access_log *log, uint64_t now)
{
    if (log->used == 0)
        return UINT64_MAX;
    return log->since_ns + FLUSH_NS > now ? log->since_ns + FLUSH_NS - now : 0;
}
