/* SPDX-License-Identifier: MIT */
/*
 * Four threads of one interpreter and the worker in one process, so that the
 * thread sanitizer sees both sides of every hand-over.
 */
#include "core/exchange_interp.h"
#include "core/exchange_worker.h"
#include "site.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SLOTS 64
#define CHUNKS 256
#define THREADS 4
#define REQUESTS 60000
#define FLYING 24
#define CANCEL_EVERY 17
/* Every so often an answer is larger than the response window. */
#define LARGE_EVERY 101
#define LARGE_BYTES 600000
#define DOZE_NS (200 * NS_PER_US)

struct crew {
    struct board *board;
    struct exchange_site site;
    pthread_t thread[THREADS];
};

struct desk {
    struct exchange_table table;
    uint32_t id[SLOTS]; /* of the request in the slot, 0: none or cancelled */
    uint32_t got[SLOTS];
    uint32_t started;
    uint32_t flying;
    uint32_t answered;
    uint32_t cancelled;
};

static uint32_t answer_bytes(uint32_t id)
{
    return id % LARGE_EVERY ? id % 900 + 1 : LARGE_BYTES;
}

static void answer(struct exchange_writer *writer)
{
    uint32_t id;
    uint32_t left;
    char piece[4096];

    memcpy(&id, exchange_head(writer->arena, writer->x), sizeof(id));
    memset(piece, (int)(id & 0x7f), sizeof(piece));
    left = answer_bytes(id);
    while (left > 0) {
        struct bytes data = {piece, min_u64(left, sizeof(piece))};
        size_t done;
        int error = exchange_copy(writer, data, &done);

        left -= (uint32_t)done;
        if (error == -EAGAIN)
            exchange_wait(writer);
        else if (error)
            return; /* cancelled */
        if (id % 3 == 0 && exchange_flush(writer) == -ECANCELED)
            return;
    }
}

static void *serve(void *context)
{
    struct crew *crew = context;
    struct exchange_thread thread;
    struct exchange_writer writer;

    exchange_thread_init(&thread, &crew->site, 0);
    while (board_interp_serves(atomic_load(&thread.self->state))) {
        if (!exchange_take(&thread, &writer)) {
            exchange_sleep(&thread);
            continue;
        }
        answer(&writer);
        exchange_finish(&writer);
    }
    return NULL;
}

static void crew_start(struct crew *crew)
{
    crew->board = site_new(1, SLOTS, CHUNKS);
    assert_int_equal(exchange_site_init(&crew->site, crew->board), 0);
    atomic_store(&board_interp(crew->board, 0)->state, BOARD_INTERP_SERVING);
    for (uint32_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&crew->thread[i], NULL, serve, crew),
                         0);
}

/* As the master drains: the state first, then everybody awake. */
static void crew_stop(struct crew *crew)
{
    struct board_interp *interp = board_interp(crew->board, 0);

    atomic_store(&interp->state, BOARD_INTERP_DRAINING);
    while (board_wake_interp(interp))
        continue;
    for (uint32_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(crew->thread[i], NULL), 0);
    exchange_site_done(&crew->site);
    site_free(crew->board);
}

static void start_one(struct desk *desk)
{
    struct exchange *x = exchange_new(&desk->table);
    uint32_t id = ++desk->started;

    assert_non_null(x);
    memcpy(exchange_head_room(&desk->table, x, sizeof(id)), &id, sizeof(id));
    x->request.head_len = sizeof(id);
    x->ready_ns = now_ns();
    desk->id[x->slot] = id;
    desk->got[x->slot] = 0;
    desk->flying++;
    exchange_ready(&desk->table, x);
    if (id % CANCEL_EVERY == 0) {
        desk->id[x->slot] = 0;
        desk->flying--;
        desk->cancelled++;
        exchange_cancel(&desk->table, x, 0);
    }
}

static void receive(struct desk *desk, uint32_t slot)
{
    struct exchange *x = exchange_at(&desk->table.arena, slot);
    struct exchange_part part;
    const char *bytes;

    if (desk->id[slot] == 0) {
        exchange_settle(&desk->table, x);
        return;
    }
    while (exchange_part_next(&desk->table, x, 0, &part, &bytes) == 1) {
        if (part.len > 0)
            assert_int_equal(bytes[part.len - 1], desk->id[slot] & 0x7f);
        desk->got[slot] += part.len;
        exchange_parts_sent(&desk->table, x, 1);
    }
    if (!exchange_is_over(x))
        return;
    assert_int_equal(desk->got[slot], answer_bytes(desk->id[slot]));
    desk->id[slot] = 0;
    desk->flying--;
    desk->answered++;
    exchange_free(&desk->table, x);
}

static void desk_turn(struct desk *desk, struct board_worker *self)
{
    uint64_t recheck;
    uint32_t slot;

    while (desk->flying < FLYING && desk->started < REQUESTS)
        start_one(desk);
    exchange_wake(&desk->table, now_ns(), &recheck);
    atomic_store(&self->sleeping, BOARD_DOZING);
    if (!exchange_has_progress(&desk->table))
        board_doze(self, DOZE_NS);
    atomic_store(&self->sleeping, BOARD_AWAKE);
    while (exchange_progress(&desk->table, &slot))
        receive(desk, slot);
}

static void threads_answer_each_request_once(void **state)
{
    struct crew crew;
    struct desk desk = {0};
    struct board_worker *self;

    (void)state;
    crew_start(&crew);
    self = board_worker(crew.board, 0);
    assert_int_equal(exchange_table_init(&desk.table, crew.board, 0), 0);
    /* One mapping for both sides: the sanitizer goes by addresses. */
    desk.table.arena = crew.site.arenas[0];
    while (desk.answered + desk.cancelled < REQUESTS || desk.table.orphans > 0)
        desk_turn(&desk, self);
    assert_int_equal(desk.table.free_count, SLOTS);
    assert_int_equal(arena_chunks_used(&desk.table.arena), 0);
    assert_true(desk.cancelled > 0);
    exchange_table_done(&desk.table);
    crew_stop(&crew);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_answer_each_request_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
