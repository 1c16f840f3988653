/* SPDX-License-Identifier: MIT */
#include "observer.h"

#include "admin.h"
#include "control.h"
#include "control_socket.h"
#include "core/board.h"
#include "core/board_interp.h"
#include "core/board_worker.h"
#include "core/exchange_word.h"
#include "core/log.h"

#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

/* How long a client may say and take nothing. */
#define ADMIN_PATIENCE_NS (30 * NS_PER_S)
#define CONTROL_PATIENCE_NS (300 * NS_PER_S) /* as Gunicorn's */
#define ADMIN_RETRY_NS NS_PER_S
#define BACKLOG 64
/* Requests of which one's CPU time is measured, for the histogram. */
#define CPU_SAMPLE 16

static int arenas_map(struct observer *observer)
{
    const struct board *board = observer->master->board;
    int err = 0;

    observer->arenas = calloc(board->worker_slots, sizeof(struct arena));
    if (observer->arenas == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < board->worker_slots && err == 0; i++)
        err = arena_map(&observer->arenas[i], board_worker(board, i)->arena_fd,
                        i);
    return err;
}

static int census_open(struct observer *observer)
{
    const struct board *board = observer->master->board;

    observer->census = calloc(1, sizeof(*observer->census));
    return observer->census == NULL
               ? -ENOMEM
               : census_init(observer->census, OBSERVER_PLACES +
                                                   board->worker_slots +
                                                   board->interp_slots);
}

static int watch(const struct master *master, const struct gate *gate)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = gate->epoll_fd};

    return epoll_ctl(master->epoll_fd, EPOLL_CTL_ADD, gate->epoll_fd, &event) <
                   0
               ? -errno
               : 0;
}

static int gate_start(struct observer *observer, struct gate *gate,
                      const struct listener *listener,
                      struct config_error *error)
{
    int err;

    gate->context = observer;
    err = gate_open(gate, listener_fd(listener, 0));
    if (err == 0)
        err = watch(observer->master, gate);
    return err == 0 ? 0
                    : config_fail(error, 1, "Can't start: %s", strerror(-err));
}

static int admin_open(struct observer *observer, struct config_error *error)
{
    struct master *master = observer->master;
    struct listener_options options = {
        .slots = 1,
        .backlog = BACKLOG,
        .umask = 0117, /* of a Unix socket: owner and group */
        .owner = master->owner,
        .inherited = master->launch->fds,
        .inherited_count = master->launch->fd_count,
    };
    struct address address;
    char url[300];
    int err;

    if (master->config->admin_bind[0] == '\0')
        return 0;
    err = address_parse(master->config->admin_bind, &address, error);
    if (err == 0)
        err = listener_open(&observer->admin_listener, &address, &options,
                            error);
    if (err < 0)
        return err;
    observer->admin.patience_ns = ADMIN_PATIENCE_NS;
    observer->admin.take = admin_take;
    err = gate_start(observer, &observer->admin, &observer->admin_listener,
                     error);
    if (err < 0)
        return err;
    if (master->board->cpu_every == 0)
        master->board->cpu_every = CPU_SAMPLE;
    listener_url(&observer->admin_listener, url, sizeof(url));
    log_info("Admin address: %s", url);
    return 0;
}

/* While an old master lives it has the address: it gets free with its end. */
static int admin_start(struct observer *observer, struct config_error *error)
{
    int err = admin_open(observer, error);

    if (err == 0 || observer->master->launch->predecessor == 0)
        return err;
    listener_close(&observer->admin_listener);
    observer->admin_retry_ns = now_ns() + ADMIN_RETRY_NS;
    return 0;
}

static void admin_settle(struct observer *observer, uint64_t now)
{
    struct config_error error;

    if (observer->admin_retry_ns == 0 || now < observer->admin_retry_ns)
        return;
    observer->admin_retry_ns = 0;
    if (admin_open(observer, &error) == 0)
        return;
    listener_close(&observer->admin_listener);
    observer->admin_retry_ns = now + ADMIN_RETRY_NS;
}

/* Without it the server serves as well. */
static int control_open(struct observer *observer, struct config_error *error)
{
    struct control_socket *control = &observer->control_socket;
    const struct config *config = observer->master->config;
    struct config_error why;

    if (config->control_socket_disable)
        return 0;
    if (control_socket_open(control, config, &why) < 0) {
        control_socket_close(control);
        log_warning("No control socket: %s", why.text);
        return 0;
    }
    observer->control.patience_ns = CONTROL_PATIENCE_NS;
    observer->control.take = control_take;
    log_info("Control socket listening at %s", control->listener.address.host);
    return gate_start(observer, &observer->control, &control->listener, error);
}

int observer_open(struct master *master, struct config_error *error)
{
    struct observer *observer;
    int err;

    if (master->checks_only || (master->config->admin_bind[0] == '\0' &&
                                master->config->control_socket_disable))
        return 0;
    observer = calloc(1, sizeof(*observer));
    if (observer == NULL)
        return config_fail(error, 1, "out of memory");
    master->observer = observer;
    observer->master = master;
    observer->admin.epoll_fd = observer->control.epoll_fd = -1;
    observer->started_ns = now_ns();
    observer->started = (double)time(NULL);
    err = arenas_map(observer);
    if (err < 0)
        return config_fail(error, 1, "Can't map the shared memory: %s",
                           strerror(-err));
    if (census_open(observer) < 0)
        return config_fail(error, 1, "out of memory");
    err = admin_start(observer, error);
    return err < 0 ? err : control_open(observer, error);
}

void observer_turn(struct master *master)
{
    struct observer *observer = master->observer;

    if (observer == NULL)
        return;
    census_begin(observer->census, now_ns());
    gate_turn(&observer->admin, master->now);
    gate_turn(&observer->control, master->now);
}

void observer_settle(struct master *master)
{
    struct observer *observer = master->observer;

    if (observer == NULL)
        return;
    control_socket_settle(&observer->control_socket, master->now);
    admin_settle(observer, master->now);
    master_wake_at(master, gate_due(&observer->admin));
    master_wake_at(master, gate_due(&observer->control));
}

static void listener_forget(const struct listener *listener)
{
    if (listener->fds != NULL && listener_fd(listener, 0) >= 0)
        close(listener_fd(listener, 0));
}

void observer_forget(const struct master *master)
{
    struct observer *observer = master->observer;

    if (observer == NULL)
        return;
    gate_close(&observer->admin);
    gate_close(&observer->control);
    listener_forget(&observer->admin_listener);
    listener_forget(&observer->control_socket.listener);
    for (uint32_t i = 0; i < master->board->worker_slots; i++)
        munmap(observer->arenas[i].base, observer->arenas[i].header->bytes);
}

void observer_close(struct master *master)
{
    struct observer *observer = master->observer;

    if (observer == NULL)
        return;
    gate_close(&observer->admin);
    gate_close(&observer->control);
    listener_close(&observer->admin_listener);
    control_socket_close(&observer->control_socket);
    for (uint32_t i = 0; i < master->board->worker_slots; i++)
        if (observer->arenas != NULL && observer->arenas[i].base != NULL)
            munmap(observer->arenas[i].base, observer->arenas[i].header->bytes);
    free(observer->arenas);
    if (observer->census != NULL)
        census_done(observer->census);
    free(observer->census);
    free(observer);
    master->observer = NULL;
}

uint64_t observer_worker_pss(const struct observer *observer, uint32_t slot)
{
    return census_pss(observer->census, OBSERVER_PLACES + slot,
                      observer->master->slots[slot].pid);
}

uint64_t observer_interp_pss(const struct observer *observer, uint32_t slot)
{
    const struct board *board = observer->master->board;

    return census_pss(observer->census,
                      OBSERVER_PLACES + board->worker_slots + slot,
                      atomic_load(&board_interp(board, slot)->pid));
}

uint32_t observer_exchanges_free(const struct observer *observer, uint32_t slot)
{
    const struct arena *arena = &observer->arenas[slot];
    uint32_t used = atomic_load(&arena->header->slots_used);
    uint32_t busy = 0;

    for (uint32_t i = 0; i < min_u64(used, arena->slots); i++) {
        uint64_t word = atomic_load_explicit(&exchange_at(arena, i)->word,
                                             memory_order_relaxed);

        busy += exchange_word_state(word) != EXCHANGE_FREE;
    }
    return arena->slots - busy;
}

uint32_t observer_chunks_free(const struct observer *observer, uint32_t slot)
{
    const struct arena *arena = &observer->arenas[slot];

    return arena->chunks - arena_chunks_used(arena);
}

uint64_t observer_resident_bytes(pid_t pid)
{
    unsigned long long total, resident = 0;
    char path[32];
    FILE *from;

    if (pid <= 0)
        return 0;
    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    from = fopen(path, "re");
    if (from == NULL)
        return 0;
    if (fscanf(from, "%llu %llu", &total, &resident) != 2)
        resident = 0;
    fclose(from);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

int64_t observer_listen_queue(const struct listener *listener, uint32_t slot)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);

    if (listener->bound.ss_family == AF_UNIX ||
        (listener->shared && slot > 0) || listener_fd(listener, slot) < 0 ||
        getsockopt(listener_fd(listener, slot), IPPROTO_TCP, TCP_INFO, &info,
                   &len) < 0)
        return -1;
    return info.tcpi_unacked; /* of a listening socket: what waits */
}
