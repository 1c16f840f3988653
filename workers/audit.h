/* SPDX-License-Identifier: MIT */
/*
 * audit - looks every few seconds at what interpreters take, before the
 * kernel has to kill one: over the alarm it says so, over the share the
 * interpreter is replaced, when its requests are done; one at a time.
 *
 * An application that is over the share from the start is only spoken of:
 * another copy would be as large.
 */
#ifndef GCORN_WORKERS_AUDIT_H
#define GCORN_WORKERS_AUDIT_H

#include "workers/master.h"

enum audit_verdict {
    AUDIT_FINE,
    AUDIT_ALARM,    /* to be spoken of */
    AUDIT_OVER,     /* to be replaced */
    AUDIT_HOPELESS, /* over, but was so when it began to serve */
};

/* Pure. @share 0 is no limit. */
enum audit_verdict audit_judge(uint64_t bytes, uint64_t first_bytes,
                               uint64_t share);

/* Bytes each interpreter may grow to; 0: nobody knows. */
uint64_t audit_share(const struct master *master);

void audit_settle(struct master *master);
#endif
