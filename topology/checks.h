/* SPDX-License-Identifier: MIT */
/*
 * checks - what was compared with what is needed, line by line.
 *
 * A value that could not be read is `unknown`: neither a pass nor a failure.
 */
#ifndef GCORN_TOPOLOGY_CHECKS_H
#define GCORN_TOPOLOGY_CHECKS_H

#include <stdint.h>

#include "core/base.h"

#define CHECKS_MAX 64
#define CHECK_TEXT 128

enum check_status { CHECK_PASS, CHECK_WARN, CHECK_FAIL, CHECK_UNKNOWN };

struct check {
    const char *id;    /* "cpu.base_clock" */
    const char *group; /* "tier" or "kernel" */
    const char *title; /* "base clock" */
    enum check_status status;
    const char *source; /* what said so */
    char need[CHECK_TEXT];
    char found[CHECK_TEXT];
    char remedy[2 * CHECK_TEXT]; /* a command, or where to look; or "" */
};

struct checks {
    uint32_t n;
    struct check items[CHECKS_MAX];
};

struct checks_summary {
    uint32_t count[4]; /* by enum check_status, of the tier's lines */
    uint32_t kernel_warnings;
    bool is_met; /* no failure and nothing unknown in the tier */
};

/* Returns a new line with status unknown. */
struct check *checks_add(struct checks *checks, const char *group,
                         const char *id, const char *title);
/* The same, of the group "kernel", and what said so. */
struct check *checks_add_kernel(struct checks *checks, const char *id,
                                const char *title, const char *source);
printf_like(2, 3) void check_need(struct check *check, const char *format, ...);
printf_like(2, 3) void check_found(struct check *check, const char *format,
                                   ...);
printf_like(2, 3) void check_remedy(struct check *check, const char *format,
                                    ...);
/* Pass, or @otherwise. */
void check_that(struct check *check, bool holds, enum check_status otherwise);

void checks_summarize(const struct checks *checks,
                      struct checks_summary *ret_summary);
/* "measured", "reported", "inferred" from something else, "unknown". */
const char *check_confidence(const struct check *check);
/* "pass", "warn", "fail", "unknown" */
const char *check_status_name(enum check_status status);

#endif
