/* SPDX-License-Identifier: MIT */
/*
 * conn_stage - a worker's connections on the fake ring, with clients and
 * interpreters that do what a string of bytes says. For fuzz_conn and
 * fuzz_arena.
 *
 * The first two bytes seed the ring and choose its faults; then each step is
 * one byte for what happens and some for how much of it.
 */
#ifndef GCORN_TESTS_CONN_STAGE_H
#define GCORN_TESTS_CONN_STAGE_H

#include "core/conn_set.h"
#include "core/exchange_take.h"
#include "core/exchange_writer.h"

#include "../unit/fake_ring.h"
#include "../unit/site.h"

#define STAGE_SLOTS 64
#define STAGE_CHUNKS 128
#define STAGE_CALLS 3
#define STAGE_CLIENTS 6

/* A thread of an interpreter, one step at a time. */
struct stage_call {
    bool active;
    struct exchange_thread thread;
    struct exchange_writer writer;
};

struct stage_client {
    int fd;
    bool over; /* sends no more */
    bool reset;
};

struct stage {
    const uint8_t *script;
    size_t left;
    uint64_t clock_ns;
    struct board *board;
    struct exchange_table table;
    struct exchange_site site;
    struct conn_config config;
    struct conn_set *set;
    struct ring *ring;
    struct access_log *log;
    int file_fd;
    int log_fd;
    struct stage_call calls[STAGE_CALLS];
    struct stage_client clients[STAGE_CLIENTS];
};

/* NULL when the script is too short to be one. */
struct stage *stage_new(const uint8_t *script, size_t size);
void stage_free(struct stage *stage);

/* The next byte of the script; 0 at its end. */
uint8_t stage_byte(struct stage *stage);

/* One step; false at the end of the script. */
bool stage_step(struct stage *stage, uint8_t what);

/* Peers leave, interpreters let go; false if it takes for ever. */
bool stage_end(struct stage *stage);
#endif
