/* SPDX-License-Identifier: MIT */
#include "conn_stage.h"

#include "core/board.h"
#include "core/board_interp.h"
#include "core/exchange_progress.h"
#include "core/exchange_request.h"
#include "core/exchange_wake.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTEN_FD 900 /* never accepted from: only its number counts */
#define ACCEPT_TURNS 40
#define END_TURNS 4000
#define FILE_BYTES 300000

enum what { FEED, CANNED, CLIENT, CALL, CALL_MUCH, CLOCK, DEATH, TURN, WHATS };

/* So that not every request has to be found by chance. */
static const char *const canned[] = {
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /a HTTP/1.0\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    "5\r\nhello\r\n",
    "fff\r\n",
    "\r\n0\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n"
    "Expect: 100-continue\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
    "Expect: 100-continue\r\n\r\n",
    "PROXY TCP4 192.0.2.1 192.0.2.2 4000 80\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n",
    "GET / HTTP/1.1\r\nX: ",
    "\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
};

uint8_t stage_byte(struct stage *stage)
{
    if (stage->left == 0)
        return 0;
    stage->left--;
    return *stage->script++;
}

/* 0 to 2^20 out of one byte, small ones finely. */
static size_t some_size(struct stage *stage)
{
    uint8_t byte = stage_byte(stage);

    return (size_t)(byte & 15) << (byte >> 4);
}

static void filler_feed(struct stage *stage, struct stage_client *client,
                        size_t n)
{
    static const char filler[65536] = {1};

    while (n > 0) {
        size_t piece = min_u64(n, sizeof(filler));

        fake_ring_feed(stage->ring, client->fd, (struct bytes){filler, piece});
        n -= piece;
    }
}

static void client_send(struct stage *stage, struct stage_client *client,
                        bool known)
{
    size_t n;

    if (client->over)
        return;
    if (known) {
        uint8_t which = stage_byte(stage);

        fake_ring_feed(stage->ring, client->fd,
                       bytes_of(canned[which % ARRAY_SIZE(canned)]));
        if (which & 0x80)
            filler_feed(stage, client, some_size(stage));
        return;
    }
    n = min_u64(stage_byte(stage), stage->left);
    fake_ring_feed(stage->ring, client->fd,
                   (struct bytes){(const char *)stage->script, n});
    stage->script += n;
    stage->left -= n;
}

static void client_leave(struct stage *stage, struct stage_client *client)
{
    switch (stage_byte(stage) % 4) {
    case 0:
        if (!client->over)
            fake_ring_end(stage->ring, client->fd);
        client->over = true;
        break;
    case 1:
        if (!client->reset)
            fake_ring_reset(stage->ring, client->fd);
        client->over = client->reset = true;
        break;
    case 2:
        fake_ring_stall(stage->ring, client->fd, true);
        break;
    case 3:
        fake_ring_stall(stage->ring, client->fd, false);
        break;
    }
}

static void call_finish(struct stage_call *call)
{
    exchange_finish(&call->writer);
    exchange_announce(&call->thread);
    call->active = false;
}

/* All that the bridge to Python reads of a request. */
static void call_look(struct stage_call *call)
{
    struct exchange *x = call->writer.x;
    const char *head = exchange_head(call->writer.arena, x);
    const struct http_field *fields = exchange_fields(call->writer.arena, x);
    uint32_t count = x->request.field_count;
    char body[100];
    uint64_t sum = 0;

    exchange_body_read(call->writer.arena, x, 0, body, sizeof(body));
    exchange_body_read(call->writer.arena, x, x->body_bytes / 2, body,
                       sizeof(body));
    for (uint32_t i = 0; head && fields && i < count; i++) {
        struct http_field field = fields[i];
        struct bytes value = exchange_span(x, head, field.value_off,
                                           field.value_len);

        for (size_t k = 0; k < value.n; k++)
            sum += (uint8_t)value.p[k];
    }
    x->out_bytes = sum & 1;
}

static int call_write(struct stage_call *call, size_t n)
{
    static const char text[1 << 16] = "HTTP/1.1 200 OK\r\nConnection: "
                                      "keep-alive\r\nA: b\r\n\r\n";
    size_t done = 0;

    call->writer.x->status = 200;
    if (n & 1)
        call->writer.x->connection_off = 29;
    return exchange_copy(&call->writer,
                         (struct bytes){text, min_u64(n, sizeof(text))}, &done);
}

/* What a response does when its peer is slow. */
static void call_spool(struct stage_call *call, size_t n)
{
    static const char text[1 << 16] = "spooled";

    if (call_write(call, n) != -EAGAIN)
        return;
    call->writer.stuck_ns = 1;
    call->writer.stuck_head = atomic_load(&call->writer.x->out_head);
    exchange_spool(&call->writer, (struct bytes){text, n % sizeof(text)});
}

static void call_read_stream(struct stage_call *call)
{
    struct exchange *x = call->writer.x;
    char text[20000];
    size_t n = min_u64(exchange_stream_left(x), sizeof(text));

    if (exchange_stream_peek(call->writer.arena, x, 0, text, n) &&
        exchange_stream_drop(x, n))
        exchange_nudge(&call->writer);
}

/* What exchange_body_wait() does, without blocking. */
static void call_want_body(struct stage_call *call)
{
    struct exchange *x = call->writer.x;
    uint32_t state = EXCHANGE_BODY_PENDING;

    if (x->body_kind == EXCHANGE_BODY_STREAM) {
        call_read_stream(call);
        return;
    }
    if (atomic_compare_exchange_strong(&x->body_state, &state,
                                       EXCHANGE_BODY_WANTED))
        exchange_flush(&call->writer);
}

static void call_step(struct stage *stage, struct stage_call *call,
                      uint8_t what)
{
    if (!call->active) {
        call->active = exchange_take(&call->thread, &call->writer);
        if (call->active)
            call_look(call);
        return;
    }
    switch (what % 8) {
    case 0:
        call_spool(call, some_size(stage));
        break;
    case 1:
        call_write(call, some_size(stage));
        break;
    case 2:
        exchange_flush(&call->writer);
        break;
    case 3:
        exchange_file(&call->writer, stage->file_fd, some_size(stage),
                      some_size(stage));
        break;
    case 4:
        call->writer.x->out_flags = stage_byte(stage) & 3;
        break;
    case 5:
        call_want_body(call);
        break;
    case 6:
    case 7:
        call_finish(call);
        break;
    }
}

static void call_die(struct stage *stage, uint32_t i)
{
    struct board_interp *interp = board_interp(stage->board, i);

    atomic_store(&interp->state, BOARD_INTERP_DEAD);
    atomic_fetch_add(&stage->board->death_epoch, 1);
    exchange_sweep(&stage->table, conn_on_lost, stage->set);
    atomic_store(&interp->state, BOARD_INTERP_SERVING);
    stage->calls[i].active = false;
}

static void turn(struct stage *stage, uint32_t most)
{
    struct ring_event events[8];
    int count = ring_wait(stage->ring, events, most % 8 + 1, 0);
    uint64_t recheck;
    uint32_t slot;

    must(count >= 0);
    conn_set_clock(stage->set, stage->clock_ns);
    for (int i = 0; i < count; i++)
        conn_on_event(stage->set, &events[i]);
    while (exchange_progress(&stage->table, &slot))
        conn_on_progress(stage->set, slot);
    conn_turn(stage->set);
    exchange_wake(&stage->table, stage->clock_ns, &recheck);
    access_log_turn(stage->log, stage->clock_ns);
}

bool stage_step(struct stage *stage, uint8_t what)
{
    uint8_t who = what / WHATS;
    struct stage_client *client = &stage->clients[who % STAGE_CLIENTS];
    struct stage_call *call = &stage->calls[who % STAGE_CALLS];

    switch ((enum what)(what % WHATS)) {
    case FEED:
    case CANNED:
        client_send(stage, client, what % WHATS == CANNED);
        break;
    case CLIENT:
        client_leave(stage, client);
        break;
    case CALL:
        call_step(stage, call, stage_byte(stage));
        break;
    case CALL_MUCH:
        for (int i = 0; i < 8 && call->active; i++)
            call_write(call, 16000);
        break;
    case CLOCK:
        stage->clock_ns += some_size(stage) * NS_PER_MS;
        break;
    case DEATH:
        call_die(stage, who % STAGE_CALLS);
        break;
    case TURN:
    case WHATS:
        break;
    }
    turn(stage, who);
    return stage->left > 0;
}

static struct conn_config config_of(uint8_t byte)
{
    return (struct conn_config){
        .proxy = byte & 1 ? PROXY_AUTO : PROXY_OFF,
        .proxy_allow = {.everyone = true},
        .limits = {.line_bytes = 4094, .fields = 100, .field_bytes = 8190},
        .body_limit_bytes = byte & 2 ? 100000 : 0,
        .keepalive_ms = byte & 4 ? 2000 : 0,
        .linger_ms = 300,
        .body_timeout_ms = 2000,
        .send_timeout_ms = 2000,
        .request_timeout_ms = 2000,
        .header_timeout_ms = 2000,
        .connections_max = STAGE_CLIENTS,
        .access_log = true,
    };
}

static void file_make(struct stage *stage)
{
    stage->file_fd = memfd_create("file", MFD_CLOEXEC);
    must(stage->file_fd >= 0);
    must(ftruncate(stage->file_fd, FILE_BYTES) == 0);
}

static void set_open(struct stage *stage)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    must(fd >= 0 && dup2(fd, LISTEN_FD) == LISTEN_FD);
    close(fd);
    stage->log_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    must(access_log_new(&stage->log, &(struct access_config){
                                         .fd = stage->log_fd,
                                         .format = ACCESS_LOG_DEFAULT}) == 0);
    must(exchange_table_init(&stage->table, stage->board, 0) == 0);
    must(exchange_site_init(&stage->site, stage->board) == 0);
    must(conn_set_new(&stage->set, &stage->config, stage->ring, &stage->table,
                      stage->log) == 0);
    /* The set began with the real time, and remembers the turn before. */
    conn_set_clock(stage->set, stage->clock_ns);
    conn_set_clock(stage->set, stage->clock_ns);
    wheel_init(&stage->set->wheel, stage->clock_ns / NS_PER_MS);
    must(conn_listen(stage->set, LISTEN_FD, 0) == 0);
}

struct stage *stage_new(const uint8_t *script, size_t size)
{
    struct fake_ring_config ring = {.buffers = 8, .buffer_bytes = 4096};
    struct stage *stage;

    if (size < 4)
        return NULL;
    stage = calloc(1, sizeof(*stage));
    must(stage);
    ring.seed = script[0] + 1U;
    ring.faults = script[1] & FAKE_RING_ALL;
    stage->config = config_of(script[2]);
    stage->script = script + 3;
    stage->left = size - 3;
    stage->clock_ns = NS_PER_S;
    stage->board = site_new(1, STAGE_SLOTS, STAGE_CHUNKS);
    atomic_store(&stage->board->streams, script[2] >> 3 & 1);
    stage->ring = fake_ring_new(&ring);
    file_make(stage);
    set_open(stage);
    for (uint32_t i = 0; i < STAGE_CALLS; i++) {
        atomic_store(&board_interp(stage->board, i)->state,
                     BOARD_INTERP_SERVING);
        exchange_thread_init(&stage->calls[i].thread, &stage->site, i);
    }
    for (uint32_t i = 0; i < STAGE_CLIENTS; i++)
        stage->clients[i].fd = fake_ring_connect(stage->ring, LISTEN_FD);
    return stage;
}

bool stage_end(struct stage *stage)
{
    for (uint32_t i = 0; i < STAGE_CLIENTS; i++)
        if (!stage->clients[i].reset)
            fake_ring_stall(stage->ring, stage->clients[i].fd, false);
    for (uint32_t i = 0; i < END_TURNS; i++) {
        if (i == ACCEPT_TURNS) /* all of the clients got in */
            conn_drain(stage->set);
        if (conn_is_drained(stage->set) &&
            stage->table.free_count == STAGE_SLOTS)
            return true;
        stage->clock_ns += NS_PER_MS * 50;
        for (uint32_t k = 0; k < STAGE_CALLS; k++)
            call_step(stage, &stage->calls[k], 7);
        turn(stage, 7);
    }
    return false;
}

void stage_free(struct stage *stage)
{
    uint64_t bytes = arena_bytes(STAGE_SLOTS, STAGE_CHUNKS);

    conn_set_free(stage->set);
    ring_free(stage->ring);
    access_log_free(stage->log);
    munmap(stage->site.arenas[0].base, bytes);
    munmap(stage->table.arena.base, bytes);
    exchange_site_done(&stage->site);
    exchange_table_done(&stage->table);
    site_free(stage->board);
    close(stage->file_fd);
    close(stage->log_fd);
    close(LISTEN_FD);
    free(stage);
}
