/* SPDX-License-Identifier: MIT */
#include "log.h"

#include "json_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAX 4096 /* of the text, before escaping */
#define PREFIX_MAX 96
#define JSON_PREFIX_MAX 256

static int out_fd = STDERR_FILENO;
static enum log_level out_level = LOG_LEVEL_INFO;
static bool out_json;
static struct {
    log_sink_fn *sink;
    void *context;
} sinks[LOG_SINKS_MAX];

/* strftime() and the time zone rules cost more than the rest of a line. */
static _Thread_local time_t date_second = -1;
static _Thread_local char date_text[40];

static const char *const level_names[] = {
    [LOG_LEVEL_DEBUG] = "DEBUG",       [LOG_LEVEL_INFO] = "INFO",
    [LOG_LEVEL_WARNING] = "WARNING",   [LOG_LEVEL_ERROR] = "ERROR",
    [LOG_LEVEL_CRITICAL] = "CRITICAL",
};

static const char *date_now(void)
{
    struct tm tm;
    time_t now = time(NULL);

    if (now == date_second)
        return date_text;
    if (localtime_r(&now, &tm) == NULL ||
        strftime(date_text, sizeof(date_text), "%Y-%m-%d %H:%M:%S %z", &tm) ==
            0)
        return "-";
    date_second = now;
    return date_text;
}

/* getpid() each time: the template forks, and a cached pid would lie. */
static size_t prefix_format(char out[PREFIX_MAX], enum log_level level)
{
    int n = snprintf(out, PREFIX_MAX, "[%s] [%d] [%s] ", date_now(),
                     (int)getpid(), level_names[level]);

    must(n > 0 && n < PREFIX_MAX);
    return (size_t)n;
}

/* A log that cannot be written must not stop the server: failures are lost. */
static void write_all(struct iovec *iov, int count)
{
    ssize_t n;

    do {
        n = writev(out_fd, iov, count);
    } while (n < 0 && errno == EINTR);
}

/* Writes at most 4 bytes and returns how many. */
static size_t escape_byte(char *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";

    if (c >= 0x20 && c != 0x7f) {
        out[0] = (char)c;
        return 1;
    }
    out[0] = '\\';
    if (c == '\n' || c == '\r' || c == '\t') {
        out[1] = c == '\n' ? 'n' : c == '\r' ? 'r' : 't';
        return 2;
    }
    out[1] = 'x';
    out[2] = hex[c >> 4];
    out[3] = hex[c & 15];
    return 4;
}

static size_t escape(char *out, const char *text, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++)
        n += escape_byte(out + n, (unsigned char)text[i]);
    return n;
}

void log_open(int fd, enum log_level level)
{
    out_fd = fd;
    out_level = level;
    date_second = -1; /* TZ may have been set since */
}

void log_json(bool on)
{
    out_json = on;
}

void log_add_sink(log_sink_fn *sink, void *context)
{
    size_t i = 0;

    while (sinks[i].sink != NULL)
        must(++i < LOG_SINKS_MAX);
    sinks[i].sink = sink;
    sinks[i].context = context;
}

static void tell_sinks(enum log_level level, char *text, size_t len,
                       struct bytes block)
{
    char end = text[len];

    text[len] = '\0';
    for (size_t i = 0; i < LOG_SINKS_MAX && sinks[i].sink != NULL; i++)
        sinks[i].sink(sinks[i].context, level, text, block);
    text[len] = end;
}

int log_fd(void)
{
    return out_fd;
}

bool log_enabled(enum log_level level)
{
    return level >= out_level;
}

bool log_level_parse(const char *name, enum log_level *ret_level)
{
    for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
        if (strcasecmp(name, level_names[i]) != 0)
            continue;
        *ret_level = (enum log_level)i;
        return true;
    }
    return false;
}

/* The beginning of an object, in the names of the Elastic Common Schema. */
static size_t json_begin(char *out, size_t room, enum log_level level)
{
    struct timespec now;
    char date[32];
    char name[16];
    struct tm tm;
    size_t n = 0;

    for (; level_names[level][n] != '\0'; n++)
        name[n] = (char)(level_names[level][n] | 0x20);
    name[n] = '\0';
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    return (size_t)snprintf(
        out, room,
        "{\"@timestamp\":\"%s.%03ldZ\",\"log.level\":\"%s\","
        "\"ecs.version\":\"8.11.0\",\"log.logger\":\"gcorn.error\","
        "\"process\":{\"pid\":%d},\"message\":\"",
        date, now.tv_nsec / 1000000, name, (int)getpid());
}

static void write_json(enum log_level level, struct bytes text)
{
    char line[JSON_PREFIX_MAX + TEXT_MAX * 6 + 4];
    size_t n = json_begin(line, JSON_PREFIX_MAX, level);

    n += json_text(line + n, (size_t)TEXT_MAX * 6, text);
    memcpy(line + n, "\"}\n", 3);
    write_all(&(struct iovec){line, n + 3}, 1);
}

/* Of any length: only a traceback is, and what fails to be shown is lost. */
static void write_json_block(enum log_level level, const char *title,
                             struct bytes text)
{
    size_t room = JSON_PREFIX_MAX + TEXT_MAX * 6 + text.n * 6 + 64;
    char *line = malloc(room);
    size_t n;

    if (line == NULL)
        return;
    n = json_begin(line, JSON_PREFIX_MAX, level);
    n += json_text(line + n, (size_t)TEXT_MAX * 6, bytes_of(title));
    n += (size_t)snprintf(line + n, 32, "\",\"error\":{\"stack_trace\":\"");
    n += json_text(line + n, room - n - 8, text);
    memcpy(line + n, "\"}}\n", 4);
    write_all(&(struct iovec){line, n + 4}, 1);
    free(line);
}

void log_line(enum log_level level, const char *fmt, ...)
{
    char text[TEXT_MAX];
    char line[PREFIX_MAX + TEXT_MAX * 4 + 4];
    va_list args;
    size_t n;
    int len;

    if (!log_enabled(level))
        return;
    va_start(args, fmt);
    len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (len < 0)
        return;
    if (unlikely(sinks[0].sink != NULL)) {
        n = escape(line, text, min_u64((uint64_t)len, sizeof(text) - 1));
        tell_sinks(level, line, n, (struct bytes){"", 0});
    }
    if (out_json) {
        write_json(level,
                   (struct bytes){text, min_u64((uint64_t)len, TEXT_MAX - 1)});
        return;
    }
    n = prefix_format(line, level);
    n += escape(line + n, text, min_u64((uint64_t)len, sizeof(text) - 1));
    if ((size_t)len >= sizeof(text)) {
        memcpy(line + n, "...", 3);
        n += 3;
    }
    line[n++] = '\n';
    write_all(&(struct iovec){line, n}, 1);
}

void log_block(enum log_level level, const char *title, const char *text,
               size_t len)
{
    char prefix[PREFIX_MAX];
    char safe[TEXT_MAX + 1];
    struct iovec iov[5];
    bool ended = len == 0 || text[len - 1] == '\n';

    if (!log_enabled(level))
        return;
    iov[1].iov_base = safe;
    iov[1].iov_len = escape(safe, title, min_u64(strlen(title), TEXT_MAX / 4));
    if (unlikely(sinks[0].sink != NULL))
        tell_sinks(level, safe, iov[1].iov_len, (struct bytes){text, len});
    if (out_json) {
        write_json_block(level, title, (struct bytes){text, len});
        return;
    }
    iov[0] = (struct iovec){prefix, prefix_format(prefix, level)};
    iov[2] = (struct iovec){(char[]){'\n'}, 1};
    iov[3] = (struct iovec){(char *)(uintptr_t)text, len};
    iov[4] = (struct iovec){(char[]){'\n'}, ended ? 0 : 1};
    write_all(iov, ARRAY_SIZE(iov));
}

bool log_allow(struct log_limit *limit, uint32_t *ret_dropped)
{
    uint64_t now = now_ns();

    if (limit->last_ns != 0 && now - limit->last_ns < NS_PER_S) {
        limit->dropped++;
        return false;
    }
    *ret_dropped = limit->dropped;
    limit->last_ns = now;
    limit->dropped = 0;
    return true;
}
