/* SPDX-License-Identifier: MIT */
/*
 * title - the process title that ps and top show.
 *
 * It is written over the arguments and the environment the kernel laid out
 * behind them; the environment moves to memory of its own first. A fork
 * inherits the title and may set another.
 */
#ifndef GCORN_PYTHON_TITLE_H
#define GCORN_PYTHON_TITLE_H

#include "core/base.h"

struct title {
    char *area; /* NULL: there is no room, setting does nothing */
    size_t room;
};

/* Before anything keeps a pointer into argv or environ. 0 or -ENOMEM. */
int title_init(struct title *title, int argc, char **argv);

void title_set(const struct title *title, const char *fmt, ...)
    printf_like(2, 3);
#endif
