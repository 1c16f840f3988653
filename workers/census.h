/* SPDX-License-Identifier: MIT */
/*
 * census - what each process takes, its part of shared pages counted (PSS).
 *
 * To tell that, the kernel walks the pages of a process, milliseconds for each
 * GiB. So it is looked at only when somebody asks, at most once in a while, and
 * for so long a time that nobody else waits: what there is no time for keeps its
 * last value. Belongs to the observer.
 */
#ifndef GCORN_WORKERS_CENSUS_H
#define GCORN_WORKERS_CENSUS_H

#include "core/base.h"

#include <sys/types.h>

struct census_entry {
    pid_t pid;
    uint64_t pss_bytes; /* 0: not known */
    uint64_t taken_ns;  /* when it was looked at */
};

struct census {
    struct census_entry *entries; /* one for each place a process can have */
    uint32_t count;
    uint64_t until_ns; /* until when there is time to look */
};

/* 0, or -ENOMEM. */
int census_init(struct census *census, uint32_t places);
void census_done(struct census *census);

/* Somebody asks: from now on there are a few milliseconds. */
void census_begin(struct census *census, uint64_t now);

/* Bytes of the process in this place; 0 when there is none, or not yet known. */
uint64_t census_pss(struct census *census, uint32_t place, pid_t pid);
#endif
