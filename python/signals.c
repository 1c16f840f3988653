/* SPDX-License-Identifier: MIT */
#include "signals.h"

#include "core/board.h"
#include "core/board_interp.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* A handler gets no argument: this is the host's one struct with static life.
 * log_path and self say that the rest may be used. */
static struct {
    const struct board *board;
    struct board_interp *self;     /* NULL in the template */
    const char *volatile log_path; /* NULL: not a file */
    volatile bool captures;        /* standard streams are that file, too */
    volatile sig_atomic_t term_pending;
    volatile sig_atomic_t interrupted;
} state;

bool signals_retire(const struct board *board, struct board_interp *self)
{
    uint32_t from = BOARD_INTERP_SERVING;

    if (!atomic_compare_exchange_strong(&self->state, &from,
                                        BOARD_INTERP_RETIRING))
        return false;
    board_wake_master(board);
    return true;
}

void signals_drain(struct board_interp *self)
{
    uint32_t from = atomic_load(&self->state);

    while (board_interp_serves(from) &&
           !atomic_compare_exchange_weak(&self->state, &from,
                                         BOARD_INTERP_DRAINING))
        ;
    while (board_wake_interp(self))
        ;
}

static void on_nothing(int number)
{
    (void)number;
}

static void on_interrupt(int number)
{
    (void)number;
    state.interrupted = 1;
}

/* Everything called from here is async-signal-safe: atomics and write(2). */
static void on_term(int number)
{
    int saved = errno;

    (void)number;
    if (!state.self)
        return;
    if (atomic_load(&state.self->state) == BOARD_INTERP_STARTING)
        state.term_pending = 1;
    else if (!signals_retire(state.board, state.self))
        signals_drain(state.self);
    errno = saved;
}

/* What is printed goes where the log goes. */
static void capture_output(void)
{
    dup2(state.board->error_log_fd, STDOUT_FILENO);
    dup2(state.board->error_log_fd, STDERR_FILENO);
}

/* dup2() keeps the number, which faulthandler and the board know. */
static void on_reopen(int number)
{
    int saved = errno;
    int fd = -1;

    (void)number;
    if (state.log_path)
        fd = open(state.log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC,
                  0644);
    if (fd >= 0) {
        dup3(fd, state.board->error_log_fd, O_CLOEXEC);
        close(fd);
        if (state.captures)
            capture_output();
    }
    errno = saved;
}

/* SA_RESTART: the calls of the application go on as if nothing was. */
static void handle(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};

    sigemptyset(&action.sa_mask);
    must(sigaction(number, &action, NULL) == 0);
}

void signals_log(const struct board *board, const char *errorlog, bool capture)
{
    bool is_file = *errorlog && strcmp(errorlog, "-") != 0 &&
                   board->error_log_fd > STDERR_FILENO;

    state.board = board;
    state.log_path = is_file ? errorlog : NULL;
    state.captures = is_file && capture;
    if (state.captures)
        capture_output();
}

void signals_init(void)
{
    handle(SIGINT, on_interrupt);
    handle(SIGQUIT, on_interrupt);
    handle(SIGHUP, on_nothing);
    handle(SIGUSR2, on_nothing);
    handle(SIGUSR1, on_reopen);
    handle(SIGTERM, on_term);
    handle(SIGPIPE, SIG_IGN);
    handle(SIGXFSZ, SIG_IGN);
}

void signals_become_interp(struct board_interp *self)
{
    state.self = self;
    state.interrupted = 0;
}

bool signals_interrupted(void)
{
    return state.interrupted;
}

void signals_serving(void)
{
    if (state.term_pending)
        signals_retire(state.board, state.self);
}
