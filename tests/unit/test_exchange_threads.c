/* SPDX-License-Identifier: MIT */
/*
 * Four threads of each interpreter and the worker in one process, so that the
 * thread sanitizer sees both sides of every hand-over.
 */
#include "core/board.h"
#include "core/board_interp.h"
#include "core/board_worker.h"
#include "core/exchange_part.h"
#include "core/exchange_progress.h"
#include "core/exchange_request.h"
#include "core/exchange_take.h"
#include "core/exchange_wake.h"
#include "core/exchange_writer.h"
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
/* By turns few requests, so that threads fall asleep, and many. */
#define SPELL 512
/* How often an interpreter is replaced. */
#define CHANGES 20

/* The threads of one interpreter. */
struct crew {
    struct exchange_site *site;
    uint32_t interp;
    pthread_t thread[THREADS];
};

struct stage {
    struct board *board;
    struct exchange_site site;
    struct exchange_table table;
};

struct desk {
    struct exchange_table *table;
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

    exchange_thread_init(&thread, crew->site, crew->interp);
    while (board_interp_serves(atomic_load(&thread.self->state))) {
        if (!exchange_take(&thread, &writer)) {
            exchange_sleep(&thread);
            continue;
        }
        answer(&writer);
        exchange_finish(&writer);
    }
    exchange_announce(&thread);
    return NULL;
}

static void stage_open(struct stage *stage)
{
    stage->board = site_new(1, SLOTS, CHUNKS);
    assert_int_equal(exchange_site_init(&stage->site, stage->board), 0);
    assert_int_equal(exchange_table_init(&stage->table, stage->board, 0), 0);
    /* One mapping for both sides: the sanitizer goes by addresses. */
    stage->table.arena = stage->site.arenas[0];
}

static void stage_close(struct stage *stage)
{
    assert_int_equal(stage->table.free_count, SLOTS);
    assert_int_equal(arena_chunks_used(&stage->table.arena), 0);
    exchange_table_done(&stage->table);
    exchange_site_done(&stage->site);
    site_free(stage->board);
}

static void crew_start(struct crew *crew, struct stage *stage, uint32_t interp)
{
    *crew = (struct crew){.site = &stage->site, .interp = interp};
    atomic_store(&board_interp(stage->board, interp)->state,
                 BOARD_INTERP_SERVING);
    for (uint32_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&crew->thread[i], NULL, serve, crew),
                         0);
}

/* As the master drains: the state first, then everybody awake. */
static void crew_drain(struct crew *crew)
{
    struct board_interp *interp = board_interp(crew->site->board, crew->interp);

    atomic_store(&interp->state, BOARD_INTERP_DRAINING);
    while (board_wake_interp(interp))
        continue;
}

static void crew_stop(struct crew *crew)
{
    crew_drain(crew);
    for (uint32_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(crew->thread[i], NULL), 0);
}

static void start_one(struct desk *desk)
{
    struct exchange *x = exchange_new(desk->table);
    uint32_t slot = exchange_slot(&desk->table->arena, x);
    uint32_t id = ++desk->started;

    assert_non_null(x);
    memcpy(exchange_head_room(desk->table, x, sizeof(id)), &id, sizeof(id));
    x->request.head_len = sizeof(id);
    x->ready_ns = now_ns();
    desk->id[slot] = id;
    desk->got[slot] = 0;
    desk->flying++;
    exchange_ready(desk->table, x);
    if (id % CANCEL_EVERY == 0) {
        desk->id[slot] = 0;
        desk->flying--;
        desk->cancelled++;
        exchange_cancel(desk->table, x, 0);
    }
}

static void receive(struct desk *desk, uint32_t slot)
{
    struct exchange *x = exchange_at(&desk->table->arena, slot);
    struct exchange_part part;
    const char *bytes;

    if (desk->id[slot] == 0) {
        exchange_settle(desk->table, x);
        return;
    }
    while (exchange_part_next(desk->table, x, 0, &part, &bytes) == 1) {
        if (part.len > 0)
            assert_int_equal(bytes[part.len - 1], desk->id[slot] & 0x7f);
        desk->got[slot] += part.len;
        exchange_parts_sent(desk->table, x, 1);
    }
    if (!exchange_is_over(x))
        return;
    assert_int_equal(desk->got[slot], answer_bytes(desk->id[slot]));
    desk->id[slot] = 0;
    desk->flying--;
    desk->answered++;
    exchange_free(desk->table, x);
}

static uint32_t most_flying(const struct desk *desk)
{
    return desk->started / SPELL % 2 ? FLYING : 1;
}

static void desk_turn(struct desk *desk, uint32_t until)
{
    struct board_worker *self = board_worker(desk->table->board, 0);
    uint64_t recheck;
    uint32_t slot;

    while (desk->flying < most_flying(desk) && desk->started < until)
        start_one(desk);
    exchange_wake(desk->table, now_ns(), &recheck);
    atomic_store(&self->sleeping, BOARD_DOZING);
    if (!exchange_has_progress(desk->table))
        board_doze(self, DOZE_NS);
    atomic_store(&self->sleeping, BOARD_AWAKE);
    while (exchange_progress(desk->table, &slot))
        receive(desk, slot);
}

static void desk_finish(struct desk *desk)
{
    while (desk->answered + desk->cancelled < REQUESTS ||
           desk->table->orphans > 0)
        desk_turn(desk, REQUESTS);
    assert_true(desk->cancelled > 0);
}

static void threads_answer_each_request_once(void **state)
{
    struct stage stage;
    struct crew crew;
    struct desk desk = {.table = &stage.table};

    (void)state;
    stage_open(&stage);
    crew_start(&crew, &stage, 0);
    desk_finish(&desk);
    crew_stop(&crew);
    stage_close(&stage);
}

/* What the drained interpreter had not taken waits for its successor. */
static void a_successor_takes_over_from_a_drained_interpreter(void **state)
{
    struct stage stage;
    struct crew crew, successor;
    struct desk desk = {.table = &stage.table};

    (void)state;
    stage_open(&stage);
    crew_start(&crew, &stage, 0);
    while (desk.started < REQUESTS / 2)
        desk_turn(&desk, REQUESTS / 2);
    crew_stop(&crew);
    crew_start(&successor, &stage, 1);
    desk_finish(&desk);
    crew_stop(&successor);
    stage_close(&stage);
}

static void interpreters_come_and_go_under_load(void **state)
{
    struct stage stage;
    struct crew crew[2];
    struct desk desk = {.table = &stage.table};

    (void)state;
    stage_open(&stage);
    crew_start(&crew[0], &stage, 0);
    for (uint32_t i = 1; i <= CHANGES; i++) {
        crew_start(&crew[i % 2], &stage, i % BOARD_INTERPS_PER_WORKER);
        crew_drain(&crew[(i + 1) % 2]);
        while (desk.started < REQUESTS / (CHANGES + 1) * i)
            desk_turn(&desk, REQUESTS / (CHANGES + 1) * i);
        crew_stop(&crew[(i + 1) % 2]);
    }
    desk_finish(&desk);
    crew_stop(&crew[CHANGES % 2]);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_answer_each_request_once),
        cmocka_unit_test(a_successor_takes_over_from_a_drained_interpreter),
        cmocka_unit_test(interpreters_come_and_go_under_load),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
