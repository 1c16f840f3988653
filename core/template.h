/* SPDX-License-Identifier: MIT */
/*
 * template - what the master says to the template process (the CPython that
 * interpreters are forked from) over a SOCK_SEQPACKET pair, one struct each.
 *
 * The template answers an order to fork by putting the new interpreter's pid
 * on the board before it takes the next order; the interpreter itself moves
 * its slot's state on and rings the master. It is forked twice, so that the
 * master (a subreaper) is its parent.
 */
#ifndef GCORN_CORE_TEMPLATE_H
#define GCORN_CORE_TEMPLATE_H

#include "base.h"

#define TEMPLATE_CPUS_MAX 4096
#define TEMPLATE_SLOT_NONE UINT32_MAX

enum template_op {
    TEMPLATE_FORK,   /* master: start interpreter `slot` */
    TEMPLATE_QUIT,   /* master: exit 0 */
    TEMPLATE_READY,  /* template: runtime up, with preload: application too */
    TEMPLATE_FAILED, /* template: it exits with `code` (3 or 4) */
};

struct template_message {
    uint32_t op;
    uint32_t slot;
    int32_t code;
    int32_t node;    /* preferred NUMA node, or -1 */
    uint32_t pinned; /* cpus is to be applied */
    uint64_t cpus[TEMPLATE_CPUS_MAX / 64];
};
#endif
