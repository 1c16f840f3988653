/* SPDX-License-Identifier: MIT */
/*
 * huge_pages - where the kernel gives huge pages to everybody ("always"), the
 * first write to a page that a fork shares would copy 2 MiB instead of 4 KiB:
 * templates, and the interpreters forked from them, go without. Arenas ask for
 * them (core/arena.c), and get them where the system allows that for shared
 * memory.
 */
#ifndef GCORN_WORKERS_HUGE_PAGES_H
#define GCORN_WORKERS_HUGE_PAGES_H

#include <stdbool.h>

/* Does this system give them to everybody? */
bool huge_pages_always(void);

/* For this process, what it runs and what that forks: none, if so. */
void huge_pages_avoid(void);

#endif
