/* SPDX-License-Identifier: MIT */
/*
 * ctl_show - what a server answered, as people like to read it: lists as
 * tables, everything else as lines. Knows no command: only what its answers
 * look like.
 */
#ifndef GCORN_WORKERS_CTL_SHOW_H
#define GCORN_WORKERS_CTL_SHOW_H

#include <jansson.h>
#include <stdio.h>

void ctl_show(const json_t *data, FILE *to);
#endif
