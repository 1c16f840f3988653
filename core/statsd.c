/* SPDX-License-Identifier: MIT */
#include "statsd.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void statsd_init(struct statsd *statsd, const char *prefix, const char *tags)
{
    size_t n = strlen(prefix);

    while (n > 0 && prefix[n - 1] == '.')
        n--;
    statsd->used = 0;
    snprintf(statsd->prefix, sizeof(statsd->prefix), "%.*s%s", (int)n, prefix,
             n > 0 ? "." : "");
    snprintf(statsd->tags, sizeof(statsd->tags), "%s", tags);
}

void statsd_flush(struct statsd *statsd)
{
    if (statsd->used == 0)
        return;
    /* Lines are separated; a single metric looks as Gunicorn sends it. */
    datagram_send(&statsd->to,
                  (struct bytes){statsd->buffer, statsd->used - 1});
    statsd->used = 0;
}

static printf_like(2, 3) void put(struct statsd *statsd, const char *fmt, ...)
{
    const char *mark = statsd->tags[0] != '\0' ? "|#" : "";
    char metric[256];
    size_t need;
    va_list args;

    va_start(args, fmt);
    vsnprintf(metric, sizeof(metric), fmt, args);
    va_end(args);
    need = strlen(statsd->prefix) + strlen(metric) + strlen(mark) +
           strlen(statsd->tags) + 2;
    if (need > sizeof(statsd->buffer))
        return;
    if (need > sizeof(statsd->buffer) - statsd->used)
        statsd_flush(statsd);
    statsd->used += (size_t)snprintf(statsd->buffer + statsd->used, need,
                                     "%s%s%s%s\n", statsd->prefix, metric, mark,
                                     statsd->tags);
}

void statsd_request(struct statsd *statsd, int status, uint64_t duration_ns)
{
    put(statsd, "gunicorn.request.duration:%.3f|ms", (double)duration_ns / 1e6);
    put(statsd, "gunicorn.requests:1|c|@1.0");
    put(statsd, "gunicorn.request.status.%d:1|c|@1.0", status);
}

void statsd_add(struct statsd *statsd, const char *name, int64_t value,
                const char *type)
{
    put(statsd, "gunicorn.%s:%lld|%s%s", name, (long long)value, type,
        type[0] == 'c' ? "|@1.0" : "");
}

void statsd_on_log(void *context, enum log_level level, const char *text,
                   struct bytes block)
{
    struct statsd *statsd = context;
    const char *name = block.n > 0                   ? "log.exception"
                       : level == LOG_LEVEL_CRITICAL ? "log.critical"
                       : level == LOG_LEVEL_ERROR    ? "log.error"
                       : level == LOG_LEVEL_WARNING  ? "log.warning"
                                                     : NULL;

    (void)text;
    if (name == NULL)
        return;
    statsd_add(statsd, name, 1, "c");
    statsd_flush(statsd);
}
