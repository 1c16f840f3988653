/* SPDX-License-Identifier: MIT */
/*
 * futex - sleep on a word of shared memory until another process changes it.
 *
 * Whoever waits looks at the word again afterwards: it may have been woken by
 * the clock, by a signal, or by somebody who meant the word's last use.
 */
#ifndef GCORN_CORE_FUTEX_H
#define GCORN_CORE_FUTEX_H

#include "base.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Sleeps while the word is `seen`, at most ns. */
static inline void futex_wait(_Atomic uint32_t *word, uint32_t seen,
                              uint64_t ns)
{
    struct timespec limit = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};

    syscall(SYS_futex, word, FUTEX_WAIT, seen, &limit, NULL, 0);
}

static inline void futex_wake_one(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static inline void futex_wake_all(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}
#endif
