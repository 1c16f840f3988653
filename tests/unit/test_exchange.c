/* SPDX-License-Identifier: MIT */
#include "core/board.h"
#include "core/board_interp.h"
#include "core/board_worker.h"
#include "core/exchange_body.h"
#include "core/exchange_part.h"
#include "core/exchange_progress.h"
#include "core/exchange_request.h"
#include "core/exchange_take.h"
#include "core/exchange_wake.h"
#include "core/exchange_writer.h"
#include "core/exchange_worker.h"
#include "site.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#define SLOTS 64
#define CHUNKS 192

struct stage {
    struct board *board;
    struct exchange_table table;
    struct exchange_site site;
    struct exchange_thread thread;
};

static struct stage stage_new(void)
{
    struct stage stage = {.board = site_new(2, SLOTS, CHUNKS)};

    assert_int_equal(exchange_table_init(&stage.table, stage.board, 0), 0);
    assert_int_equal(exchange_site_init(&stage.site, stage.board), 0);
    return stage;
}

/* The thread points into the stage: not before it has its place. */
static void stage_enter(struct stage *stage, uint32_t interp)
{
    atomic_store(&board_interp(stage->board, interp)->state,
                 BOARD_INTERP_SERVING);
    exchange_thread_init(&stage->thread, &stage->site, interp);
}

static void stage_leave(struct stage *stage)
{
    assert_int_equal(arena_chunks_used(&stage->table.arena), 0);
    assert_int_equal(stage->table.free_count, SLOTS);
    assert_int_equal(stage->table.orphans, 0);
    exchange_table_done(&stage->table);
    exchange_site_done(&stage->site);
    site_free(stage->board);
}

static struct exchange *request(struct stage *stage, const char *head)
{
    struct exchange *x = exchange_new(&stage->table);

    assert_non_null(x);
    memcpy(exchange_head_room(&stage->table, x, strlen(head)), head,
           strlen(head));
    x->request.head_len = (uint32_t)strlen(head);
    return x;
}

static void one_request_there_and_back(void **state)
{
    struct stage stage = stage_new();
    struct exchange_writer writer;
    struct exchange_part part;
    struct exchange *x;
    const char *bytes;
    uint32_t slot;
    size_t done;

    (void)state;
    stage_enter(&stage, 0);
    assert_false(exchange_take(&stage.thread, &writer));
    x = request(&stage, "hello");
    exchange_ready(&stage.table, x);
    assert_true(exchange_take(&stage.thread, &writer));
    assert_false(exchange_take(&stage.thread, &writer));
    assert_memory_equal(exchange_head(writer.arena, writer.x), "hello", 5);
    assert_int_equal(exchange_copy(&writer, BYTES("world"), &done), 0);
    assert_int_equal(exchange_part_next(&stage.table, x, 0, &part, &bytes), 0);
    exchange_finish(&writer);
    assert_true(exchange_progress(&stage.table, &slot));
    assert_int_equal(slot, exchange_slot(&stage.table.arena, x));
    assert_false(exchange_progress(&stage.table, &slot));
    assert_int_equal(exchange_part_next(&stage.table, x, 0, &part, &bytes), 1);
    assert_int_equal(part.len, 5);
    assert_memory_equal(bytes, "world", 5);
    assert_false(exchange_is_over(x));
    exchange_parts_sent(&stage.table, x, 1);
    assert_true(exchange_is_over(x));
    exchange_free(&stage.table, x);
    stage_leave(&stage);
}

static void another_workers_interpreter_takes_it(void **state)
{
    struct stage stage = stage_new();
    struct exchange_writer writer;
    struct exchange *x;

    (void)state;
    stage_enter(&stage, BOARD_INTERPS_PER_WORKER); /* home: worker 1 */
    x = request(&stage, "x");
    exchange_ready(&stage.table, x);
    assert_true(exchange_take(&stage.thread, &writer));
    assert_int_equal(writer.arena->worker, 0);
    exchange_finish(&writer);
    exchange_parts_sent(&stage.table, x, 0);
    assert_true(exchange_is_over(x));
    exchange_free(&stage.table, x);
    stage_leave(&stage);
}

static char pattern(uint64_t i)
{
    return (char)(i * 31 + i / 4096);
}

static void check_body(struct stage *stage, struct exchange *x)
{
    char piece[5000];
    uint64_t off = 0;
    int64_t n;

    while ((n = exchange_body_read(&stage->table.arena, x, off, piece,
                                   sizeof(piece))) > 0)
        for (int64_t i = 0; i < n; i++)
            assert_int_equal(piece[i], pattern(off++));
    assert_int_equal(n, 0);
    assert_int_equal(off, x->body_bytes);
}

/* The same body, announced and not, at sizes around each boundary. */
/* The worker rests for half of the queue, if nobody else could help. */
static void the_worker_rests_while_a_queue_is_worked_off(void **state)
{
    struct stage stage = stage_new();
    struct board_interp *other = board_interp(stage.board,
                                              BOARD_INTERPS_PER_WORKER);
    struct exchange *waiting[40];
    uint64_t recheck_ns;

    (void)state;
    stage.table.service_ns = 10 * NS_PER_US;
    for (size_t i = 0; i < ARRAY_SIZE(waiting); i++) {
        waiting[i] = request(&stage, "x");
        exchange_ready(&stage.table, waiting[i]);
        exchange_wake(&stage.table, 0, &recheck_ns);
        assert_int_equal(exchange_rest_ns(&stage.table) > 0, i + 1 >= 4);
    }
    assert_int_equal(exchange_rest_ns(&stage.table), 200 * NS_PER_US);
    stage.table.service_ns = 60 * NS_PER_US;
    assert_int_equal(exchange_rest_ns(&stage.table), 1200 * NS_PER_US);
    board_lie_down(other, 0);
    assert_int_equal(exchange_rest_ns(&stage.table), 300 * NS_PER_US);
    board_get_up(other, 0);
    stage.table.service_ns = NS_PER_MS;
    assert_int_equal(exchange_rest_ns(&stage.table), 2 * NS_PER_MS);
    stage.table.service_ns = NS_PER_MS + 1;
    assert_int_equal(exchange_rest_ns(&stage.table), 0);
    for (size_t i = 0; i < ARRAY_SIZE(waiting); i++)
        exchange_cancel(&stage.table, waiting[i], 0);
    stage_leave(&stage);
}

static void answer_one(struct stage *stage)
{
    struct exchange_writer writer;
    struct exchange *x = request(stage, "x");

    exchange_ready(&stage->table, x);
    assert_true(exchange_take(&stage->thread, &writer));
    exchange_finish(&writer);
    assert_true(exchange_is_over(x));
    exchange_free(&stage->table, x);
}

/* Who dozes has set a time to look, and is woken when all is done. */
static void a_dozing_worker_is_left_alone(void **state)
{
    struct stage stage = stage_new();
    struct board_worker *worker = board_worker(stage.board, 0);

    (void)state;
    stage_enter(&stage, 0);
    atomic_store(&worker->sleeping, BOARD_DOZING);
    answer_one(&stage);
    stage.thread.unrung_ns = 1; /* long ago */
    answer_one(&stage);
    assert_int_equal(atomic_load(&worker->sleeping), BOARD_DOZING);
    exchange_announce(&stage.thread);
    assert_int_equal(atomic_load(&worker->sleeping), BOARD_AWAKE);
    stage_leave(&stage);
}

static void bodies_move_to_where_there_is_room(void **state)
{
    static const uint64_t sizes[] = {
        1,     1979,  1980,     16384,          16385,
        65536, 65537, 1u << 20, (1u << 20) + 1, 3000000};
    struct stage stage = stage_new();
    size_t k;
    int known;

    (void)state;
    for (k = 0; k < 2 * ARRAY_SIZE(sizes); k++) {
        uint64_t size = sizes[k / 2];
        struct exchange *x = request(&stage, "head");
        uint64_t off = 0;
        char piece[7000];

        known = k % 2;
        while (off < size) {
            size_t n = min_u64(sizeof(piece), size - off);

            for (size_t i = 0; i < n; i++)
                piece[i] = pattern(off + i);
            assert_int_equal(exchange_body_append(&stage.table, x,
                                                  (struct bytes){piece, n},
                                                  known ? size : 0),
                             0);
            off += n;
        }
        assert_int_equal(x->body_bytes, size);
        check_body(&stage, x);
        exchange_free(&stage.table, x);
        assert_int_equal(arena_chunks_used(&stage.table.arena), 0);
    }
    stage_leave(&stage);
}

/* A body of known length lies in one run, where it can be received. */
static void a_body_is_received_where_it_stays(void **state)
{
    struct stage stage = stage_new();
    struct exchange *x = request(&stage, "head");
    uint64_t size = 100000;
    char got[1000];
    size_t room;
    char *place;

    (void)state;
    assert_null(exchange_body_room(&stage.table, x, &room));
    assert_int_equal(
        exchange_body_append(&stage.table, x, BYTES("first"), size), 0);
    assert_int_equal(x->body_kind, EXCHANGE_BODY_RUN);
    assert_int_equal(stage.table.run_chunks, 7);
    while (x->body_bytes < size) {
        size_t n = min_u64(9999, size - x->body_bytes);

        place = exchange_body_room(&stage.table, x, &room);
        assert_non_null(place);
        assert_true(room >= n);
        for (size_t i = 0; i < n; i++)
            place[i] = pattern(x->body_bytes + i);
        assert_int_equal(exchange_body_append(&stage.table, x,
                                              (struct bytes){place, n}, size),
                         0);
    }
    assert_int_equal(exchange_body_read(stage.site.arenas, x, 0, got, 5), 5);
    assert_memory_equal(got, "first", 5);
    for (uint64_t off = 5; off < size; off += sizeof(got)) {
        int64_t n = exchange_body_read(stage.site.arenas, x, off, got,
                                       sizeof(got));

        assert_int_equal(n, min_u64(sizeof(got), size - off));
        for (int64_t i = 0; i < n; i++)
            assert_int_equal(got[i], pattern(off + (uint64_t)i));
    }
    exchange_free(&stage.table, x);
    assert_int_equal(stage.table.run_chunks, 0);
    stage_leave(&stage);
}

/* Bodies that take their time leave most of the chunks to responses. */
static void bodies_do_not_take_all_chunks(void **state)
{
    struct stage stage = stage_new();
    struct exchange *x[SLOTS];
    uint32_t runs = 0;

    (void)state;
    for (uint32_t i = 0; i < SLOTS; i++) {
        x[i] = request(&stage, "head");
        assert_int_equal(
            exchange_body_append(&stage.table, x[i], BYTES("slow"), 250000), 0);
        runs += x[i]->body_kind == EXCHANGE_BODY_RUN;
    }
    assert_int_equal(runs, 2);
    assert_true(stage.table.run_chunks <= (CHUNKS - SLOTS) / 4);
    for (uint32_t i = 0; i < SLOTS; i++)
        exchange_free(&stage.table, x[i]);
    stage_leave(&stage);
}

static void the_window_is_bounded(void **state)
{
    struct stage stage = stage_new();
    struct exchange_writer writer;
    struct exchange_part part;
    struct exchange *x = request(&stage, "x");
    static char megabyte[1 << 20];
    const char *bytes;
    uint64_t got = 0;
    size_t sent = 0, done = 1;

    (void)state;
    stage_enter(&stage, 0);
    exchange_ready(&stage.table, x);
    assert_true(exchange_take(&stage.thread, &writer));
    while (sent < sizeof(megabyte)) {
        int error = exchange_copy(
            &writer, (struct bytes){megabyte + sent, sizeof(megabyte) - sent},
            &done);

        sent += done;
        if (!error)
            break;
        assert_int_equal(error, -EAGAIN);
        /* the window, the chunk sent last, the one being filled */
        assert_true(arena_chunks_used(&stage.table.arena) <=
                    EXCHANGE_PARTS + 1);
        assert_int_equal(exchange_part_next(&stage.table, x, 0, &part, &bytes),
                         1);
        got += part.len;
        exchange_parts_sent(&stage.table, x, 1);
    }
    exchange_finish(&writer);
    while (exchange_part_next(&stage.table, x, 0, &part, &bytes) == 1) {
        got += part.len;
        exchange_parts_sent(&stage.table, x, 1);
    }
    assert_int_equal(got, sizeof(megabyte));
    exchange_free(&stage.table, x);
    stage_leave(&stage);
}

static void a_cancelled_request_is_freed_when_let_go(void **state)
{
    struct stage stage = stage_new();
    struct exchange_writer writer;
    struct exchange *x = request(&stage, "x");
    char *to;

    (void)state;
    stage_enter(&stage, 0);
    exchange_ready(&stage.table, x);
    assert_true(exchange_take(&stage.thread, &writer));
    exchange_cancel(&stage.table, x, EXCHANGE_OVERDUE);
    assert_int_equal(exchange_room(&writer, &to), -ECANCELED);
    assert_false(exchange_settle(&stage.table, x));
    exchange_finish(&writer);
    assert_true(exchange_settle(&stage.table, x));
    x = request(&stage, "y");
    exchange_ready(&stage.table, x);
    exchange_cancel(&stage.table, x, 0); /* still waiting: at once */
    assert_false(exchange_take(&stage.thread, &writer));
    stage_leave(&stage);
}

static void nonsense_in_parts_is_found(void **state)
{
    struct stage stage = stage_new();
    struct exchange_writer writer;
    struct exchange_part part;
    struct exchange *x = request(&stage, "x");
    const char *bytes;
    size_t done;

    (void)state;
    stage_enter(&stage, 0);
    exchange_ready(&stage.table, x);
    assert_true(exchange_take(&stage.thread, &writer));
    exchange_copy(&writer, BYTES("abc"), &done);
    exchange_finish(&writer);
    x->part[0].len = ARENA_CHUNK_BYTES + 1;
    assert_int_equal(exchange_part_next(&stage.table, x, 0, &part, &bytes),
                     -EBADMSG);
    x->part[0].len = 3;
    x->part[0].chunk = CHUNKS;
    assert_int_equal(exchange_part_next(&stage.table, x, 0, &part, &bytes),
                     -EBADMSG);
    x->part[0].chunk = exchange_slot(&stage.table.arena, x) +
                       1; /* somebody else's */
    assert_int_equal(exchange_part_next(&stage.table, x, 0, &part, &bytes),
                     -EBADMSG);
    atomic_store(&x->out_tail, 400);
    assert_int_equal(exchange_part_next(&stage.table, x, 0, &part, &bytes),
                     -EBADMSG);
    exchange_free(&stage.table, x);
    stage_leave(&stage);
}

static void a_new_worker_takes_the_arena_over(void **state)
{
    struct stage stage = stage_new();
    struct exchange_writer writer;
    uint32_t slot;

    (void)state;
    stage_enter(&stage, 0);
    exchange_ready(&stage.table, request(&stage, "runs"));
    assert_true(exchange_take(&stage.thread, &writer));
    exchange_ready(&stage.table, request(&stage, "waits"));
    request(&stage, "is read");
    exchange_table_done(&stage.table);
    assert_int_equal(exchange_table_init(&stage.table, stage.board, 0), 0);
    assert_int_equal(stage.table.free_count, SLOTS - 1);
    assert_true(exchange_is_cancelled(&writer));
    exchange_finish(&writer);
    assert_true(exchange_progress(&stage.table, &slot));
    assert_true(
        exchange_settle(&stage.table, exchange_at(&stage.table.arena, slot)));
    stage_leave(&stage);
}

/* ---- many processes, killed at random ---- */

#define STRESS_REQUESTS 30000
#define STRESS_KILLS 60
#define STRESS_FLYING 48
#define STRESS_INTERPS 3

static uint32_t answer_bytes(uint32_t id)
{
    return id % 97 ? id * 7919 % 20000 + 1 : id * 7919 % 300000 + 1;
}

static void answer(struct exchange_writer *writer)
{
    uint32_t id;
    uint32_t i = 0;
    char piece[1024];

    memcpy(&id, exchange_head(writer->arena, writer->x), sizeof(id));
    while (i < answer_bytes(id)) {
        size_t n = min_u64(sizeof(piece), answer_bytes(id) - i);
        struct bytes left = {piece, n};
        size_t done;

        for (size_t k = 0; k < n; k++)
            piece[k] = pattern(id + i + k);
        for (; left.n; left.p += done, left.n -= done) {
            int error = exchange_copy(writer, left, &done);

            if (error == -EAGAIN)
                exchange_wait(writer);
            else if (error)
                left.n = done = 0;
        }
        i += (uint32_t)n;
    }
}

static void interpret(struct board *board, uint32_t slot)
{
    struct exchange_site site;
    struct exchange_thread thread;
    struct exchange_writer writer;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (exchange_site_init(&site, board))
        _exit(1);
    exchange_thread_init(&thread, &site, slot);
    atomic_store(&board_interp(board, slot)->state, BOARD_INTERP_SERVING);
    for (;;) {
        while (exchange_take(&thread, &writer)) {
            answer(&writer);
            exchange_finish(&writer);
        }
        exchange_sleep(&thread);
    }
}

struct stress {
    struct stage *stage;
    uint32_t id[SLOTS];  /* of the request in the slot, 0: none */
    uint32_t got[SLOTS]; /* bytes of its answer so far */
    uint8_t *answered;   /* by id */
    uint32_t next_id;
    uint32_t flying;
    uint32_t done;
    uint32_t lost;
    uint32_t retried;
};

static void spawn(struct stress *stress, uint32_t slot)
{
    struct board *board = stress->stage->board;
    struct board_interp *interp = board_interp(board, slot);
    pid_t pid;

    atomic_store(&interp->state, BOARD_INTERP_STARTING);
    atomic_store(&interp->asleep[0], 0);
    atomic_store(&interp->beds, 0);
    pid = fork();
    must(pid >= 0);
    if (pid == 0)
        interpret(board, slot);
    atomic_store(&interp->pid, pid);
}

static void start_some(struct stress *stress)
{
    while (stress->flying < STRESS_FLYING &&
           stress->next_id < STRESS_REQUESTS) {
        uint32_t id = ++stress->next_id;
        struct exchange *x = exchange_new(&stress->stage->table);
        uint32_t slot = exchange_slot(&stress->stage->table.arena, x);

        memcpy(exchange_head_room(&stress->stage->table, x, sizeof(id)), &id,
               sizeof(id));
        x->request.head_len = sizeof(id);
        x->ready_ns = now_ns();
        stress->id[slot] = id;
        stress->got[slot] = 0;
        stress->flying++;
        exchange_ready(&stress->stage->table, x);
    }
}

static void settle_one(struct stress *stress, struct exchange *x, bool lost)
{
    uint32_t slot = exchange_slot(&stress->stage->table.arena, x);
    uint32_t id = stress->id[slot];

    assert_int_not_equal(id, 0);
    assert_int_equal(stress->answered[id], 0); /* none served twice */
    stress->answered[id] = 1;
    stress->id[slot] = 0;
    stress->flying--;
    stress->done++;
    stress->lost += lost;
}

static void on_lost(void *context, struct exchange *x)
{
    struct stress *stress = context;
    uint32_t slot = exchange_slot(&stress->stage->table.arena, x);

    if (stress->got[slot] == 0 && exchange_retry(&stress->stage->table, x)) {
        stress->retried++;
        return;
    }
    settle_one(stress, x, true);
    exchange_bury(&stress->stage->table, x);
}

static void receive(struct stress *stress, uint32_t slot)
{
    struct exchange_table *table = &stress->stage->table;
    struct exchange *x = exchange_at(&table->arena, slot);
    struct exchange_part part;
    const char *bytes;

    if (stress->id[slot] == 0)
        return; /* the bit of one that was lost meanwhile */
    while (exchange_part_next(table, x, 0, &part, &bytes) == 1) {
        for (uint32_t i = 0; i < part.len; i++)
            assert_int_equal(bytes[i],
                             pattern(stress->id[slot] + stress->got[slot]++));
        exchange_parts_sent(table, x, 1);
    }
    if (!exchange_is_over(x))
        return;
    assert_int_equal(stress->got[slot], answer_bytes(stress->id[slot]));
    settle_one(stress, x, false);
    exchange_free(table, x);
}

static void kill_one(struct stress *stress, uint32_t slot)
{
    struct board *board = stress->stage->board;
    struct board_interp *interp = board_interp(board, slot);
    pid_t pid = atomic_load(&interp->pid);

    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    atomic_store(&interp->state, BOARD_INTERP_DEAD);
    atomic_store(&interp->death_epoch,
                 atomic_fetch_add(&board->death_epoch, 1) + 1);
    exchange_sweep(&stress->stage->table, on_lost, stress);
    spawn(stress, slot); /* swept: the slot may be used again */
}

static void nothing_is_lost_twice_served_or_leaked(void **state)
{
    struct stage stage = stage_new();
    struct stress stress = {.stage = &stage};
    struct board_worker *self = board_worker(stage.board, 0);
    uint32_t i, kills = 0, slot;
    uint64_t recheck;

    (void)state;
    srandom(4711);
    stress.answered = calloc(STRESS_REQUESTS + 1, 1);
    for (i = 0; i < STRESS_INTERPS; i++)
        spawn(&stress, i * 2); /* two at home, one of the other worker */
    while (stress.done < STRESS_REQUESTS || kills < STRESS_KILLS) {
        start_some(&stress);
        exchange_wake(&stage.table, now_ns(), &recheck);
        if (kills < STRESS_KILLS &&
            stress.done > (kills + 1) * (STRESS_REQUESTS / STRESS_KILLS) -
                              (uint32_t)random() % 400) {
            usleep((uint32_t)random() % 100); /* somewhere in its work */
            kill_one(&stress, (uint32_t)random() % STRESS_INTERPS * 2);
            kills++;
        }
        atomic_store(&self->sleeping, 1);
        if (!exchange_has_progress(&stage.table))
            usleep(50); /* the doorbell is not what is tested here */
        atomic_store(&self->sleeping, 0);
        while (exchange_progress(&stage.table, &slot))
            receive(&stress, slot);
    }
    for (i = 0; i < STRESS_INTERPS; i++) {
        pid_t pid = atomic_load(&board_interp(stage.board, i * 2)->pid);

        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    print_message("%u answered, %u lost, %u retried, %u kills\n", stress.done,
                  stress.lost, stress.retried, kills);
    assert_int_equal(kills, STRESS_KILLS);
    /* Each kill can cost at most the one request being answered. */
    assert_true(stress.lost <= kills);
    free(stress.answered);
    stage_leave(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_request_there_and_back),
        cmocka_unit_test(another_workers_interpreter_takes_it),
        cmocka_unit_test(the_worker_rests_while_a_queue_is_worked_off),
        cmocka_unit_test(a_dozing_worker_is_left_alone),
        cmocka_unit_test(bodies_move_to_where_there_is_room),
        cmocka_unit_test(a_body_is_received_where_it_stays),
        cmocka_unit_test(bodies_do_not_take_all_chunks),
        cmocka_unit_test(the_window_is_bounded),
        cmocka_unit_test(a_cancelled_request_is_freed_when_let_go),
        cmocka_unit_test(nonsense_in_parts_is_found),
        cmocka_unit_test(a_new_worker_takes_the_arena_over),
        cmocka_unit_test(nothing_is_lost_twice_served_or_leaked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
