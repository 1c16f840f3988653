/* SPDX-License-Identifier: MIT */
/*
 * Connections on a ring that plays its completions late, short, mixed up and
 * failed, out of a seed. The test is clients and interpreters at once. With
 * the kind faults every client must receive exactly what it asked for; with
 * all of them, and with peers and interpreters that die, a prefix of it. At
 * the end nothing may be left anywhere.
 */
#include "core/board.h"
#include "core/board_interp.h"
#include "core/conn_block.h"
#include "core/conn_set.h"
#include "core/exchange_progress.h"
#include "core/exchange_request.h"
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
#define CALLS 3
#define CLIENTS 12
#define REQUESTS 6
#define BARRIERS (REQUESTS + 1)
#define SEEDS 60
#define TURNS_MAX 400000

struct text {
    char *at;
    size_t n;
    size_t room;
};

/* The script up to here may be sent once so much was received. */
struct barrier {
    size_t script;
    size_t expected;
};

struct client {
    int fd;
    bool over; /* said all, or gone */
    bool gone;
    bool proxied; /* comes with a PROXY header; its targets end in "?p" */
    size_t fed;
    struct text script;
    struct text expected;
    struct barrier barriers[BARRIERS];
    uint32_t barrier_count;
};

/* A thread of an interpreter, one step at a time. */
struct call {
    bool active;
    bool begun;
    struct exchange_thread thread;
    struct exchange_writer writer;
    struct text response;
    size_t done;
    uint64_t file_bytes; /* to follow */
};

struct world {
    uint64_t seed;
    bool cruel;
    uint64_t clock_ns;
    struct board *board;
    struct exchange_table table;
    struct exchange_site site;
    struct conn_config config;
    struct conn_set *set;
    struct ring *ring;
    int listen_fd;
    struct call calls[CALLS];
    struct client clients[CLIENTS];
};

static uint32_t roll(struct world *world, uint32_t sides)
{
    world->seed = world->seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(world->seed >> 33) % sides;
}

static void add(struct text *text, const char *bytes, size_t n)
{
    if (text->n + n >= text->room) {
        text->room = (text->n + n + 1) * 2;
        text->at = realloc(text->at, text->room);
        must(text->at);
    }
    if (n > 0)
        memcpy(text->at + text->n, bytes, n);
    text->n += n;
}

static void __attribute__((format(printf, 2, 3)))
add_format(struct text *text, const char *fmt, ...)
{
    char line[256];
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    add(text, line, (size_t)n);
}

static void add_pattern(struct text *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add(text, &"abcdefghijklmnopqrstuvwxyz-"[i % 27], 1);
}

static uint32_t checksum(const char *bytes, size_t n)
{
    uint32_t sum = 17;

    for (size_t i = 0; i < n; i++)
        sum = sum * 31 + (unsigned char)bytes[i];
    return sum;
}

static void add_response_head(struct text *text, size_t n, uint32_t sum)
{
    add_format(text,
               "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nX-Sum: %08x\r\n"
               "Content-Length: %zu\r\n\r\n",
               sum, n);
}

static void add_chunks(struct world *world, struct text *script,
                       const struct text *body)
{
    size_t off = 0;

    while (off < body->n) {
        size_t n = min_u64(1 + roll(world, 40000), body->n - off);

        add_format(script, "%zx\r\n", n);
        add(script, body->at + off, n);
        add(script, "\r\n", 2);
        off += n;
    }
    add(script, "0\r\n\r\n", 5);
}

static size_t some_size(struct world *world)
{
    static const uint32_t most[] = {1, 100, 3000, 70000, 300000};

    return roll(world, most[roll(world, ARRAY_SIZE(most))]);
}

static void write_post(struct world *world, struct client *client, size_t n)
{
    struct text *script = &client->script;
    struct text body = {0};
    uint32_t how = roll(world, 3);

    add_pattern(&body, some_size(world));
    add_format(script, "POST /%zu%s HTTP/1.1\r\nHost: t\r\n", n,
               client->proxied ? "?p" : "");
    if (how == 0) {
        add_format(script, "Transfer-Encoding: chunked\r\n\r\n");
        add_chunks(world, script, &body);
    } else if (how == 1 || body.n == 0) {
        add_format(script, "Content-Length: %zu\r\n\r\n", body.n);
        add(script, body.at, body.n);
    } else {
        add_format(script,
                   "Expect: 100-continue\r\nContent-Length: %zu\r\n\r\n",
                   body.n);
        add_format(&client->expected, "HTTP/1.1 100 Continue\r\n\r\n");
        client->barriers[client->barrier_count++] =
            (struct barrier){script->n, client->expected.n};
        add(script, body.at, body.n);
    }
    add_response_head(&client->expected, n,
                      checksum(body.n ? body.at : "", body.n));
    add_pattern(&client->expected, n);
    free(body.at);
}

static void write_preface(struct world *world, struct client *client)
{
    static const char v2[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\x01\x00"
                             "\xc0\0\2\1\xc0\0\2\2\x9c\x40\0\x50";
    uint32_t kind = roll(world, 4);

    client->proxied = kind < 2;
    if (kind == 0)
        add_format(&client->script,
                   "PROXY TCP4 192.0.2.1 192.0.2.2 40000 80\r\n");
    if (kind == 1) {
        add(&client->script, v2, sizeof(v2) - 1);
        add_pattern(&client->script, 256 - 12);
    }
}

/* The peer is who the header named, for each request of the connection. */
static void check_peer(const struct exchange *x)
{
    bool proxied = x->request.query.len > 0;
    struct bytes addr = {x->peer.addr, x->peer.addr_len};

    assert_int_equal(bytes_equal(addr, BYTES("192.0.2.1")), proxied);
    assert_int_equal(x->peer.port, proxied ? 40000 : 0);
    assert_int_equal(!!(x->request.flags & HTTP_VARIABLES), proxied);
    if (x->request.method_id == HTTP_METHOD_GET)
        assert_int_equal(x->request.field_count, proxied ? 4 : 1);
}

static void write_script(struct world *world, struct client *client)
{
    write_preface(world, client);
    for (uint32_t i = 1 + roll(world, REQUESTS); i > 0; i--) {
        size_t n = some_size(world);
        uint32_t kind = roll(world, 4);

        if (kind == 0) {
            write_post(world, client, n);
            continue;
        }
        add_format(&client->script, "GET /%s%zu%s HTTP/1.1\r\nHost: t\r\n\r\n",
                   kind == 1 ? "f" : "", n, client->proxied ? "?p" : "");
        add_response_head(&client->expected, n, 17);
        add_pattern(&client->expected, n);
    }
    client->barriers[client->barrier_count++] =
        (struct barrier){client->script.n, SIZE_MAX};
}

static size_t may_feed(struct world *world, const struct client *client)
{
    size_t received = fake_ring_sent(world->ring, client->fd).n;

    for (uint32_t i = 0; i < client->barrier_count; i++)
        if (received < client->barriers[i].expected)
            return client->barriers[i].script - client->fed;
    return 0;
}

static void client_step(struct world *world, struct client *client)
{
    size_t n = may_feed(world, client);

    if (n > 0) {
        n = min_u64(n, 1 + roll(world, roll(world, 4) ? 2000 : 100000));
        fake_ring_feed(world->ring, client->fd,
                       (struct bytes){client->script.at + client->fed, n});
        client->fed += n;
    } else if (client->fed == client->script.n) {
        fake_ring_end(world->ring, client->fd);
        client->over = true;
    }
    if (!world->cruel)
        return;
    if (roll(world, 60) == 0) {
        fake_ring_reset(world->ring, client->fd);
        client->over = client->gone = true;
    } else if (roll(world, 10) == 0) {
        fake_ring_stall(world->ring, client->fd, roll(world, 2));
    }
}

static uint32_t body_sum(const struct call *call)
{
    const struct exchange *x = call->writer.x;
    char *body = malloc(x->body_bytes + 1);
    int64_t n = exchange_body_read(call->writer.arena, x, 0, body,
                                   x->body_bytes);
    uint32_t sum;

    assert_int_equal(n, x->body_bytes);
    sum = checksum(body, x->body_bytes);
    free(body);
    return sum;
}

static void call_begin(struct call *call)
{
    struct exchange *x = call->writer.x;
    const char *head = exchange_head(call->writer.arena, x);
    struct bytes path = exchange_span(x, head, x->request.path.off,
                                      x->request.path.len);
    bool file = path.p[1] == 'f';
    size_t n = strtoul(path.p + 1 + file, NULL, 10);

    check_peer(x);
    call->begun = true;
    call->done = 0;
    call->response.n = 0;
    call->file_bytes = file ? n : 0;
    add_response_head(&call->response, n, body_sum(call));
    if (!file)
        add_pattern(&call->response, n);
    x->status = 200;
    x->connection_off = 29; /* of "keep-alive" */
    x->out_bytes = n;
}

/* What exchange_body_wait() does, without blocking. True: it is there. */
static bool call_has_body(struct call *call)
{
    struct exchange *x = call->writer.x;
    uint32_t slot = exchange_slot(call->writer.arena, x);
    uint32_t state = EXCHANGE_BODY_PENDING;

    if (atomic_compare_exchange_strong(&x->body_state, &state,
                                       EXCHANGE_BODY_WANTED))
        atomic_fetch_or(&call->writer.arena->header->progress[slot / 64],
                        1ULL << slot % 64);
    return state == EXCHANGE_BODY_COMPLETE;
}

static bool body_is_lost(const struct call *call)
{
    const struct exchange *x = call->writer.x;

    return atomic_load(&x->body_state) == EXCHANGE_BODY_FAILED ||
           atomic_load(&x->flags) & EXCHANGE_CANCELLED;
}

static int send_file(struct call *call)
{
    struct text content = {0};
    int fd = memfd_create("file", MFD_CLOEXEC);
    int rc;

    add_pattern(&content, call->file_bytes);
    assert_int_equal(write(fd, content.at, content.n), content.n);
    rc = exchange_file(&call->writer, fd, 0, call->file_bytes);
    free(content.at);
    close(fd);
    return rc;
}

static void call_finish(struct call *call)
{
    exchange_finish(&call->writer);
    exchange_announce(&call->thread);
    call->active = false;
}

/* As if the window had been full for long. */
static void call_is_stuck(struct call *call)
{
    call->writer.stuck_ns = 1;
    call->writer.stuck_head = atomic_load(&call->writer.x->out_head);
}

static void call_write(struct world *world, struct call *call)
{
    struct bytes rest = {call->response.at + call->done,
                         call->response.n - call->done};
    size_t done = 0;
    int rc;

    if (roll(world, 3) > 0)
        rest.n = min_u64(rest.n, 1 + roll(world, 30000));
    rc = exchange_copy(&call->writer, rest, &done);
    call->done += done;
    if (rc == -EAGAIN && roll(world, 4) == 0) {
        call_is_stuck(call);
        call->done += exchange_spool(
            &call->writer, (struct bytes){rest.p + done, rest.n - done});
    }
    if (rc == 0 && roll(world, 3) == 0)
        rc = exchange_flush(&call->writer);
    if (rc == -EAGAIN && call->done == call->response.n)
        rc = 0; /* all of it went into the spool */
    if (rc == 0 && call->done == call->response.n && call->file_bytes > 0) {
        rc = send_file(call);
        call->file_bytes = rc == 0 ? 0 : call->file_bytes;
    }
    if (rc == -ECANCELED ||
        (rc == 0 && call->done == call->response.n && !call->file_bytes))
        call_finish(call);
}

static void call_step(struct world *world, struct call *call)
{
    if (!call->active) {
        call->begun = false;
        call->active = exchange_take(&call->thread, &call->writer);
    } else if (call->begun) {
        call_write(world, call);
    } else if (call_has_body(call)) {
        call_begin(call);
    } else if (body_is_lost(call)) {
        call->writer.x->out_flags |= EXCHANGE_OUT_BROKEN;
        call_finish(call);
    }
}

static void call_die(struct world *world, uint32_t i)
{
    struct board_interp *interp = board_interp(world->board, i);

    atomic_store(&interp->state, BOARD_INTERP_DEAD);
    atomic_fetch_add(&world->board->death_epoch, 1);
    exchange_sweep(&world->table, conn_on_lost, world->set);
    atomic_store(&interp->state, BOARD_INTERP_SERVING);
    world->calls[i].active = false;
}

static void worker_turn(struct world *world)
{
    struct ring_event events[8];
    uint32_t most = 1 + roll(world, ARRAY_SIZE(events));
    int count = ring_wait(world->ring, events, most, 0);
    uint64_t recheck;
    uint32_t slot;

    assert_true(count >= 0);
    conn_set_clock(world->set, world->clock_ns);
    for (int i = 0; i < count; i++)
        conn_on_event(world->set, &events[i]);
    while (exchange_progress(&world->table, &slot))
        conn_on_progress(world->set, slot);
    conn_turn(world->set);
    exchange_wake(&world->table, world->clock_ns, &recheck);
}

static void world_turn(struct world *world)
{
    for (uint32_t i = 0; i < CLIENTS; i++)
        if (!world->clients[i].over && roll(world, 4) == 0)
            client_step(world, &world->clients[i]);
    for (uint32_t i = 0; i < CALLS; i++) {
        if (roll(world, 2) == 0)
            call_step(world, &world->calls[i]);
        if (world->cruel && roll(world, 400) == 0)
            call_die(world, i);
    }
    world->clock_ns += NS_PER_MS / 4;
    if (world->cruel && roll(world, 500) == 0)
        world->clock_ns += roll(world, 400) * NS_PER_MS;
    worker_turn(world);
}

static void world_open(struct world *world, uint64_t seed, bool cruel)
{
    struct fake_ring_config ring = {.seed = seed,
                                    .faults = cruel ? FAKE_RING_ALL
                                                    : FAKE_RING_KIND,
                                    .buffers = 8,
                                    .buffer_bytes = 4096};

    *world = (struct world){.seed = seed, .cruel = cruel};
    world->clock_ns = NS_PER_S;
    world->config = (struct conn_config){
        .proxy = PROXY_AUTO,
        .proxy_allow = {.everyone = true},
        .limits = {.line_bytes = 4094, .fields = 100, .field_bytes = 8190},
        .keepalive_ms = 600000,
        .linger_ms = 300,
        .body_timeout_ms = cruel ? 2000 : 0,
        .send_timeout_ms = cruel ? 2000 : 0,
        .request_timeout_ms = cruel ? 2000 : 0,
        .header_timeout_ms = cruel ? 2000 : 0,
        .connections_max = CLIENTS,
    };
    world->board = site_new(1, SLOTS, CHUNKS);
    world->ring = fake_ring_new(&ring);
    world->listen_fd = site_listener();
    assert_int_equal(exchange_table_init(&world->table, world->board, 0), 0);
    assert_int_equal(exchange_site_init(&world->site, world->board), 0);
    assert_int_equal(conn_set_new(&world->set, &world->config, world->ring,
                                  &world->table, NULL),
                     0);
    /* The set began with the real time, which is later. */
    wheel_init(&world->set->wheel, world->clock_ns / NS_PER_MS);
    conn_set_clock(world->set, world->clock_ns);
    assert_int_equal(conn_listen(world->set, world->listen_fd, 0), 0);
    for (uint32_t i = 0; i < CALLS; i++) {
        atomic_store(&board_interp(world->board, i)->state,
                     BOARD_INTERP_SERVING);
        exchange_thread_init(&world->calls[i].thread, &world->site, i);
    }
    for (uint32_t i = 0; i < CLIENTS; i++) {
        write_script(world, &world->clients[i]);
        world->clients[i].fd = fake_ring_connect(world->ring, world->listen_fd);
    }
}

/* A prefix is all one may expect of a peer or interpreter that died. */
static void assert_received(struct world *world, const struct client *client)
{
    struct bytes got = fake_ring_sent(world->ring, client->fd);
    size_t n = min_u64(got.n, client->expected.n);

    if (world->cruel)
        return; /* 502, 504 and "close" are allowed: too many to list */
    assert_int_equal(got.n, client->expected.n);
    assert_memory_equal(got.p, client->expected.at, n);
}

static void assert_nothing_left(struct world *world)
{
    for (uint32_t i = 0; i < CONN_BLOCKS; i++)
        assert_int_equal(pool_used(&world->set->blocks[i]), 0);
    assert_int_equal(pool_used(&world->set->conns), 0);
    assert_int_equal(pool_used(&world->set->files), 0);
    assert_int_equal(conn_requests(world->set), 0);
    assert_int_equal(world->table.free_count, SLOTS);
    assert_int_equal(world->table.orphans, 0);
    assert_int_equal(arena_chunks_used(&world->table.arena), 0);
    assert_int_equal(world->set->wheel.count, 0);
    if (fake_ring_leftover(world->ring))
        fail_msg("%s", fake_ring_leftover(world->ring));
}

static void world_close(struct world *world)
{
    conn_set_free(world->set);
    ring_free(world->ring);
    exchange_site_done(&world->site);
    exchange_table_done(&world->table);
    munmap(world->table.arena.header, world->table.arena.header->bytes);
    site_free(world->board);
    close(world->listen_fd);
    for (uint32_t i = 0; i < CALLS; i++)
        free(world->calls[i].response.at);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        free(world->clients[i].script.at);
        free(world->clients[i].expected.at);
    }
}

static bool all_over(const struct world *world)
{
    for (uint32_t i = 0; i < CLIENTS; i++)
        if (!world->clients[i].over)
            return false;
    return conn_count(world->set) == 0;
}

/* What is cancelled is freed when the interpreters have let go. */
static void let_all_end(struct world *world)
{
    struct client *client = world->clients;

    for (uint32_t i = 0; world->cruel && i < CLIENTS; i++, client++)
        if (!client->gone)
            fake_ring_stall(world->ring, client->fd, false);
    conn_drain(world->set);
    for (uint32_t i = 0;
         !conn_is_drained(world->set) || world->table.free_count < SLOTS; i++) {
        assert_true(i < TURNS_MAX);
        world->clock_ns += NS_PER_MS;
        for (uint32_t k = 0; k < CALLS; k++)
            call_step(world, &world->calls[k]);
        worker_turn(world);
    }
}

static void run(uint64_t seed, bool cruel)
{
    struct world world;
    uint32_t turns = 0;

    world_open(&world, seed, cruel);
    while (!all_over(&world) && turns++ < (cruel ? 3000 : TURNS_MAX))
        world_turn(&world);
    if (!cruel && turns >= TURNS_MAX)
        fail_msg("seed %llu does not end", (unsigned long long)seed);
    for (uint32_t i = 0; i < CLIENTS; i++)
        assert_received(&world, &world.clients[i]);
    let_all_end(&world);
    assert_nothing_left(&world);
    world_close(&world);
}

static void runs(bool cruel)
{
    const char *text = getenv("GCORN_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 1;
    uint64_t last = text ? seed : SEEDS;

    for (; seed <= last; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        run(seed, cruel);
    }
}

static void kind_faults_cost_nothing(void **state)
{
    (void)state;
    runs(false);
}

static void cruel_faults_leave_nothing(void **state)
{
    (void)state;
    runs(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kind_faults_cost_nothing),
        cmocka_unit_test(cruel_faults_leave_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
