/* SPDX-License-Identifier: MIT */
/*
 * talk - a client on raw sockets, and the fixture that starts echo_site for
 * it. Everything waits with a limit and fails the test that runs.
 */
#ifndef GCORN_TESTS_TALK_H
#define GCORN_TESTS_TALK_H

#include "echo_site.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: t\r\n\r\n"

struct talk {
    struct echo_site echo;
    struct echo_options options; /* may be changed before talk_start() */
    int log_fd;
    int access_fd;
    uint32_t worker_deaths; /* that the test caused */
    char *answer;           /* what was read last, NUL-terminated */
    size_t length;
};

/* cmocka's fixture. At the end everything the worker lends must be back. */
int talk_set_up(void **state);
struct talk *talk_start(void **state);
int talk_tear_down(void **state);

void talk_pause_ms(long ms);

/* What was written to a memfd; valid until the next call. */
char *talk_text_of(int fd);

int talk_dial(struct talk *site);
void talk_say(int fd, const char *text);
void talk_say_bytes(int fd, const char *bytes, size_t len);

/* Reads until `count` bytes are in site->answer. */
void talk_hear(struct talk *site, int fd, size_t count);
void talk_hear_until(struct talk *site, int fd, const char *end);
void talk_hear_end(struct talk *site, int fd);

/* A whole response with Content-Length; returns its body. */
const char *talk_hear_response(struct talk *site, int fd);

void talk_assert_status(const struct talk *site, int status);
void talk_assert_has(const struct talk *site, const char *text);
#endif
