/* SPDX-License-Identifier: MIT */
/*
 * verify - are processes where the plan says? Some seconds after one serves,
 * its affinity is read back and its pages are counted; the log warns where
 * something is otherwise: a kernel that refused, an agent that moved it.
 */
#ifndef GCORN_WORKERS_VERIFY_H
#define GCORN_WORKERS_VERIFY_H

#include "workers/master.h"

void verify_settle(struct master *master);
#endif
