/* SPDX-License-Identifier: MIT */
#include "wsgi_stage.h"

#include "core/board.h"
#include "core/board_interp.h"
#include "core/board_worker.h"
#include "core/exchange_body.h"
#include "core/exchange_part.h"
#include "core/exchange_progress.h"
#include "core/exchange_take.h"
#include "core/exchange_word.h"
#include "core/exchange_writer.h"
#include "core/http_write.h"
#include "core/log.h"
#include "python/runtime.h"
#include "site.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SLOTS 64
#define CHUNKS 192
#define HOARDER (SLOTS - 1) /* the slot that holds all chunks of STARVED */
#define FIELDS_MAX 256
#define LOG_MAX 65536
#define TEXT_MAX (8 << 20)
#define DRAWN_MAX 2000000
#define DRAWN_LINE 100000
#define DOZE_NS NS_PER_MS
/* Enough that one object lost each time stands out from caches. */
#define WARM_UP 40
#define REPEAT 200
#define GROWTH_MAX 100
#define ROUNDS 6
/* A plain request allocates about so often. */
#define STARVED 120

/* One program is one interpreter: this is its state. */
static struct stage {
    struct board *board;
    struct exchange_table table;
    struct exchange_site site;
    struct exchange_thread thread;
    PyObject *module;
    int log;
    char *text; /* the answer, as the worker took it */
    char *drawn;
} stage;

/* The worker's side of one request. */
struct desk {
    const struct wsgi_case *c;
    struct exchange *x;
    struct bytes body;
    size_t n;
    bool released; /* what was held back is given */
    bool cancelled;
};

static void take_from(struct desk *desk, int fd, uint64_t off, uint64_t len)
{
    must(desk->n + len < TEXT_MAX);
    must(pread(fd, stage.text + desk->n, len, (off_t)off) == (ssize_t)len);
    desk->n += len;
}

static void take_file(struct desk *desk, const struct exchange_part *part)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct exchange_file_note note;
    struct iovec iov = {&note, sizeof(note)};
    struct msghdr message = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    int from = board_worker(stage.board, 0)->file_in_fd;
    struct cmsghdr *header;
    int fd;

    must(recvmsg(from, &message, MSG_DONTWAIT) == sizeof(note));
    header = CMSG_FIRSTHDR(&message);
    must(header != NULL);
    memcpy(&fd, CMSG_DATA(header), sizeof(fd));
    must(note.slot == exchange_slot(&stage.table.arena, desk->x));
    take_from(desk, fd, part->file_off, part->file_len);
    close(fd);
}

/* Where a response goes when this side is slow, as on a busy machine. */
static void take_spooled(struct desk *desk, const struct exchange_part *part)
{
    const struct arena *arena = &stage.table.arena;
    uint64_t stretch = exchange_slot(arena, desk->x) *
                       EXCHANGE_SPOOL_FILE_BYTES;

    take_from(desk, arena->spool_file_fd, stretch + part->file_off,
              part->file_len);
}

static void take_part(struct desk *desk, const struct exchange_part *part,
                      const char *bytes)
{
    switch ((enum exchange_part_kind)part->kind) {
    case EXCHANGE_PART_FILE:
        take_file(desk, part);
        break;
    case EXCHANGE_PART_SPOOL:
        take_spooled(desk, part);
        break;
    case EXCHANGE_PART_BYTES:
        must(desk->n + part->len < TEXT_MAX);
        memcpy(stage.text + desk->n, bytes, part->len);
        desk->n += part->len;
        break;
    }
}

static void take_parts(struct desk *desk)
{
    struct exchange_part part;
    const char *bytes;

    while (exchange_part_next(&stage.table, desk->x, 0, &part, &bytes) == 1) {
        take_part(desk, &part, bytes);
        exchange_parts_sent(&stage.table, desk->x, 1);
    }
}

static bool is_done(const struct desk *desk)
{
    return exchange_word_state(atomic_load(&desk->x->word)) == EXCHANGE_DONE;
}

static void late_body(struct desk *desk)
{
    if (atomic_load(&desk->x->body_state) != EXCHANGE_BODY_WANTED)
        return;
    if (desk->c->play == PLAY_BODY_LATE)
        must(exchange_body_append(&stage.table, desk->x, desk->body, 0) == 0);
    exchange_body_done(&stage.table, desk->x,
                       desk->c->play == PLAY_BODY_LATE ? EXCHANGE_BODY_COMPLETE
                                                       : EXCHANGE_BODY_FAILED);
}

/* True when the worker is to take no part yet. */
static bool play(struct desk *desk)
{
    struct arena *arena = &stage.table.arena;

    switch (desk->c->play) {
    case PLAY_PLAIN:
    case PLAY_GONE:
        break;
    case PLAY_FULL:
        desk->released |= atomic_load(&desk->x->out_waiting) || is_done(desk);
        return !desk->released;
    case PLAY_LEAVE:
        if (!desk->cancelled && desk->n > 0) {
            desk->cancelled = true;
            exchange_cancel(&stage.table, desk->x, 0);
        }
        break;
    case PLAY_BODY_LATE:
    case PLAY_BODY_FAILED:
        late_body(desk);
        break;
    case PLAY_STARVED:
        if (!desk->released && atomic_load(&arena->header->chunk_waiters)) {
            desk->released = true;
            arena_chunk_put_all(arena, HOARDER);
        }
        break;
    }
    return false;
}

static bool is_over(struct desk *desk)
{
    if (!desk->cancelled)
        return exchange_is_over(desk->x);
    if (exchange_word_state(atomic_load(&desk->x->word)) == EXCHANGE_FREE)
        return true;
    return exchange_settle(&stage.table, desk->x);
}

static void *work(void *context)
{
    struct desk *desk = context;
    struct board_worker *self = board_worker(stage.board, 0);
    uint32_t slot;

    while (!is_over(desk)) {
        if (!play(desk) && !desk->cancelled)
            take_parts(desk);
        atomic_store(&self->sleeping, BOARD_DOZING);
        if (!exchange_has_progress(&stage.table))
            board_doze(self, DOZE_NS);
        atomic_store(&self->sleeping, BOARD_AWAKE);
        while (exchange_progress(&stage.table, &slot))
            continue;
    }
    return NULL;
}

static void set_peer(struct exchange *x, const struct wsgi_case *c)
{
    const char *addr = c->family == AF_INET6 ? "2001:db8::7" : "192.0.2.7";

    x->peer.family = c->family ? c->family : AF_INET;
    x->peer.listener = c->listener;
    x->peer.port = x->peer.family == AF_UNIX ? 0 : 50007;
    x->peer.addr_len = x->peer.family == AF_UNIX ? 0 : (uint8_t)strlen(addr);
    memcpy(x->peer.addr, addr, x->peer.addr_len);
    if (c->secure)
        atomic_fetch_or(&x->flags, EXCHANGE_SECURE);
}

/* A request in READY as the worker makes it of the bytes. */
static struct exchange *receive(const struct wsgi_case *c, struct desk *desk)
{
    struct http_limits limits = {8190, FIELDS_MAX, 16380, c->parse_flags};
    struct bytes text = bytes_of(c->request ? c->request : GET);
    struct http_field fields[FIELDS_MAX];
    struct exchange *x = exchange_new(&stage.table);
    struct http_parser parser = {0};
    int n = http_parse(&parser, &limits, text, &x->request, fields, FIELDS_MAX);

    if (n <= 0)
        fail_msg("the request of %s is wrong: %d", c->app, n);
    memcpy(exchange_head_room(&stage.table, x, (size_t)n), text.p, (size_t)n);
    memcpy(exchange_fields_room(&stage.table, x, x->request.field_count),
           fields, x->request.field_count * sizeof(fields[0]));
    desk->body = (struct bytes){text.p + n, text.n - (size_t)n};
    if (c->drawn > 0)
        desk->body = (struct bytes){stage.drawn, c->drawn};
    if (c->play == PLAY_BODY_LATE || c->play == PLAY_BODY_FAILED)
        atomic_store(&x->body_state, EXCHANGE_BODY_PENDING);
    else
        assert_int_equal(
            exchange_body_append(&stage.table, x, desk->body, desk->body.n), 0);
    set_peer(x, c);
    x->ready_ns = now_ns();
    exchange_ready(&stage.table, x);
    return x;
}

/* Cuts out the one stamp of each head. */
static void remove_stamps(void)
{
    static const char stamp[] = "Server: gcorn\r\nDate: ";
    char *at = stage.text;

    while ((at = strstr(at, stamp))) {
        char *end = at + sizeof(stamp) - 1 + HTTP_DATE_LEN + 2;

        assert_memory_equal(end - 5, "GMT\r\n", 5);
        memmove(at, end, strlen(end) + 1);
    }
}

/* A '*' at the end of what is expected stands for anything. */
static bool is_like(const char *text, const char *expected)
{
    size_t n = expected ? strlen(expected) : 0;

    if (n > 0 && expected[n - 1] == '*')
        return strncmp(text, expected, n - 1) == 0;
    return strcmp(text, expected ? expected : "") == 0;
}

static void check_answer(const struct wsgi_case *c)
{
    remove_stamps();
    if (!is_like(stage.text, c->answer))
        fail_msg("%s answers\n%.2000s\nnot\n%s", c->app, stage.text,
                 c->answer ? c->answer : "");
}

/* What the worker is told about the answer, against the answer. */
static void check_facts(const struct wsgi_case *c, const struct exchange *x)
{
    const char *head = stage.text;
    const char *end;
    bool closes;

    while (memcmp(head, "HTTP/1.1 103", 12) == 0)
        head = strstr(head, "\r\n\r\n") + 4;
    end = strstr(head, "\r\n\r\n");
    closes = strstr(head, CLOSE) && strstr(head, CLOSE) < end;
    assert_int_equal(x->status, strtol(head + 9, NULL, 10));
    assert_int_equal(x->out_flags, c->flags);
    assert_true(!closes || x->out_flags & EXCHANGE_OUT_CLOSE);
    assert_int_equal(x->connection_off != 0, !closes && !c->fixed);
    if (x->connection_off)
        assert_memory_equal(stage.text + x->connection_off, "keep-alive", 10);
    if (!strstr(head, CHUNKED) && x->status < 400)
        assert_int_equal(x->out_bytes, strlen(end + 4));
    assert_true(x->finished_ns >= x->started_ns && x->started_ns > 0);
}

static void check_log(const struct wsgi_case *c)
{
    static char text[LOG_MAX];
    ssize_t n = pread(stage.log, text, LOG_MAX - 1, 0);

    assert_true(n >= 0);
    text[n] = '\0';
    assert_int_equal(ftruncate(stage.log, 0), 0);
    if (c->log ? !strstr(text, c->log) : n > 0)
        fail_msg("%s logs\n%s\nnot\n%s", c->app, text, c->log ? c->log : "");
}

/* Calls a function of the module without arguments. */
static PyObject *ask(const char *name)
{
    PyObject *answer = PyObject_CallMethod(stage.module, name, NULL);

    if (!answer)
        PyErr_Print();
    assert_non_null(answer);
    return answer;
}

static void check_trace(const struct wsgi_case *c)
{
    owned PyObject *trace = ask("take_trace");
    const char *text = PyUnicode_AsUTF8(trace);

    if (!is_like(text, c->trace))
        fail_msg("%s traces\n%s\nnot\n%s", c->app, text,
                 c->trace ? c->trace : "");
}

static struct wsgi *open_app(const struct wsgi_case *c)
{
    struct wsgi_config config = {.board = stage.board, .multithread = true};
    owned PyObject *app = PyObject_GetAttrString(stage.module, c->app);
    struct wsgi *wsgi;

    if (c->script_name)
        setenv("SCRIPT_NAME", c->script_name, 1);
    wsgi = app ? wsgi_new(&config, app) : NULL;
    unsetenv("SCRIPT_NAME");
    if (!wsgi)
        PyErr_Print();
    assert_non_null(wsgi);
    return wsgi;
}

/* One request; the answer is in stage.text, the facts are in the exchange,
 * which is free again. What wsgi_serve() returns. */
static bool serve(struct wsgi *wsgi, struct desk *desk)
{
    struct exchange_writer writer;
    struct response response;
    pthread_t worker;
    bool goes_on;

    desk->cancelled = desk->c->play == PLAY_GONE;
    desk->x = receive(desk->c, desk);
    assert_true(exchange_take(&stage.thread, &writer));
    if (desk->cancelled)
        exchange_cancel(&stage.table, desk->x, 0);
    while (desk->c->play == PLAY_STARVED &&
           arena_chunk_get(&stage.table.arena, HOARDER) >= 0)
        continue;
    assert_int_equal(pthread_create(&worker, NULL, work, desk), 0);
    goes_on = wsgi_serve(wsgi, &response, &writer);
    exchange_announce(&stage.thread);
    assert_int_equal(pthread_join(worker, NULL), 0);
    stage.text[desk->n] = '\0';
    if (!desk->cancelled)
        exchange_free(&stage.table, desk->x);
    return goes_on;
}

/* True whatever an application does. */
static void check_always(void)
{
    assert_null(PyErr_Occurred());
    assert_int_equal(stage.table.free_count, SLOTS);
    assert_int_equal(stage.table.orphans, 0);
    arena_chunk_put_all(&stage.table.arena, HOARDER);
    assert_int_equal(arena_chunks_used(&stage.table.arena), 0);
}

static void run(struct wsgi *wsgi, const struct wsgi_case *c)
{
    struct desk desk = {.c = c};
    bool goes_on = serve(wsgi, &desk);

    check_always();
    assert_int_equal(goes_on, !c->ends);
    if (!desk.cancelled) {
        check_facts(c, desk.x);
        check_answer(c);
    }
    check_trace(c);
    check_log(c);
}

static int64_t count_objects(void)
{
    owned PyObject *count = ask("census");

    return PyLong_AsLongLong(count);
}

static void run_case(void **state)
{
    const struct wsgi_case *c = *state;
    struct wsgi *wsgi = open_app(c);

    run(wsgi, c);
    wsgi_free(wsgi);
}

/* How much is there more after some requests. */
static int64_t growth(struct wsgi *wsgi, const struct wsgi_case *c)
{
    int64_t before = count_objects();

    for (int i = 0; i < REPEAT; i++)
        run(wsgi, c);
    return count_objects() - before;
}

/*
 * Nothing that Python counts may grow, or shrink, with the requests. Caches
 * and collections move the count once in a while; what leaks does each time.
 */
static void repeat_case(void **state)
{
    const struct wsgi_case *c = *state;
    struct wsgi *wsgi = open_app(c);
    int64_t grown = REPEAT;

    for (int i = 0; i < WARM_UP; i++)
        run(wsgi, c);
    for (int i = 0; i < ROUNDS && llabs(grown) > GROWTH_MAX; i++)
        grown = growth(wsgi, c);
    wsgi_free(wsgi);
    if (llabs(grown) > GROWTH_MAX)
        fail_msg("%s: %d requests leave %lld objects and references", c->app,
                 REPEAT, (long long)grown);
}

/* The nth allocation of Python from now on fails; nothing in here allocates
 * after that is so. */
static void serve_starved(struct wsgi *wsgi, const struct wsgi_case *c, int nth)
{
    owned PyObject *testcapi = PyImport_ImportModule("_testcapi");
    owned PyObject *starve = PyObject_GetAttrString(testcapi, "set_nomemory");
    owned PyObject *feed = PyObject_GetAttrString(testcapi, "remove_mem_hooks");
    owned PyObject *when = Py_BuildValue("ii", nth, nth + 1);
    struct desk desk = {.c = c};
    owned PyObject *starved = PyObject_Call(starve, when, NULL);
    owned PyObject *fed = NULL;

    must(starved);
    serve(wsgi, &desk);
    fed = PyObject_CallNoArgs(feed);
    must(fed);
}

/*
 * One allocation after the other fails: whatever comes of the request, it
 * ends, and the next one is served.
 */
static void starve_case(void **state)
{
    const struct wsgi_case *c = *state;
    owned PyObject *testcapi = PyImport_ImportModule("_testcapi");
    struct wsgi *wsgi;

    if (!testcapi) { /* distributions may leave it out */
        PyErr_Clear();
        return;
    }
    wsgi = open_app(c);
    for (int nth = 0; nth < STARVED; nth++) {
        owned PyObject *trace = NULL;

        serve_starved(wsgi, c, nth);
        check_always();
        trace = ask("take_trace");
        assert_int_equal(ftruncate(stage.log, 0), 0);
    }
    wsgi_free(wsgi);
}

static void make_listeners(struct board *board)
{
    board->listeners = 3;
    board->listener[0] = (struct board_listener){AF_INET, 8000, 0, "127.0.0.1"};
    board->listener[1] = (struct board_listener){AF_INET6, 8001, 0, "::1"};
    board->listener[2] = (struct board_listener){AF_UNIX, 0, 0, "/run/a.sock"};
}

static char *draw(void)
{
    char *text = malloc(DRAWN_MAX);

    must(text);
    for (uint32_t i = 0; i < DRAWN_MAX; i++)
        text[i] = i % DRAWN_LINE == DRAWN_LINE - 1 ? '\n'
                                                   : (char)('a' + i % 26);
    return text;
}

static void open_stage(const char *python, const char *apps)
{
    owned PyObject *path = NULL;
    owned PyObject *folder = NULL;

    stage.text = malloc(TEXT_MAX);
    stage.drawn = draw();
    stage.log = memfd_create("log", MFD_CLOEXEC);
    must(stage.text && fcntl(stage.log, F_SETFL, O_APPEND) == 0);
    log_open(stage.log, LOG_LEVEL_INFO);
    stage.board = site_new(1, SLOTS, CHUNKS);
    make_listeners(stage.board);
    must(exchange_table_init(&stage.table, stage.board, 0) == 0);
    must(exchange_site_init(&stage.site, stage.board) == 0);
    atomic_store(&board_interp(stage.board, 0)->state, BOARD_INTERP_SERVING);
    exchange_thread_init(&stage.thread, &stage.site, 0);
    must(runtime_start(python) == 0);
    path = PyImport_ImportModule("sys");
    folder = PyUnicode_FromString(apps);
    must(path && folder);
    Py_SETREF(path, PyObject_GetAttrString(path, "path"));
    must(path && PyList_Insert(path, 0, folder) == 0);
    stage.module = PyImport_ImportModule("wsgi_cases");
    if (!stage.module)
        PyErr_Print();
    must(stage.module);
}

static void close_stage(void)
{
    Py_CLEAR(stage.module);
    must(runtime_stop(0) == 0);
    exchange_table_done(&stage.table);
    exchange_site_done(&stage.site);
    site_free(stage.board);
    close(stage.log);
    free(stage.text);
    free(stage.drawn);
}

static void run_cases(const struct wsgi_group *group, CMUnitTestFunction how,
                      int *failed)
{
    struct CMUnitTest *tests = calloc(group->count, sizeof(*tests));

    must(tests);
    for (size_t i = 0; i < group->count; i++)
        tests[i] = (struct CMUnitTest){
            .name = group->cases[i].app,
            .test_func = how,
            .initial_state = (void *)(uintptr_t)&group->cases[i],
        };
    *failed += _cmocka_run_group_tests(group->name, tests, group->count, NULL,
                                       NULL);
    free(tests);
}

int wsgi_stage_main(int argc, char **argv, const struct wsgi_group *groups,
                    size_t count)
{
    int failed = 0;

    must(argc == 3);
    open_stage(argv[1], argv[2]);
    for (size_t i = 0; i < count; i++)
        run_cases(&groups[i], run_case, &failed);
    for (size_t i = 0; i < count; i++)
        run_cases(&groups[i], repeat_case, &failed);
    /* 3.12.1 and 3.13.0 crash by themselves when memory fails. */
    for (size_t i = 0; i < count && PY_VERSION_HEX < 0x030c0000; i++)
        run_cases(&groups[i], starve_case, &failed);
    close_stage();
    return failed;
}
