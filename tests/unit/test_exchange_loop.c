/* SPDX-License-Identifier: MIT */
/* Event loops: which one is offered a request, what wakes it, who may take
 * it; and many of them, with streaming bodies, killed at random. */
#include "core/board.h"
#include "core/board_interp.h"
#include "core/board_worker.h"
#include "core/exchange_loop.h"
#include "core/exchange_part.h"
#include "core/exchange_progress.h"
#include "core/exchange_stream.h"
#include "core/exchange_take.h"
#include "core/exchange_wake.h"
#include "core/exchange_worker.h"
#include "core/exchange_writer.h"
#include "site.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#define SLOTS 64
#define CHUNKS 256
#define HOME 0                        /* an interpreter of worker 0 */
#define AWAY BOARD_INTERPS_PER_WORKER /* one of worker 1 */

struct stage {
    struct board *board;
    struct exchange_table table; /* of worker 0 */
    struct exchange_site site;
    struct exchange_loop home;
    struct exchange_loop away;
};

static void doorbells(struct board *board)
{
    uint32_t i;

    for (i = 0; i < board->interp_slots; i++)
        board_interp(board, i)->doorbell_fd = eventfd(0, EFD_NONBLOCK);
}

static void enter(struct stage *stage, struct exchange_loop *loop,
                  uint32_t interp)
{
    atomic_store(&board_interp(stage->board, interp)->state,
                 BOARD_INTERP_SERVING);
    assert_int_equal(exchange_loop_init(loop, &stage->site, interp), 0);
    exchange_loop_rise(loop);
    assert_true(exchange_loop_rest(loop, true));
}

static struct stage *stage_new(void)
{
    struct stage *stage = calloc(1, sizeof(*stage));

    stage->board = site_new(2, SLOTS, CHUNKS);
    doorbells(stage->board);
    assert_int_equal(exchange_table_init(&stage->table, stage->board, 0), 0);
    assert_int_equal(exchange_site_init(&stage->site, stage->board), 0);
    enter(stage, &stage->home, HOME);
    enter(stage, &stage->away, AWAY);
    return stage;
}

static void stage_free(struct stage *stage)
{
    uint32_t i;

    for (i = 0; i < stage->board->interp_slots; i++)
        close(board_interp(stage->board, i)->doorbell_fd);
    assert_int_equal(arena_chunks_used(&stage->table.arena), 0);
    assert_int_equal(stage->table.free_count, SLOTS);
    exchange_loop_done(&stage->home);
    exchange_loop_done(&stage->away);
    exchange_table_done(&stage->table);
    exchange_site_done(&stage->site);
    site_free(stage->board);
    free(stage);
}

static struct exchange *request(struct stage *stage)
{
    struct exchange *x = exchange_new(&stage->table);

    assert_non_null(x);
    memcpy(exchange_head_room(&stage->table, x, 1), "x", 1);
    x->request.head_len = 1;
    x->ready_ns = now_ns();
    exchange_ready(&stage->table, x);
    return x;
}

static void wake(struct stage *stage)
{
    uint64_t recheck_ns;

    exchange_wake(&stage->table, now_ns(), &recheck_ns);
}

static bool rang(const struct exchange_loop *loop)
{
    struct pollfd poll_fd = {exchange_loop_fd(loop), POLLIN, 0};

    return poll(&poll_fd, 1, 0) == 1;
}

/* Another turn of the loop: whether there was one to take. */
static bool takes(struct exchange_loop *loop, struct exchange_writer *writer)
{
    exchange_loop_rise(loop);
    return exchange_loop_take(loop, writer);
}

static void finish(struct stage *stage, struct exchange_loop *loop,
                   struct exchange_writer *writer)
{
    uint32_t slot = exchange_slot(writer->arena, writer->x);
    struct exchange *x = exchange_at(&stage->table.arena, slot);

    exchange_finish(writer);
    exchange_loop_leave(loop, 0, slot);
    assert_true(exchange_is_over(x));
    exchange_free(&stage->table, x);
}

static void the_own_loop_gets_it(void **state)
{
    struct stage *stage = stage_new();
    struct exchange_writer writer;

    (void)state;
    request(stage);
    wake(stage);
    assert_true(rang(&stage->home));
    assert_false(rang(&stage->away));
    assert_false(takes(&stage->away, &writer));
    assert_true(takes(&stage->home, &writer));
    finish(stage, &stage->home, &writer);
    stage_free(stage);
}

static void the_one_with_the_fewest_in_flight_gets_it(void **state)
{
    struct stage *stage = stage_new();
    struct exchange_writer writer[6];
    uint32_t i, home = 0, away = 0;

    (void)state;
    for (i = 0; i < 6; i++) {
        request(stage);
        wake(stage);
        if (takes(&stage->home, &writer[i]))
            home++;
        else if (takes(&stage->away, &writer[i]))
            away++;
    }
    assert_int_equal(home, 3);
    assert_int_equal(away, 3);
    for (i = 0; i < 6; i++)
        finish(stage,
               writer[i].thread == &stage->home.thread ? &stage->home
                                                       : &stage->away,
               &writer[i]);
    stage_free(stage);
}

static void those_of_one_turn_are_shared_out(void **state)
{
    struct stage *stage = stage_new();
    struct exchange_writer writer[4];
    uint32_t i;

    (void)state;
    for (i = 0; i < 4; i++)
        request(stage);
    wake(stage);
    assert_true(rang(&stage->home));
    assert_true(rang(&stage->away));
    for (i = 0; i < 2; i++)
        assert_true(takes(&stage->home, &writer[i]));
    assert_false(takes(&stage->home, &writer[2]));
    for (i = 2; i < 4; i++)
        assert_true(takes(&stage->away, &writer[i]));
    for (i = 0; i < 4; i++)
        finish(stage, i < 2 ? &stage->home : &stage->away, &writer[i]);
    stage_free(stage);
}

static void one_that_lags_is_passed_over(void **state)
{
    struct stage *stage = stage_new();
    struct board_interp *home = board_interp(stage->board, HOME);
    struct exchange_writer writer;

    (void)state;
    exchange_loop_rise(&stage->home); /* and does not come round */
    atomic_store(&home->beat_ns, now_ns() - NS_PER_S);
    atomic_store(&home->rung_ns, 0);
    assert_true(board_loop_lag_ns(home, now_ns()) >= NS_PER_S);
    request(stage);
    wake(stage);
    assert_true(rang(&stage->away));
    assert_true(takes(&stage->away, &writer));
    finish(stage, &stage->away, &writer);
    stage_free(stage);
}

static void one_that_is_full_is_passed_over(void **state)
{
    struct stage *stage = stage_new();
    struct exchange_writer writer;

    (void)state;
    exchange_loop_rise(&stage->home);
    assert_true(exchange_loop_rest(&stage->home, false));
    request(stage);
    wake(stage);
    assert_false(rang(&stage->home));
    assert_true(takes(&stage->away, &writer));
    finish(stage, &stage->away, &writer);
    stage_free(stage);
}

/* Nobody is woken in vain, and the first that can take it does. */
static void when_all_are_full_it_waits(void **state)
{
    struct stage *stage = stage_new();
    struct exchange_writer writer;
    struct exchange *x;

    (void)state;
    exchange_loop_rise(&stage->home);
    exchange_loop_rise(&stage->away);
    assert_true(exchange_loop_rest(&stage->home, false));
    assert_true(exchange_loop_rest(&stage->away, false));
    x = request(stage);
    x->ready_ns -= NS_PER_S;
    wake(stage);
    assert_false(rang(&stage->home));
    assert_false(rang(&stage->away));
    assert_true(takes(&stage->away, &writer));
    finish(stage, &stage->away, &writer);
    stage_free(stage);
}

static void what_a_stuck_loop_was_offered_goes_to_another(void **state)
{
    struct stage *stage = stage_new();
    struct board_interp *home = board_interp(stage->board, HOME);
    struct exchange_writer writer;
    struct exchange *x = request(stage);

    (void)state;
    wake(stage);
    assert_true(rang(&stage->home));
    assert_false(takes(&stage->away, &writer));
    assert_true(exchange_loop_rest(&stage->away, true));
    atomic_store(&home->beat_ns, now_ns() - NS_PER_S);
    atomic_store(&home->rung_ns, now_ns() - NS_PER_S);
    x->ready_ns -= NS_PER_MS;
    wake(stage);
    assert_true(rang(&stage->away));
    assert_true(takes(&stage->away, &writer));
    finish(stage, &stage->away, &writer);
    stage_free(stage);
}

/* It looked, found nothing, and lies down while the worker offers. */
static void a_call_is_not_missed(void **state)
{
    struct stage *stage = stage_new();
    struct exchange_writer writer;

    (void)state;
    assert_false(takes(&stage->home, &writer));
    request(stage);
    wake(stage);
    assert_false(exchange_loop_rest(&stage->home, true));
    assert_true(takes(&stage->home, &writer));
    finish(stage, &stage->home, &writer);
    assert_true(exchange_loop_rest(&stage->home, true));
    stage_free(stage);
}

static void the_worker_rests_while_its_loop_works(void **state)
{
    struct stage *stage = stage_new();
    struct board_worker *self = board_worker(stage->board, 0);
    struct exchange_writer writer[5];
    uint32_t i;

    (void)state;
    atomic_store(&board_interp(stage->board, AWAY)->state, BOARD_INTERP_DEAD);
    for (i = 0; i < 5; i++)
        request(stage);
    wake(stage);
    assert_int_equal(exchange_rest_ns(&stage->table), 0); /* it is asleep */
    for (i = 0; i < 5; i++) {
        assert_int_equal(exchange_rest_ns(&stage->table) > 0, i >= 4);
        assert_true(takes(&stage->home, &writer[i]));
    }
    atomic_store(&self->sleeping, BOARD_DOZING);
    assert_true(exchange_loop_rest(&stage->home, true)); /* wakes it */
    assert_int_equal(atomic_load(&self->sleeping), BOARD_AWAKE);
    assert_int_equal(exchange_rest_ns(&stage->table), 0);
    for (i = 0; i < 5; i++)
        finish(stage, &stage->home, &writer[i]);
    stage_free(stage);
}

static void on_change(void *context, uint32_t worker, uint32_t slot)
{
    uint32_t *seen = context;

    assert_int_equal(worker, 0);
    *seen = slot + 1;
}

static void a_change_is_told_once_to_whom_it_concerns(void **state)
{
    struct stage *stage = stage_new();
    struct exchange_writer writer;
    struct exchange *x = request(stage);
    uint32_t seen = 0;

    (void)state;
    assert_true(takes(&stage->home, &writer));
    assert_true(exchange_loop_rest(&stage->home, true));
    exchange_attend(&stage->table, x);
    assert_true(rang(&stage->home));
    exchange_loop_rise(&stage->away);
    exchange_loop_changes(&stage->away, on_change, &seen);
    assert_int_equal(seen, 0);
    exchange_loop_rise(&stage->home);
    exchange_loop_changes(&stage->home, on_change, &seen);
    assert_int_equal(seen, exchange_slot(&stage->table.arena, x) + 1);
    seen = 0;
    exchange_loop_changes(&stage->home, on_change, &seen);
    assert_int_equal(seen, 0);
    finish(stage, &stage->home, &writer);
    stage_free(stage);
}

/* ---- many loops, killed at random, while bodies stream to them ---- */

#define STRESS_REQUESTS 4000
#define STRESS_KILLS 40
#define STRESS_FLYING 24
#define STRESS_LOOPS 3

static uint32_t body_bytes(uint32_t id)
{
    return id % 13 ? id * 7919 % 9000 : id * 7919 % 400000;
}

static char pattern(uint32_t id, uint64_t i)
{
    return (char)(id + i * 31 + i / 4096);
}

/* One that runs: it reads, and answers with what it read, one sum. */
struct run {
    struct exchange_writer writer;
    uint32_t sum;
};

struct player {
    struct exchange_loop loop;
    struct run run[2][SLOTS];
};

static void play_on(void *context, uint32_t worker, uint32_t slot)
{
    struct player *player = context;
    struct run *run = &player->run[worker][slot];
    struct exchange *x = run->writer.x;
    bool complete = atomic_load(&x->body_state) == EXCHANGE_BODY_COMPLETE;
    char piece[ARENA_CHUNK_BYTES];
    size_t n, done;

    while ((n = min_u64(exchange_stream_left(x), sizeof(piece))) > 0) {
        must(exchange_stream_peek(run->writer.arena, x, 0, piece, n));
        for (size_t i = 0; i < n; i++)
            run->sum = run->sum * 31 + (uint8_t)piece[i];
        if (exchange_stream_drop(x, n))
            exchange_nudge(&run->writer);
    }
    if (!complete && !exchange_is_cancelled(&run->writer))
        return;
    exchange_copy(&run->writer,
                  (struct bytes){(char *)&run->sum, sizeof(run->sum)}, &done);
    exchange_finish(&run->writer);
    exchange_loop_leave(&player->loop, worker, slot);
}

static void interpret(struct board *board, uint32_t interp)
{
    struct player *player = calloc(1, sizeof(*player));
    struct exchange_writer writer;
    struct exchange_site site;
    struct pollfd bell;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!player || exchange_site_init(&site, board) ||
        exchange_loop_init(&player->loop, &site, interp))
        _exit(1);
    bell = (struct pollfd){exchange_loop_fd(&player->loop), POLLIN, 0};
    atomic_store(&board_interp(board, interp)->state, BOARD_INTERP_SERVING);
    for (;;) {
        exchange_loop_rise(&player->loop);
        exchange_loop_changes(&player->loop, play_on, player);
        while (exchange_loop_take(&player->loop, &writer)) {
            uint32_t worker = writer.arena->worker;
            uint32_t slot = exchange_slot(writer.arena, writer.x);

            player->run[worker][slot] = (struct run){.writer = writer};
            play_on(player, worker, slot);
        }
        if (exchange_loop_rest(&player->loop, true))
            poll(&bell, 1, 1000);
    }
}

struct flight {
    struct exchange_stream stream;
    uint32_t id; /* 0: none */
    uint32_t sent;
    uint32_t sum;
};

struct stress {
    struct stage stage;
    struct flight flight[SLOTS];
    uint32_t next_id, flying, done, lost;
};

static void spawn(struct stress *stress, uint32_t interp)
{
    struct board *board = stress->stage.board;
    struct board_interp *place = board_interp(board, interp);
    pid_t pid;

    atomic_store(&place->state, BOARD_INTERP_STARTING);
    atomic_store(&place->asleep[0], 0);
    atomic_store(&place->beds, 0);
    atomic_store(&place->running, 0);
    pid = fork();
    must(pid >= 0);
    if (pid == 0)
        interpret(board, interp);
    atomic_store(&place->pid, pid);
}

static void feed(struct stress *stress, struct flight *flight)
{
    struct exchange *x = flight->stream.x;
    uint32_t before = flight->sent;
    char *to;
    size_t n;

    if (atomic_load(&x->body_state) == EXCHANGE_BODY_COMPLETE)
        return;
    while ((n = min_u64(exchange_stream_room(&flight->stream, &to),
                        body_bytes(flight->id) - flight->sent)) > 0) {
        for (size_t i = 0; i < n; i++) {
            to[i] = pattern(flight->id, flight->sent++);
            flight->sum = flight->sum * 31 + (uint8_t)to[i];
        }
        exchange_stream_wrote(&flight->stream, n);
    }
    if (flight->sent == body_bytes(flight->id))
        exchange_body_done(&stress->stage.table, x, EXCHANGE_BODY_COMPLETE);
    else if (flight->sent > before)
        exchange_attend(&stress->stage.table, x);
}

static void start_some(struct stress *stress)
{
    struct exchange_table *table = &stress->stage.table;

    while (stress->flying < STRESS_FLYING &&
           stress->next_id < STRESS_REQUESTS) {
        struct exchange *x = exchange_new(table);
        struct flight *flight =
            &stress->flight[exchange_slot(&table->arena, x)];

        *flight = (struct flight){.id = ++stress->next_id};
        memcpy(exchange_head_room(table, x, 1), "x", 1);
        x->request.head_len = 1;
        x->ready_ns = now_ns();
        exchange_stream_begin(&flight->stream, table, x);
        exchange_ready(table, x);
        stress->flying++;
    }
}

static void over(struct stress *stress, struct exchange *x)
{
    uint32_t slot = exchange_slot(&stress->stage.table.arena, x);

    assert_int_not_equal(stress->flight[slot].id, 0); /* none twice */
    stress->flight[slot].id = 0;
    stress->flying--;
    stress->done++;
    exchange_free(&stress->stage.table, x);
}

static void on_lost(void *context, struct exchange *x)
{
    struct stress *stress = context;

    stress->lost++;
    over(stress, x);
}

static void receive(struct stress *stress, uint32_t slot)
{
    struct exchange_table *table = &stress->stage.table;
    struct exchange *x = exchange_at(&table->arena, slot);
    struct flight *flight = &stress->flight[slot];
    struct exchange_part part;
    const char *bytes;
    uint32_t sum;

    if (flight->id == 0)
        return;
    feed(stress, flight);
    if (!exchange_is_done(x))
        return;
    assert_int_equal(exchange_part_next(table, x, 0, &part, &bytes), 1);
    assert_int_equal(part.len, sizeof(sum));
    memcpy(&sum, bytes, sizeof(sum));
    assert_int_equal(sum, flight->sum);
    exchange_parts_sent(table, x, 1);
    over(stress, x);
}

static void kill_one(struct stress *stress, uint32_t interp)
{
    struct board *board = stress->stage.board;
    struct board_interp *place = board_interp(board, interp);
    pid_t pid = atomic_load(&place->pid);

    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    atomic_store(&place->state, BOARD_INTERP_DEAD);
    atomic_store(&place->death_epoch,
                 atomic_fetch_add(&board->death_epoch, 1) + 1);
    exchange_sweep(&stress->stage.table, on_lost, stress);
    spawn(stress, interp);
}

static void turn(struct stress *stress)
{
    uint64_t recheck_ns;
    uint32_t slot;

    start_some(stress);
    for (slot = 0; slot < SLOTS; slot++)
        if (stress->flight[slot].id != 0)
            feed(stress, &stress->flight[slot]);
    exchange_wake(&stress->stage.table, now_ns(), &recheck_ns);
    if (!exchange_has_progress(&stress->stage.table))
        usleep(50); /* the worker's own bell is not what is tested here */
    while (exchange_progress(&stress->stage.table, &slot))
        receive(stress, slot);
}

static void bodies_arrive_whole_while_loops_are_killed(void **state)
{
    static const uint32_t interps[STRESS_LOOPS] = {0, 2, AWAY};
    struct stress *stress = calloc(1, sizeof(*stress));
    struct stage *stage = &stress->stage;
    uint32_t i, kills = 0;

    (void)state;
    srandom(4711);
    stage->board = site_new(2, SLOTS, CHUNKS);
    doorbells(stage->board);
    assert_int_equal(exchange_table_init(&stage->table, stage->board, 0), 0);
    for (i = 0; i < STRESS_LOOPS; i++)
        spawn(stress, interps[i]);
    while (stress->done < STRESS_REQUESTS) {
        turn(stress);
        if (kills < STRESS_KILLS &&
            stress->done > (kills + 1) * (STRESS_REQUESTS / STRESS_KILLS) -
                               (uint32_t)random() % 50) {
            kill_one(stress, interps[(uint32_t)random() % STRESS_LOOPS]);
            kills++;
        }
    }
    for (i = 0; i < STRESS_LOOPS; i++) {
        pid_t pid = atomic_load(&board_interp(stage->board, interps[i])->pid);

        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    print_message("%u done, %u lost, %u kills\n", stress->done, stress->lost,
                  kills);
    assert_int_equal(kills, STRESS_KILLS);
    assert_true(stress->lost < STRESS_REQUESTS / 4);
    assert_int_equal(arena_chunks_used(&stage->table.arena), 0);
    assert_int_equal(stage->table.free_count, SLOTS);
    exchange_table_done(&stage->table);
    site_free(stage->board);
    free(stress);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_own_loop_gets_it),
        cmocka_unit_test(the_one_with_the_fewest_in_flight_gets_it),
        cmocka_unit_test(those_of_one_turn_are_shared_out),
        cmocka_unit_test(one_that_lags_is_passed_over),
        cmocka_unit_test(one_that_is_full_is_passed_over),
        cmocka_unit_test(when_all_are_full_it_waits),
        cmocka_unit_test(what_a_stuck_loop_was_offered_goes_to_another),
        cmocka_unit_test(a_call_is_not_missed),
        cmocka_unit_test(the_worker_rests_while_its_loop_works),
        cmocka_unit_test(a_change_is_told_once_to_whom_it_concerns),
        cmocka_unit_test(bodies_arrive_whole_while_loops_are_killed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
