/* SPDX-License-Identifier: MIT */
#include "talk.h"

#include "core/board.h"
#include "core/board_worker.h"
#include "core/exchange_word.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define ANSWER_MAX (8U << 20)
#define WAIT_MS 20000

/* The meson test runs each program once for each backend. */
static enum ring_backend talk_backend(void)
{
    const char *name = getenv("GCORN_TEST_IO");

    return name && strcmp(name, "epoll") == 0 ? RING_EPOLL : RING_URING;
}

void talk_pause_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

int talk_set_up(void **state)
{
    struct talk *site = calloc(1, sizeof(*site));

    assert_non_null(site);
    site->answer = malloc(ANSWER_MAX + 1);
    site->log_fd = memfd_create("log", MFD_CLOEXEC);
    site->access_fd = memfd_create("access", MFD_CLOEXEC);
    echo_defaults(&site->options);
    site->options.ring.backend = talk_backend();
    site->options.error_log_fd = site->log_fd;
    *state = site;
    return 0;
}

struct talk *talk_start(void **state)
{
    struct talk *site = *state;

    assert_int_equal(echo_start(&site->echo, &site->options), 0);
    return site;
}

char *talk_text_of(int fd)
{
    static char text[65536];
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

    assert_true(n >= 0);
    text[n] = 0;
    return text;
}

/* Every slot and every chunk came back, and nobody is connected. */
static void assert_empty(struct talk *site)
{
    struct board_worker *worker = board_worker(site->echo.board, 0);
    struct arena arena;
    uint32_t used = 1;

    assert_int_equal(arena_map(&arena, worker->arena_fd, 0), 0);
    for (uint32_t tries = 0; used > 0 && tries < WAIT_MS / 10; tries++) {
        used = arena_chunks_used(&arena) + atomic_load(&worker->connections);
        for (uint32_t i = 0; i < arena.slots; i++)
            used += exchange_word_state(atomic_load(
                        &exchange_at(&arena, i)->word)) != EXCHANGE_FREE;
        talk_pause_ms(10);
    }
    munmap(arena.header, arena.header->bytes);
    assert_int_equal(used, 0);
}

int talk_tear_down(void **state)
{
    struct talk *site = *state;

    if (site->echo.board) {
        assert_empty(site);
        assert_int_equal(
            atomic_load(&board_worker(site->echo.board, 0)->starts),
            1 + site->worker_deaths);
        assert_int_equal(echo_stop(&site->echo), 0);
    }
    close(site->log_fd);
    close(site->access_fd);
    free(site->answer);
    free(site);
    return 0;
}

int talk_dial(struct talk *site)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(site->echo.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

void talk_say_bytes(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

        assert_true(n > 0);
        bytes += n;
        len -= (size_t)n;
    }
}

void talk_say(int fd, const char *text)
{
    talk_say_bytes(fd, text, strlen(text));
}

/* Appends what comes next; false at the end of the stream. */
static bool hear_some(struct talk *site, int fd, size_t most)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    ssize_t n;

    assert_int_equal(poll(&poller, 1, WAIT_MS), 1);
    n = recv(fd, site->answer + site->length, most, 0);
    assert_true(n >= 0);
    site->length += (size_t)n;
    site->answer[site->length] = 0;
    return n > 0;
}

void talk_hear(struct talk *site, int fd, size_t count)
{
    assert_true(count <= ANSWER_MAX);
    while (site->length < count)
        assert_true(hear_some(site, fd, count - site->length));
}

void talk_hear_until(struct talk *site, int fd, const char *end)
{
    site->length = 0;
    do
        assert_true(hear_some(site, fd, 1));
    while (!strstr(site->answer, end));
}

const char *talk_hear_response(struct talk *site, int fd)
{
    const char *length;
    size_t head;

    talk_hear_until(site, fd, "\r\n\r\n");
    length = strstr(site->answer, "Content-Length: ");
    assert_non_null(length);
    length += strlen("Content-Length: ");
    head = site->length;
    talk_hear(site, fd, head + strtoul(length, NULL, 10));
    return site->answer + head;
}

void talk_hear_end(struct talk *site, int fd)
{
    site->length = 0;
    while (hear_some(site, fd, ANSWER_MAX - site->length))
        ;
}

void talk_assert_status(const struct talk *site, int status)
{
    char line[32];

    snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
    if (strncmp(site->answer, line, strlen(line)) != 0)
        fail_msg("not %d: %.300s", status, site->answer);
}

void talk_assert_has(const struct talk *site, const char *text)
{
    if (!strstr(site->answer, text))
        fail_msg("no \"%s\" in: %.500s", text, site->answer);
}
