/* SPDX-License-Identifier: MIT */
/*
 * template - what the master and the template process (the CPython that
 * interpreters are forked from) say to each other over a SOCK_SEQPACKET pair.
 *
 *   master                            template
 *   ASK (settings)                    starts Python, runs the configuration
 *                                     file
 *                                     FILE (settings), or FAILED
 *   BOARD, FILES (descriptors)        takes them under the master's numbers
 *   GO (settings, final)              loads what is to be preloaded
 *                                     READY, or FAILED
 *   FORK, HOOK ... QUIT
 *
 * ASK, FILE and GO are a struct settings, the others a struct
 * template_message. BOARD and FILES may also come before ASK: errors in the
 * configuration file are in the log then, else on standard error.
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
#define TEMPLATE_FILES_MAX 60 /* descriptors in one message */

enum template_op {
    TEMPLATE_FORK,   /* master: start interpreter `slot` */
    TEMPLATE_QUIT,   /* master: exit 0 */
    TEMPLATE_READY,  /* template: runtime up, with preload: application too */
    TEMPLATE_FAILED, /* template: it exits with `code` (1, 3 or 4) */
    TEMPLATE_ASK,    /* master: python, cwd, config and what it may set */
    TEMPLATE_FILE,   /* template: what the configuration file sets */
    TEMPLATE_BOARD,  /* master: board, master's doorbell, error log */
    TEMPLATE_FILES,  /* master: those of workers from `slot` on */
    TEMPLATE_GO,     /* master: the settings that count */
    TEMPLATE_HOOK,   /* master: enum template_hook in `code` happened */
    TEMPLATE_HOOKED, /* template: the hook on_starting has returned */
};

/* What the master tells of, for the hooks of the configuration file. */
enum template_hook {
    TEMPLATE_ON_STARTING,
    TEMPLATE_WHEN_READY,
    TEMPLATE_NWORKERS_CHANGED, /* `age` workers, `before` (-1: first time) */
    TEMPLATE_CHILD_EXIT,       /* interpreter `pid` */
    TEMPLATE_ON_RELOAD,
    TEMPLATE_PRE_EXEC,
    TEMPLATE_ON_EXIT,
};

struct template_message {
    uint32_t op;
    uint32_t slot;
    int32_t code;    /* FORK: nothing has served yet */
    int32_t node;    /* preferred NUMA node, or -1 */
    uint32_t pinned; /* cpus is to be applied */
    int32_t pid;
    uint32_t age; /* FORK: how many interpreters were started before */
    int32_t before;
    uint64_t cpus[TEMPLATE_CPUS_MAX / 64];
};
#endif
