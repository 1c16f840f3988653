/* SPDX-License-Identifier: MIT */
/*
 * What the machine refuses: descriptors, memory, buffers, a file's pages. Each
 * error is injected into one operation of one connection, while another one
 * goes on to be served; at the end nothing may be left anywhere.
 */
#include "core/board.h"
#include "core/board_interp.h"
#include "core/conn_block.h"
#include "core/conn_set.h"
#include "core/exchange_progress.h"
#include "core/exchange_take.h"
#include "core/exchange_wake.h"
#include "core/exchange_writer.h"

#include "fake_ring.h"
#include "site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define SLOTS 64
#define CHUNKS 512
#define CLIENTS 16
#define FILE_BYTES 300000
#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define GET(path) "GET " path " HTTP/1.1\r\nHost: t\r\n\r\n"
#define MANY 5000 /* turns of a millisecond: longer than any pause */

struct place {
    uint64_t clock_ns;
    struct board *board;
    struct exchange_table table;
    struct exchange_site site;
    struct exchange_thread thread;
    struct conn_config config;
    struct static_map map;
    struct conn_set *set;
    struct ring *ring;
    int listen_fd;
    int polite; /* a connection that is served all the time */
    size_t polite_got;
    char directory[64];
};

/* The application: whatever is asked, at once. */
static void serve(struct place *place)
{
    struct exchange_writer writer;
    size_t done = 0;

    while (exchange_take(&place->thread, &writer)) {
        writer.x->status = 200;
        assert_int_equal(exchange_copy(&writer, BYTES(ANSWER), &done), 0);
        exchange_finish(&writer);
        exchange_announce(&place->thread);
        done = 0;
    }
}

static void turn(struct place *place)
{
    struct ring_event events[8];
    int count = ring_wait(place->ring, events, ARRAY_SIZE(events), 0);
    uint64_t recheck;
    uint32_t slot;

    assert_true(count >= 0);
    place->clock_ns += NS_PER_MS;
    conn_set_clock(place->set, place->clock_ns);
    for (int i = 0; i < count; i++)
        conn_on_event(place->set, &events[i]);
    serve(place);
    while (exchange_progress(&place->table, &slot))
        conn_on_progress(place->set, slot);
    conn_turn(place->set);
    exchange_wake(&place->table, place->clock_ns, &recheck);
}

static void say(struct place *place, int fd, const char *text)
{
    fake_ring_feed(place->ring, fd, bytes_of(text));
}

static bool has_got(const struct place *place, int fd, size_t n)
{
    return fake_ring_sent(place->ring, fd).n >= n;
}

/* Somebody else is served, whatever goes on. */
static void others_are_served(struct place *place)
{
    say(place, place->polite, GET("/"));
    place->polite_got += sizeof(ANSWER) - 1;
    for (int i = 0; !has_got(place, place->polite, place->polite_got); i++) {
        assert_true(i < 50);
        turn(place);
    }
}

static int dial(struct place *place)
{
    return fake_ring_connect(place->ring, place->listen_fd);
}

static void hear(struct place *place, int fd, size_t n)
{
    for (int i = 0; !has_got(place, fd, n); i++) {
        assert_true(i < MANY);
        turn(place);
    }
}

static void hear_end(struct place *place, int fd)
{
    for (int i = 0; !fake_ring_is_closed(place->ring, fd); i++) {
        assert_true(i < MANY);
        turn(place);
    }
}

static char file_byte(size_t i)
{
    return (char)('a' + i % 23);
}

static void make_file(struct place *place)
{
    char path[128];
    FILE *file;

    snprintf(place->directory, sizeof(place->directory), "/tmp/gcorn-XXXXXX");
    assert_non_null(mkdtemp(place->directory));
    snprintf(path, sizeof(path), "%s/large.txt", place->directory);
    file = fopen(path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < FILE_BYTES; i++)
        fputc(file_byte(i), file);
    assert_int_equal(fclose(file), 0);
    place->map = (struct static_map){BYTES("/static"), place->directory};
}

static void open_set(struct place *place, uint32_t faults)
{
    struct fake_ring_config ring = {
        .seed = 7, .faults = faults, .buffers = 8, .buffer_bytes = 4096};

    place->config = (struct conn_config){
        .limits = {.line_bytes = 4094, .fields = 100, .field_bytes = 8190},
        .keepalive_ms = 600000,
        .linger_ms = 300,
        .local = CONN_LOCAL_STATIC,
        .static_maps = &place->map,
        .static_count = 1,
        .connections_max = CLIENTS,
    };
    place->ring = fake_ring_new(&ring);
    assert_int_equal(exchange_table_init(&place->table, place->board, 0), 0);
    assert_int_equal(exchange_site_init(&place->site, place->board), 0);
    assert_int_equal(conn_set_new(&place->set, &place->config, place->ring,
                                  &place->table, NULL),
                     0);
    /* The set began with the real time, which is later. */
    conn_set_clock(place->set, place->clock_ns);
    wheel_init(&place->set->wheel, place->clock_ns / NS_PER_MS);
    assert_int_equal(conn_listen(place->set, place->listen_fd, 0), 0);
}

static struct place *place_new(uint32_t faults)
{
    struct place *place = calloc(1, sizeof(*place));

    assert_non_null(place);
    place->clock_ns = NS_PER_S;
    place->board = site_new(1, SLOTS, CHUNKS);
    place->listen_fd = site_listener();
    make_file(place);
    open_set(place, faults);
    atomic_store(&board_interp(place->board, 0)->state, BOARD_INTERP_SERVING);
    exchange_thread_init(&place->thread, &place->site, 0);
    place->polite = dial(place);
    others_are_served(place);
    return place;
}

static void assert_nothing_left(struct place *place)
{
    for (uint32_t i = 0; i < CONN_BLOCKS; i++)
        assert_int_equal(pool_used(&place->set->blocks[i]), 0);
    assert_int_equal(pool_used(&place->set->conns), 0);
    assert_int_equal(pool_used(&place->set->transfers), 0);
    assert_int_equal(pool_used(&place->set->lates), 0);
    assert_int_equal(place->table.free_count, SLOTS);
    assert_int_equal(arena_chunks_used(&place->table.arena), 0);
    assert_int_equal(place->set->wheel.count, 0);
    if (fake_ring_leftover(place->ring))
        fail_msg("%s", fake_ring_leftover(place->ring));
}

/* The polite one is served once more; then all end. */
static void place_end(struct place *place)
{
    char path[128];

    others_are_served(place);
    conn_drain(place->set);
    for (int i = 0; !conn_is_drained(place->set); i++) {
        assert_true(i < MANY);
        turn(place);
    }
    turn(place);
    assert_nothing_left(place);
    conn_set_free(place->set);
    ring_free(place->ring);
    exchange_site_done(&place->site);
    exchange_table_done(&place->table);
    munmap(place->table.arena.header, place->table.arena.header->bytes);
    site_free(place->board);
    close(place->listen_fd);
    snprintf(path, sizeof(path), "%s/large.txt", place->directory);
    unlink(path);
    rmdir(place->directory);
    free(place);
}

/* No descriptor or no memory: who waits gets in when there is one again. */
static void accept_without(int error)
{
    struct place *place = place_new(0);
    const uint32_t refusals = 5;
    int fd = dial(place);

    fake_ring_fail(place->ring, place->listen_fd, FAKE_RING_ACCEPT, error,
                   refusals);
    say(place, fd, GET("/"));
    for (uint32_t i = 0; i < 20; i++)
        others_are_served(place);
    assert_int_equal(fake_ring_sent(place->ring, fd).n, 0);
    assert_true(place->set->stats->accept_paused > 0);
    hear(place, fd, sizeof(ANSWER) - 1);
    assert_int_equal(place->set->stats->accept_paused, refusals);
    place_end(place);
}

static void accept_without_descriptors(void **state)
{
    (void)state;
    accept_without(-EMFILE);
    accept_without(-ENFILE);
}

static void accept_without_memory(void **state)
{
    (void)state;
    accept_without(-ENOMEM);
    accept_without(-ENOBUFS);
}

/* It concerned one connection, or none: the next is accepted at once. */
static void accept_again(void **state)
{
    static const int errors[] = {-EINTR, -ECONNABORTED, -EAGAIN, -EPROTO,
                                 -ENETDOWN};

    (void)state;
    for (uint32_t i = 0; i < ARRAY_SIZE(errors); i++) {
        struct place *place = place_new(0);
        int fd = dial(place);

        fake_ring_fail(place->ring, place->listen_fd, FAKE_RING_ACCEPT,
                       errors[i], 5);
        say(place, fd, GET("/"));
        hear(place, fd, sizeof(ANSWER) - 1);
        assert_int_equal(place->set->stats->accept_paused, 0);
        place_end(place);
    }
}

/* All receive buffers are taken for a while: nothing is lost. */
static void receive_without_buffers(void **state)
{
    struct place *place = place_new(FAKE_RING_KIND);
    int fd = dial(place);

    (void)state;
    fake_ring_fail(place->ring, fd, FAKE_RING_RECV, -ENOBUFS, 100);
    say(place, fd, GET("/1") GET("/2"));
    others_are_served(place);
    assert_int_equal(fake_ring_sent(place->ring, fd).n, 0);
    hear(place, fd, 2 * (sizeof(ANSWER) - 1));
    place_end(place);
}

/* One connection fails; nobody else notices. */
static void fails_alone(enum fake_ring_op op, int error, const char *request)
{
    struct place *place = place_new(0);
    int fd = dial(place);

    others_are_served(place); /* it is accepted meanwhile */
    fake_ring_fail(place->ring, op == FAKE_RING_READ ? -1 : fd, op, error, 1);
    say(place, fd, request);
    others_are_served(place);
    if (op == FAKE_RING_RECV_INTO)
        say(place, fd, "more of it");
    if (op != FAKE_RING_READ)
        hear_end(place, fd);
    place_end(place);
}

static void receive_without_memory(void **state)
{
    static const char large[] = "POST / HTTP/1.1\r\nHost: t\r\n"
                                "Content-Length: 1000000\r\n\r\nx";

    (void)state;
    fails_alone(FAKE_RING_RECV, -ENOMEM, GET("/"));
    fails_alone(FAKE_RING_RECV, -ECONNRESET, GET("/"));
    fails_alone(FAKE_RING_RECV, -ETIMEDOUT, GET("/"));
    fails_alone(FAKE_RING_RECV_INTO, -ENOMEM, large);
}

static void send_without_memory(void **state)
{
    static const int errors[] = {-ENOMEM, -ENOBUFS, -EPIPE, -ECONNRESET};

    (void)state;
    for (uint32_t i = 0; i < ARRAY_SIZE(errors); i++) {
        fails_alone(FAKE_RING_SEND, errors[i], GET("/"));
        fails_alone(FAKE_RING_SEND, errors[i], GET("/static/large.txt"));
        fails_alone(FAKE_RING_SEND, errors[i], "nonsense\r\n\r\n");
    }
}

static void check_file(struct bytes got)
{
    const char *body = memmem(got.p, got.n, "\r\n\r\n", 4);

    assert_non_null(body);
    body += 4;
    assert_int_equal(got.n - (size_t)(body - got.p), FILE_BYTES);
    for (size_t i = 0; i < FILE_BYTES; i++)
        assert_int_equal(body[i], file_byte(i));
}

/* A static file through a ring that is late, short and out of order. */
static void static_file_arrives(void **state)
{
    struct place *place = place_new(FAKE_RING_KIND);
    int fd = dial(place);

    (void)state;
    say(place, fd, GET("/static/large.txt"));
    others_are_served(place);
    hear(place, fd, FILE_BYTES + 100);
    for (int i = 0; place->set->transfers.used > 0; i++) {
        assert_true(i < MANY);
        turn(place);
    }
    check_file(fake_ring_sent(place->ring, fd));
    say(place, fd, GET("/"));
    hear(place, fd, fake_ring_sent(place->ring, fd).n + sizeof(ANSWER) - 1);
    place_end(place);
}

/* Who stops reading, or leaves, holds up nobody and leaves nothing behind. */
static void static_file_is_left(void **state)
{
    struct place *place = place_new(FAKE_RING_KIND);
    int slow = dial(place);
    int gone = dial(place);

    (void)state;
    fake_ring_stall(place->ring, slow, true);
    fake_ring_stall(place->ring, gone, true);
    say(place, slow, GET("/static/large.txt"));
    say(place, gone, GET("/static/large.txt"));
    for (int i = 0; i < 20; i++)
        others_are_served(place);
    fake_ring_reset(place->ring, gone);
    hear_end(place, gone);
    others_are_served(place);
    fake_ring_stall(place->ring, slow, false);
    hear(place, slow, FILE_BYTES + 100);
    place_end(place);
}

static void file_cannot_be_read(void **state)
{
    (void)state;
    fails_alone(FAKE_RING_READ, -EIO, GET("/static/large.txt"));
    fails_alone(FAKE_RING_READ, -ENOMEM, GET("/static/large.txt"));
    fails_alone(FAKE_RING_READ, 0, GET("/static/large.txt"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accept_without_descriptors),
        cmocka_unit_test(accept_without_memory),
        cmocka_unit_test(accept_again),
        cmocka_unit_test(receive_without_buffers),
        cmocka_unit_test(receive_without_memory),
        cmocka_unit_test(send_without_memory),
        cmocka_unit_test(static_file_arrives),
        cmocka_unit_test(static_file_is_left),
        cmocka_unit_test(file_cannot_be_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
