/* SPDX-License-Identifier: MIT */
#include "access_log.h"

#include "access_line.h"
#include "log.h"
#include "statsd.h"
#include "syslog.h"

#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES 65536
#define FLUSH_BYTES 8192
#define FLUSH_NS (100 * NS_PER_MS)

struct access_log {
    int fd;
    struct syslog *syslog;
    struct statsd *statsd;
    struct access_place place;
    size_t line_max;   /* longer lines are cut */
    bool is_pipe;      /* somebody reads it, and may be slow */
    bool torn;         /* the last write ended inside a line */
    uint64_t dropped;  /* lines, for want of a reader */
    uint64_t since_ns; /* of the oldest line that waits */
    size_t used;
    struct access_format format;
    struct log_limit limit;
    char buffer[BUFFER_BYTES];
};

/* What several processes write to a pipe stays whole up to PIPE_BUF. */
static void look_at_file(struct access_log *log)
{
    struct stat st;

    log->is_pipe = log->fd >= 0 && fstat(log->fd, &st) == 0 &&
                   (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
    log->line_max = log->is_pipe ? PIPE_BUF : ACCESS_LINE_BYTES;
}

int access_log_new(struct access_log **ret_log,
                   const struct access_config *config)
{
    struct access_log *log = calloc(1, sizeof(*log));
    int error;

    if (!log)
        return -ENOMEM;
    log->fd = config->fd;
    log->syslog = config->syslog;
    log->statsd = config->statsd;
    log->place = config->place;
    look_at_file(log);
    error = access_format_init(&log->format, config->format);
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

/* As many whole lines as fit; the first one, whatever it takes. */
static size_t piece_of(const struct access_log *log, size_t done)
{
    size_t left = log->used - done;
    const char *end;

    if (!log->is_pipe || left <= PIPE_BUF)
        return left;
    end = memrchr(log->buffer + done, '\n', PIPE_BUF);
    must(end); /* no line is longer */
    return (size_t)(end - (log->buffer + done)) + 1;
}

/* A reader that is slow must not stop the server: a pipe that is ready takes
 * PIPE_BUF bytes without making us wait. */
static bool is_ready(const struct access_log *log)
{
    struct pollfd poller = {.fd = log->fd, .events = POLLOUT};

    return !log->is_pipe || poll(&poller, 1, 0) > 0;
}

/* A disk that was full in the middle of a line: the next begins a new one. */
static void mend(struct access_log *log)
{
    if (log->torn && write(log->fd, "\n", 1) == 1)
        log->torn = false;
}

/* Returns how much is written. */
static size_t write_out(struct access_log *log)
{
    size_t done = 0;

    mend(log);
    while (done < log->used && is_ready(log)) {
        ssize_t n = write(log->fd, log->buffer + done, piece_of(log, done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            complain(log, errno);
            log->torn = done > 0 && log->buffer[done - 1] != '\n';
            return log->used;
        }
        done += (size_t)n;
    }
    return done;
}

void access_log_flush(struct access_log *log)
{
    size_t done = log->fd >= 0 ? write_out(log) : log->used;

    log->used -= done;
    memmove(log->buffer, log->buffer + done, log->used);
}

static bool has_room(const struct access_log *log)
{
    return BUFFER_BYTES - log->used >= log->line_max;
}

static void drop(struct access_log *log)
{
    uint32_t unsaid;

    log->dropped++;
    if (log_allow(&log->limit, &unsaid))
        log_warning("Whoever reads the access log is too slow: %llu lines "
                    "were dropped so far",
                    (unsigned long long)log->dropped);
}

static void to_syslog(struct access_log *log, const struct access_entry *entry)
{
    char text[ACCESS_LINE_BYTES];
    size_t n = access_line(&log->format, entry, text, sizeof(text));

    syslog_send(log->syslog, LOG_LEVEL_INFO, "access",
                (struct bytes){text, n - 1});
}

void access_log_add(struct access_log *log, struct access_entry *entry,
                    uint64_t now)
{
    entry->place = &log->place;
    if (log->statsd)
        statsd_request(log->statsd, entry->status, entry->duration_ns);
    if (log->syslog)
        to_syslog(log, entry);
    if (log->fd < 0)
        return;
    if (!has_room(log))
        access_log_flush(log);
    if (!has_room(log)) {
        drop(log);
        return;
    }
    if (log->used == 0)
        log->since_ns = now;
    log->used += access_line(&log->format, entry, log->buffer + log->used,
                             log->line_max);
}

void access_log_turn(struct access_log *log, uint64_t now)
{
    if (log->statsd)
        statsd_flush(log->statsd);
    if (log->used > FLUSH_BYTES || access_log_due(log, now) == 0)
        access_log_flush(log);
}

uint64_t access_log_due(const struct access_log *log, uint64_t now)
{
    if (log->used == 0)
        return UINT64_MAX;
    return log->since_ns + FLUSH_NS > now ? log->since_ns + FLUSH_NS - now : 0;
}
