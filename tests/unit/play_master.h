/* SPDX-License-Identifier: MIT */
/*
 * play_master - a master and one worker for tests of the host: starts a real
 * gcorn-python, orders interpreters, hands them requests through a real arena
 * and reads their responses. Everything waits with a limit and fails loudly.
 *
 * The calling process must be able to adopt orphans (play_start() asks for
 * it), and has no other children while it plays.
 */
#ifndef GCORN_TESTS_PLAY_MASTER_H
#define GCORN_TESTS_PLAY_MASTER_H

#include "core/board_interp.h"
#include "core/exchange_worker.h"
#include "core/template.h"

#define PLAY_SECONDS 60 /* sanitizers and a busy machine are slow */

struct play {
    struct board *board;
    struct exchange_table table;
    int template_fd; /* the master's end */
    pid_t template_pid;
};

/* Settings are "name", "value" ... NULL on top of chdir and python;
 * "play_nodes" puts worker slot i on memory node i. */
void play_start(struct play *play, const char *host, const char *python,
                const char *apps, const char *const *settings);

/* Kills what is left of it and gives everything back. */
void play_stop(struct play *play);

/* The template's next word. */
struct template_message play_hear(struct play *play);

void play_order(struct play *play, const struct template_message *order);

/* Orders an interpreter for the slot; returns it when it is on the board. */
struct board_interp *play_interp(struct play *play, uint32_t slot);

/* Waits until the slot's state is this. */
void play_await(struct play *play, uint32_t slot,
                enum board_interp_state state);

/* Waits for a child to end; returns its wait status. */
int play_wait(pid_t pid);

/* A request made ready, without waiting for anything. */
struct exchange *play_ask(struct play *play, const char *target);

/* Waits until it is answered; the caller frees the text of the response. */
char *play_answer(struct play *play, struct exchange *x);

/* Both. */
char *play_get(struct play *play, const char *target);

/* The whole log, to be freed. */
char *play_log(const struct play *play);

bool play_log_has(const struct play *play, const char *text);

/* Waits until the log has the text. */
void play_await_log(const struct play *play, const char *text);
#endif
