/* SPDX-License-Identifier: MIT */
#include "interp.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "hooks.h"
#include "memory_node.h"
#include "signals.h"
#include "wait_asyncio.h"
#include "wait_green.h"
#include "wait_thread.h"
#include "watch.h"
#include "core/board.h"
#include "core/board_interp.h"

static void name_process(const struct host *host, uint32_t slot)
{
    char name[16]; /* what the kernel keeps */

    snprintf(name, sizeof(name), "gcorn-int-%u", slot);
    prctl(PR_SET_NAME, name);
    title_set(&host->title, "gcorn: interpreter %u [%s]", slot, host->name);
}

/* A cpu_set_t is the same array of words, but of 1024 CPUs only. */
static void bind_cpus(const struct template_message *order)
{
    if (sched_setaffinity(0, sizeof(order->cpus),
                          (const cpu_set_t *)(const void *)order->cpus) < 0)
        log_warning("The interpreter cannot be pinned: %s", strerror(errno));
}

static void place(const struct host *host, const struct template_message *order)
{
    if (order->pinned)
        bind_cpus(order);
    /* The template may have preferred another node: also for none. */
    memory_node_set(order->node,
                    strcmp(host_text(host, "numa"), "strict") == 0);
}

static int load(struct host *host)
{
    if (host->application)
        return 0; /* preloaded */
    return loader_load(&host->loader, host_text(host, "wsgi_app"),
                       &host->application);
}

/*
 * With --reload, a first start that fails is shown to whoever asks, and files
 * are watched until it works. Later the old code goes on instead.
 */
static int load_or_explain(struct host *host, bool nothing_serves)
{
    int code;

    if (host->application || !nothing_serves || !host_flag(host, "reload"))
        return load(host);
    code = loader_explain(&host->loader, host_text(host, "wsgi_app"),
                          &host->application);
    host->explains = code != 0;
    return host->application ? 0 : code;
}

static struct wsgi *make_wsgi(const struct host *host)
{
    struct wsgi_config config = {
        .board = host->board,
        .late = loader_request_timeout(&host->loader),
        .multiprocess = atomic_load(&host->board->worker_count) > 1,
    };
    struct wsgi *wsgi;
    uint32_t threads;
    bool in_main;

    must(wait_thread_count(host, &threads, &in_main));
    config.multithread = !in_main;
    wsgi = wsgi_new(&config, host->application);
    if (!wsgi)
        loader_log_exception(&host->loader, "Exception in worker process");
    return wsgi;
}

/* STARTING -> SERVING, unless the master changed its mind meanwhile. */
static void announce_serving(const struct host *host, struct board_interp *self)
{
    uint32_t from = BOARD_INTERP_STARTING;
    uint32_t threads = 1;
    bool in_main;

    wait_thread_count(host, &threads, &in_main);
    atomic_store(&self->threads, threads);
    atomic_compare_exchange_strong(&self->state, &from, BOARD_INTERP_SERVING);
    signals_serving();
    board_wake_master(host->board);
}

/* What is slow the first time is slow before there are clients. */
static int warm_up(const struct host *host)
{
    const char *path = host_text(host, "warmup_url");

    if (!*path || host->explains)
        return 0;
    return loader_warm_up(&host->loader, host->application, path);
}

/* Whether the application is served in an event loop. */
static bool wants_loop(const struct host *host)
{
    if (wait_asyncio_is_named(host_text(host, "worker_class")))
        return true;
    if (!host_flag(host, "worker_class_unset") || host->explains ||
        !loader_says(&host->loader, "is_asgi", host->application))
        return false;
    log_info("The application is an ASGI one: using the class asgi");
    return true;
}

/* 0, or the exit code. */
static int fit_loop(struct host *host)
{
    PyObject *page;

    if (host->explains) {
        page = PyObject_GetAttrString(host->application, "asgi");
        must(page);
        Py_SETREF(host->application, page);
    }
    if (loader_says(&host->loader, "is_wsgi", host->application))
        log_error("The application takes two arguments, so it is a WSGI one: "
                  "use -k sync or -k gthread for it, not asgi");
    else if (loader_says(&host->loader, "is_asgi2", host->application))
        log_error("The application takes one argument, so it is of ASGI 2: "
                  "make it one of ASGI 3 with guarantee_single_callable() of "
                  "asgiref.compatibility");
    else
        return 0;
    return LOADER_LOAD_ERROR;
}

/* The same for those that serve WSGI. */
static int fit_wsgi(const struct host *host)
{
    if (host->explains ||
        !loader_says(&host->loader, "is_asgi", host->application))
        return 0;
    log_error("The application is a coroutine function, so it is an ASGI one: "
              "use -k asgi for it, not %s",
              host_text(host, "worker_class"));
    return LOADER_LOAD_ERROR;
}

static int64_t time_of_day_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * (int64_t)NS_PER_S + now.tv_nsec;
}

/* Returns the exit code. */
static int serve(struct host *host, const struct template_message *order)
{
    uint32_t slot = order->slot;
    struct board_interp *self = board_interp(host->board, slot);
    int64_t began_ns = time_of_day_ns();
    struct wsgi *wsgi;
    bool loop = false;
    int code = hooks_post_fork(host);

    if (code == 0)
        code = wait_green_patch(host);
    if (code == 0)
        code = load_or_explain(host, order->code != 0);
    if (code == 0)
        loop = wants_loop(host);
    if (code == 0)
        code = loop ? fit_loop(host) : fit_wsgi(host);
    if (code == 0)
        code = hooks_loaded(host, loop);
    if (code)
        return code;
    if (host_flag(host, "reload") && board_home(slot) == 0)
        watch_start(host, began_ns);
    if (loop)
        return wait_asyncio_run(host, slot, announce_serving);
    code = warm_up(host);
    if (code)
        return code;
    if (wait_green_is_named(host))
        return wait_green_run(host, slot, announce_serving);
    wsgi = make_wsgi(host);
    if (!wsgi)
        return LOADER_BOOT_ERROR;
    announce_serving(host, self);
    wait_thread_run(host, wsgi, slot);
    wsgi_free(wsgi);
    return 0;
}

int interp_run(struct host *host, const struct template_message *order)
{
    struct board_interp *self = board_interp(host->board, order->slot);
    int code;

    name_process(host, order->slot);
    place(host, order);
    log_info("Booting worker with pid: %d", (int)getpid());
    code = serve(host, order);
    atomic_store(&self->exit_code, code);
    hooks_leaving(host, signals_interrupted());
    log_info("Worker exiting (pid: %d)", (int)getpid());
    return code;
}
