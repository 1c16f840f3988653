/* SPDX-License-Identifier: MIT */
/*
 * log - the error log: "[2026-11-22 21:50:50 +0000] [pid] [INFO] text", one
 * write(2) for each line, so that lines of several processes never mix.
 *
 * The descriptor is opened by the master with O_APPEND and inherited. This is
 * one of the two places in gcorn with static state.
 */
#ifndef GCORN_CORE_LOG_H
#define GCORN_CORE_LOG_H

#include "base.h"
#include "bytes.h"

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_CRITICAL,
};

/* Lines below level are dropped. Before the first call: stderr, info. */
void log_open(int fd, enum log_level level);

/* One JSON object a line, in the names of the Elastic Common Schema. */
void log_json(bool on);

/*
 * Who else hears of each line that is logged: at most LOG_SINKS_MAX. The text
 * is escaped; block is that of log_block(), as it is, else empty.
 */
#define LOG_SINKS_MAX 2
typedef void log_sink_fn(void *context, enum log_level level, const char *text,
                         struct bytes block);
void log_add_sink(log_sink_fn *sink, void *context);

int log_fd(void);
bool log_enabled(enum log_level level);

/* Returns false, and leaves *ret_level, for a name Gunicorn does not have. */
bool log_level_parse(const char *name, enum log_level *ret_level);

/* Control characters in the text are escaped, so no peer can forge a line. */
void log_line(enum log_level level, const char *fmt, ...) printf_like(2, 3);

/* Text of several lines (a traceback), written as it is in one write. */
void log_block(enum log_level level, const char *title, const char *text,
               size_t len);

/* At most one line a second from one call site; the next tells how many. */
struct log_limit {
    uint64_t last_ns;
    uint32_t dropped;
};

bool log_allow(struct log_limit *limit, uint32_t *ret_dropped);

#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_critical(...) log_line(LOG_LEVEL_CRITICAL, __VA_ARGS__)
#endif
