/* SPDX-License-Identifier: MIT */
/*
 * title - what ps shows of this process.
 *
 * The kernel shows the memory that argv was given in, so the title is written
 * there; the environment behind it is moved away to make room.
 */
#ifndef GCORN_WORKERS_TITLE_H
#define GCORN_WORKERS_TITLE_H

#include <stddef.h>

struct title {
    char *start;
    size_t room; /* 0: titles are left alone */
};

/* Call once, before anything keeps pointers into argv or the environment. */
void title_init(struct title *title, int argc, char **argv);

/* "gcorn: ROLE [NAME]"; also sets the thread's short name. */
void title_set(const struct title *title, const char *role, const char *name);
#endif
