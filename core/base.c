/* SPDX-License-Identifier: MIT */
#include "base.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * The state of the process is not to be trusted any more, so nothing here
 * allocates, locks or asks the log where to write.
 */
_Noreturn void must_failed(const char *expr, const char *file, int line)
{
    char text[512];
    int len = snprintf(text, sizeof(text), "gcorn: %s:%d: must(%s) failed\n",
                       file, line, expr);

    if (len > 0) {
        size_t n = min_u64((uint64_t)len, sizeof(text) - 1);
        ssize_t written = write(STDERR_FILENO, text, n);

        (void)written; /* there is nobody left to tell */
    }
    abort();
}
