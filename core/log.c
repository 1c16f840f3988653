/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/uio.h>
#include <unistd.h>

#define TEXT_MAX 4096 /* of the text, before escaping */
#define PREFIX_MAX 96

static int out_fd = STDERR_FILENO;
static enum log_level out_level = LOG_LEVEL_INFO;

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
    char safe[TEXT_MAX];
    struct iovec iov[5];
    bool ended = len == 0 || text[len - 1] == '\n';

    if (!log_enabled(level))
        return;
    iov[0] = (struct iovec){prefix, prefix_format(prefix, level)};
    iov[1].iov_base = safe;
    iov[1].iov_len = escape(safe, title, min_u64(strlen(title), TEXT_MAX / 4));
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
