/* SPDX-License-Identifier: MIT */
/*
 * stamp - the lines Server and Date of a response, made once a second. Zeroed
 * memory is an empty one. With the GIL.
 */
#ifndef GCORN_PYTHON_STAMP_H
#define GCORN_PYTHON_STAMP_H

#include "internal.h"

#include <time.h>

struct stamp {
    time_t date;
    uint32_t len;
    char text[96];
};

/* "Server: ...\r\nDate: ...\r\n" */
struct bytes stamp_now(struct stamp *stamp);
#endif
