/* SPDX-License-Identifier: MIT */
#include "syslog.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_MAX 9216
/* Lines of one traceback. */
#define LINES_MAX 200

static const struct {
    const char *name;
    int number;
} facilities[] = {
    {"kern", 0},    {"user", 1},     {"mail", 2},    {"daemon", 3},
    {"auth", 4},    {"security", 4}, {"syslog", 5},  {"lpr", 6},
    {"news", 7},    {"uucp", 8},     {"cron", 9},    {"authpriv", 10},
    {"ftp", 11},    {"local0", 16},  {"local1", 17}, {"local2", 18},
    {"local3", 19}, {"local4", 20},  {"local5", 21}, {"local6", 22},
    {"local7", 23},
};

int syslog_facility(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(facilities); i++)
        if (strcasecmp(name, facilities[i].name) == 0)
            return facilities[i].number;
    return -1;
}

/* What listens there is journald, or a syslogd's module for local programs. */
static bool is_local(const struct datagram *to)
{
    const char *path = ((const struct sockaddr_un *)&to->to)->sun_path;

    return to->to.ss_family == AF_UNIX &&
           (strcmp(path, "/dev/log") == 0 || strcmp(path, "/run/log") == 0 ||
            strncmp(path, "/run/systemd/", 13) == 0);
}

void syslog_init(struct syslog *syslog, int facility, const char *name)
{
    size_t n = 0;

    syslog->facility = facility;
    syslog->local = is_local(&syslog->to);
    /* A tag ends at the first character that is none of these. */
    for (; name[n] != '\0' && n < sizeof(syslog->name) - 1; n++)
        syslog->name[n] = isalnum((unsigned char)name[n]) ||
                                  strchr("-_./", name[n]) != NULL
                              ? name[n]
                              : '.';
    syslog->name[n] = '\0';
    if (gethostname(syslog->host, sizeof(syslog->host) - 1) < 0)
        snprintf(syslog->host, sizeof(syslog->host), "-");
    syslog->host[sizeof(syslog->host) - 1] = '\0';
}

static int severity(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_DEBUG:
        return 7;
    case LOG_LEVEL_INFO:
        return 6;
    case LOG_LEVEL_WARNING:
        return 4;
    case LOG_LEVEL_ERROR:
        return 3;
    case LOG_LEVEL_CRITICAL:
        return 2;
    }
    return 6;
}

/* <14>Nov 24 20:08:01 gunicorn.app.access[123]: */
static int begin_local(const struct syslog *syslog, char *out, int priority,
                       const char *kind)
{
    time_t now = time(NULL);
    char date[32];
    struct tm tm;

    localtime_r(&now, &tm);
    strftime(date, sizeof(date), "%b %e %H:%M:%S", &tm);
    return snprintf(out, MESSAGE_MAX, "<%d>%s gunicorn.%s.%s[%d]: ", priority,
                    date, syslog->name, kind, (int)getpid());
}

/* <14>1 2026-11-24T20:08:01.123456Z host gunicorn.app.access 123 - - */
static int begin(const struct syslog *syslog, char *out, int priority,
                 const char *kind)
{
    struct timeval now;
    char date[32];
    struct tm tm;

    gettimeofday(&now, NULL);
    gmtime_r(&now.tv_sec, &tm);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    return snprintf(out, MESSAGE_MAX,
                    "<%d>1 %s.%06ldZ %s gunicorn.%s.%s %d - - ", priority, date,
                    (long)now.tv_usec, syslog->host, syslog->name, kind,
                    (int)getpid());
}

void syslog_send(struct syslog *syslog, enum log_level level, const char *kind,
                 struct bytes text)
{
    int priority = syslog->facility * 8 + severity(level);
    char message[MESSAGE_MAX];
    int n = syslog->local ? begin_local(syslog, message, priority, kind)
                          : begin(syslog, message, priority, kind);

    must(n > 0 && n < MESSAGE_MAX);
    text.n = min_u64(text.n, (size_t)(MESSAGE_MAX - n));
    memcpy(message + n, text.p, text.n);
    datagram_send(&syslog->to, (struct bytes){message, (size_t)n + text.n});
}

void syslog_on_log(void *context, enum log_level level, const char *text,
                   struct bytes block)
{
    struct syslog *syslog = context;

    syslog_send(syslog, level, "error", bytes_of(text));
    for (uint32_t i = 0; block.n > 0 && i < LINES_MAX; i++) {
        const char *end = memchr(block.p, '\n', block.n);
        size_t len = end ? (size_t)(end - block.p) : block.n;

        if (len > 0)
            syslog_send(syslog, level, "error", (struct bytes){block.p, len});
        len += end != NULL;
        block.p += len;
        block.n -= len;
    }
}
