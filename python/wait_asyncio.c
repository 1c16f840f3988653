/* SPDX-License-Identifier: MIT */
#include "wait_asyncio.h"

#include <stdlib.h>
#include <string.h>

#include "asgi_source.h"
#include "asgi_state.h"
#include "quota.h"
#include "soft.h"

#include "core/board.h"
#include "core/board_interp.h"
#include "core/exchange_take.h"
#include "core/exchange_writer.h"
#include "core/ws.h"

/* Requests taken in one turn of the loop, so that others get theirs. */
#define TAKE_MAX 64
/* So long WebSockets have to answer what came before a reload. */
#define DRAIN_NS NS_PER_S
/* When the arena has no chunk, it is asked again so soon. */
#define STARVED_S 0.005

struct engine {
    struct asgi asgi;
    struct host *host;
    void (*on_serving)(const struct host *host, struct board_interp *self);
};

static struct engine *engine_of(PyObject *self)
{
    return PyCapsule_GetPointer(self, NULL);
}

bool wait_asyncio_is_named(const char *name)
{
    static const char *const names[] = {
        "asgi",
        "uvicorn.workers.UvicornWorker",
        "uvicorn.workers.UvicornH11Worker",
        "uvicorn_worker.UvicornWorker",
        "uvicorn_worker.UvicornH11Worker",
    };
    size_t i;

    for (i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

void asgi_check_soon(struct asgi *asgi)
{
    owned PyObject *handle = NULL;

    if (asgi->checking || !asgi->check)
        return;
    handle = asgi->starved ? PyObject_CallFunction(asgi->call_later, "dO",
                                                   STARVED_S, asgi->check)
                           : PyObject_CallOneArg(asgi->call_soon, asgi->check);
    asgi->checking = handle != NULL;
    if (!handle)
        PyErr_WriteUnraisable(asgi->check);
    exchange_loop_again(&asgi->loop);
}

static bool is_hungry(const struct asgi *asgi)
{
    uint32_t counted = asgi->active;

    if (!asgi->limits_sockets)
        counted -= asgi->sockets;
    return !asgi->draining && counted < asgi->limit;
}

/* True when something was taken. */
static bool take_requests(struct asgi *asgi)
{
    struct exchange_writer writer;
    uint32_t taken = 0;

    while (taken < TAKE_MAX && is_hungry(asgi) &&
           exchange_loop_take(&asgi->loop, &writer)) {
        quota_count(asgi->host, asgi->self, asgi->max_requests);
        asgi_cycle_start(asgi, &writer);
        taken++;
    }
    return taken > 0;
}

/* A window that is full makes it wait for asgi_cycle_changed(). */
static void flush(struct cycle *cycle)
{
    while (exchange_flush(&cycle->writer) == -EAGAIN)
        if (exchange_await_room(&cycle->writer))
            break;
}

/* What was written in this turn leaves now. */
static void publish(struct asgi *asgi)
{
    struct cycle *cycle = asgi->dirty;

    asgi->dirty = NULL;
    asgi->starved = false;
    while (cycle) {
        owned PyObject *mine = (PyObject *)cycle;
        struct cycle *next = cycle->next_dirty;

        cycle->is_dirty = false;
        cycle->next_dirty = NULL;
        if (!asgi_rest_is_empty(cycle)) {
            asgi_push(cycle);
            asgi_await_wake(cycle);
        } else if (asgi_is_running(cycle) && cycle->stage != ASGI_STARTED) {
            flush(cycle);
        }
        cycle = next;
    }
}

/*
 * WebSockets cannot be handed on: their clients connect again. What came
 * before is answered if that takes no longer than a moment.
 */
static void close_sockets(struct asgi *asgi)
{
    bool all = now_ns() >= asgi->close_ns;
    const struct board *board = asgi->host->board;
    size_t count = (size_t)board->worker_slots * board->arena_slots;
    size_t i;

    for (i = 0; i < count; i++) {
        struct cycle *cycle = asgi->cycles[i];

        if (!cycle || !asgi_socket_is_open(cycle) ||
            !(all || asgi_socket_is_quiet(cycle)))
            continue;
        Py_INCREF((PyObject *)cycle);
        asgi_socket_close(cycle, WS_RESTART);
        asgi_await_wake(cycle);
        Py_DECREF((PyObject *)cycle);
    }
}

static void look_at_state(struct asgi *asgi, PyObject **draining)
{
    owned PyObject *set = NULL;
    owned PyObject *later = NULL;

    if (asgi->draining && asgi->sockets > 0)
        close_sockets(asgi);
    if (asgi->draining || board_interp_serves(atomic_load(&asgi->self->state)))
        return;
    asgi->draining = true;
    asgi->close_ns = now_ns() + DRAIN_NS;
    close_sockets(asgi);
    if (asgi->sockets > 0)
        later = PyObject_CallFunction(asgi->call_later, "dO",
                                      (double)DRAIN_NS / NS_PER_S + 0.01,
                                      asgi->check);
    set = PyObject_CallMethod(*draining, "set_result", "O", Py_None);
    Py_CLEAR(*draining);
    if (asgi->active == 0 && asgi->stopped) {
        owned PyObject *idle = PyObject_CallMethod(asgi->stopped, "set_result",
                                                   "O", Py_None);

        Py_CLEAR(asgi->stopped);
    }
    PyErr_Clear();
}

static void turn(struct asgi *asgi)
{
    bool busy;

    exchange_loop_rise(&asgi->loop);
    exchange_loop_changes(&asgi->loop, asgi_cycle_changed, asgi);
    look_at_state(asgi, &asgi->draining_future);
    busy = take_requests(asgi);
    publish(asgi);
    if (asgi->dirty || busy || asgi->checking ||
        !exchange_loop_rest(&asgi->loop, is_hungry(asgi)))
        asgi_check_soon(asgi);
}

/* Called once in a turn of the loop while there is something to do. */
static PyObject *on_check(PyObject *self, PyObject *unused)
{
    struct asgi *asgi = &engine_of(self)->asgi;

    (void)unused;
    asgi->checking = false;
    exchange_announce(&asgi->loop.thread);
    turn(asgi);
    Py_RETURN_NONE;
}

static PyObject *on_bell(PyObject *self, PyObject *unused)
{
    struct asgi *asgi = &engine_of(self)->asgi;

    (void)unused;
    turn(asgi);
    Py_RETURN_NONE;
}

static PyMethodDef check_method = {"check", on_check, METH_NOARGS, NULL};
static PyMethodDef bell_method = {"bell", on_bell, METH_NOARGS, NULL};

static int hold(PyObject **place, PyObject *object)
{
    *place = object;
    return object ? 0 : -1;
}

static int find_task_type(struct asgi *asgi)
{
    owned PyObject *asyncio = PyImport_ImportModule("asyncio");
    owned PyObject *factory = PyObject_CallMethod(asgi->event_loop,
                                                  "get_task_factory", NULL);

    if (!asyncio || !factory)
        return -1;
    if (factory != Py_None &&
        hold(&asgi->create_task,
             PyObject_GetAttrString(asgi->event_loop, "create_task")) < 0)
        return -1;
    if (hold(&asgi->task_type, PyObject_GetAttrString(asyncio, "Task")) < 0 ||
        hold(&asgi->cancelled,
             PyObject_GetAttrString(asyncio, "CancelledError")) < 0)
        return -1;
    return hold(&asgi->task_keywords,
                PY_VERSION_HEX >= 0x030c0000
                    ? Py_BuildValue("(ss)", "loop", "eager_start")
                    : Py_BuildValue("(s)", "loop"));
}

static int find_loop(struct asgi *asgi, PyObject *loop, PyObject *self)
{
    asgi->event_loop = Py_NewRef(loop);
    if (hold(&asgi->call_soon, PyObject_GetAttrString(loop, "call_soon")) < 0 ||
        hold(&asgi->call_later, PyObject_GetAttrString(loop, "call_later")) <
            0 ||
        hold(&asgi->create_future,
             PyObject_GetAttrString(loop, "create_future")) < 0 ||
        find_task_type(asgi) < 0)
        return -1;
    return hold(&asgi->check, PyCFunction_New(&check_method, self));
}

/* begin(loop, draining, idle, state) */
static PyObject *begin(PyObject *self, PyObject *args)
{
    struct engine *engine = engine_of(self);
    struct asgi *asgi = &engine->asgi;
    owned PyObject *bell = PyCFunction_New(&bell_method, self);
    owned PyObject *added = NULL;
    PyObject *loop, *draining, *idle, *state;

    if (!bell ||
        !PyArg_ParseTuple(args, "OOOO", &loop, &draining, &idle, &state))
        return NULL;
    if (find_loop(asgi, loop, self) < 0)
        return NULL;
    asgi->draining_future = Py_NewRef(draining);
    asgi->stopped = Py_NewRef(idle);
    if (state != Py_None)
        asgi->scopes.state = Py_NewRef(state);
    added = PyObject_CallMethod(loop, "add_reader", "iO",
                                exchange_loop_fd(&asgi->loop), bell);
    if (!added)
        return NULL;
    soft_watch(soft_start(engine->host, asgi->self, 1), asgi->self);
    engine->on_serving(engine->host, asgi->self);
    atomic_store(&engine->host->board->streams, 1);
    turn(asgi);
    Py_RETURN_NONE;
}

static PyObject *end(PyObject *self, PyObject *unused)
{
    struct asgi *asgi = &engine_of(self)->asgi;
    owned PyObject *removed = PyObject_CallMethod(
        asgi->event_loop, "remove_reader", "i", exchange_loop_fd(&asgi->loop));

    (void)unused;
    if (!removed)
        return NULL;
    publish(asgi);
    exchange_announce(&asgi->loop.thread);
    Py_RETURN_NONE;
}

/* log(level, text, exception or None) */
static PyObject *write_log(PyObject *self, PyObject *args)
{
    struct engine *engine = engine_of(self);
    const char *level, *text;
    PyObject *exception;

    if (!PyArg_ParseTuple(args, "ssO", &level, &text, &exception))
        return NULL;
    if (exception != Py_None) {
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
        loader_log_exception(&engine->host->loader, text);
    } else if (strcmp(level, "error") == 0) {
        log_error("%s", text);
    } else if (strcmp(level, "warning") == 0) {
        log_warning("%s", text);
    } else {
        log_debug("%s", text);
    }
    Py_RETURN_NONE;
}

static PyMethodDef engine_methods[] = {
    {"begin", begin, METH_VARARGS, NULL},
    {"end", end, METH_NOARGS, NULL},
    {"log", write_log, METH_VARARGS, NULL},
};

static int add_words(struct asgi *asgi)
{
    static const char *const words[] = {
#define X(id, text) text,
        ASGI_WORDS(X)
#undef X
    };
    size_t i;

    for (i = 0; i < ASGI_WORD_COUNT; i++)
        if (hold(&asgi->word[i], PyUnicode_InternFromString(words[i])) < 0)
            return -1;
    return 0;
}

/* Uvicorn never cancels what a client has left. */
static double patience_of(const struct host *host)
{
    if (strcmp(host_text(host, "worker_class"), "asgi") != 0 &&
        !host_flag(host, "worker_class_unset"))
        return -1;
    return (double)host_number(host, "asgi_disconnect_grace_period", 3);
}

static int engine_init(struct engine *engine, struct host *host,
                       uint32_t interp)
{
    struct asgi *asgi = &engine->asgi;
    const struct board *board = host->board;
    uint64_t limit = host_number(host, "worker_connections", 1000);

    engine->host = host;
    asgi->host = host;
    asgi->self = board_interp(host->board, interp);
    asgi->application = Py_NewRef(host->application);
    asgi->max_requests = quota_draw(host);
    asgi->patience_s = patience_of(host);
    asgi->limit = (uint32_t)min_u64(max_u64(limit, 1), UINT32_MAX);
    asgi->limits_sockets = !host_number(host, "worker_connections_unset", 0);
    asgi->cycles = calloc((size_t)board->worker_slots * board->arena_slots,
                          sizeof(struct cycle *));
    if (!asgi->cycles || exchange_loop_init(&asgi->loop, &host->site, interp)) {
        PyErr_NoMemory();
        return -1;
    }
    if (scope_init(&asgi->scopes, board, host_text(host, "root_path")) < 0 ||
        add_words(asgi) < 0 || asgi_cycle_types(asgi) < 0)
        return -1;
    return asgi_await_types(asgi);
}

static PyObject *make_loop(const struct host *host, PyObject *names)
{
    owned PyObject *made =
        PyObject_CallFunction(PyDict_GetItemString(names, "make_loop"), "s",
                              host_text(host, "asgi_loop"));
    const char *warning = made ? PyUnicode_AsUTF8(PyTuple_GetItem(made, 1))
                               : NULL;

    if (!warning)
        return NULL;
    if (*warning)
        log_warning("%s", warning);
    return Py_NewRef(PyTuple_GetItem(made, 0));
}

static int run(struct engine *engine, const struct host *host)
{
    owned PyObject *names = loader_run_source(asgi_source, "<gcorn>");
    owned PyObject *self = PyCapsule_New(engine, NULL, NULL);
    owned PyObject *object =
        names && self
            ? loader_engine(engine_methods, ARRAY_SIZE(engine_methods), self)
            : NULL;
    owned PyObject *loop = object ? make_loop(host, names) : NULL;
    owned PyObject *code =
        loop ? PyObject_CallFunction(
                   PyDict_GetItemString(names, "run"), "OOOsds", loop,
                   host->application, object,
                   host->explains ? "off" : host_text(host, "asgi_lifespan"),
                   host_grace_s(host),
                   host->explains ? "" : host_text(host, "warmup_url"))
             : NULL;

    return code ? (int)PyLong_AsLong(code) : -1;
}

int wait_asyncio_run(struct host *host, uint32_t interp,
                     void (*on_serving)(const struct host *host,
                                        struct board_interp *self))
{
    struct engine *engine = calloc(1, sizeof(*engine));
    int code = -1;

    if (engine && engine_init(engine, host, interp) == 0) {
        engine->on_serving = on_serving;
        code = run(engine, host);
    }
    /* The process ends, and Python may still refer to what the engine holds. */
    if (code >= 0) /* NOLINT(clang-analyzer-unix.Malloc) */
        return code;
    if (PyErr_Occurred())
        loader_log_exception(&host->loader, "Exception in worker process");
    return LOADER_BOOT_ERROR;
}
