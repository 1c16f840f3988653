/* SPDX-License-Identifier: MIT */
/*
 * site - a board with arenas, doorbells, sockets and spools, made as the
 * master makes them, for tests that play worker and interpreter themselves.
 */
#ifndef GCORN_TESTS_SITE_H
#define GCORN_TESTS_SITE_H

#include "core/board.h"

/* Aborts the test program when the machine refuses. */
struct board *site_new(uint32_t workers, uint32_t slots, uint32_t chunks);
void site_free(struct board *board);

/* A TCP socket that is bound and does not listen: for a ring that is fake. */
int site_listener(void);
#endif
