/* SPDX-License-Identifier: MIT */
#include "topology/checks.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The table is ours: a line too many is our own bug. */
struct check *checks_add(struct checks *checks, const char *group,
                         const char *id, const char *title)
{
    struct check *check;

    must(checks->n < CHECKS_MAX);
    check = &checks->items[checks->n++];
    *check = (struct check){.id = id,
                            .group = group,
                            .title = title,
                            .status = CHECK_UNKNOWN,
                            .source = ""};
    return check;
}

struct check *checks_add_kernel(struct checks *checks, const char *id,
                                const char *title, const char *source)
{
    struct check *check = checks_add(checks, "kernel", id, title);

    check->source = source;
    return check;
}

void check_need(struct check *check, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(check->need, sizeof(check->need), format, args);
    va_end(args);
}

void check_found(struct check *check, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(check->found, sizeof(check->found), format, args);
    va_end(args);
}

void check_remedy(struct check *check, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(check->remedy, sizeof(check->remedy), format, args);
    va_end(args);
}

void check_that(struct check *check, bool holds, enum check_status otherwise)
{
    check->status = holds ? CHECK_PASS : otherwise;
}

void checks_summarize(const struct checks *checks,
                      struct checks_summary *ret_summary)
{
    struct checks_summary sum = {0};

    for (uint32_t i = 0; i < checks->n; i++) {
        const struct check *check = &checks->items[i];

        if (strcmp(check->group, "tier") == 0)
            sum.count[check->status]++;
        else if (check->status == CHECK_WARN || check->status == CHECK_FAIL)
            sum.kernel_warnings++;
    }
    sum.is_met = sum.count[CHECK_FAIL] == 0 && sum.count[CHECK_UNKNOWN] == 0;
    *ret_summary = sum;
}

const char *check_status_name(enum check_status status)
{
    static const char *const names[] = {
        [CHECK_PASS] = "pass",
        [CHECK_WARN] = "warn",
        [CHECK_FAIL] = "fail",
        [CHECK_UNKNOWN] = "unknown",
    };

    return names[status];
}

/* A name is what a vendor likes, and usable memory less than installed. */
const char *check_confidence(const struct check *check)
{
    if (check->status == CHECK_UNKNOWN)
        return "unknown";
    if (strcmp(check->source, "measured") == 0)
        return "measured";
    if (strcmp(check->source, "model name") == 0 ||
        strcmp(check->source, "kernel") == 0)
        return "inferred";
    return "reported";
}
