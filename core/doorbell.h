/* SPDX-License-Identifier: MIT */
/*
 * doorbell - an eventfd that wakes whoever sleeps in its ring or event loop.
 * Nobody reads it: who polls it hears each write.
 */
#ifndef GCORN_CORE_DOORBELL_H
#define GCORN_CORE_DOORBELL_H

#include "base.h"

#include <unistd.h>

/*
 * An eventfd cannot be full in practice and a signal does not interrupt a
 * write that does not block, so the result says nothing we could act on.
 */
static inline void doorbell_ring(int fd)
{
    uint64_t one = 1;
    ssize_t n = write(fd, &one, sizeof(one));

    (void)n;
}
#endif
