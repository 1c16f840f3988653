/* SPDX-License-Identifier: MIT */
#include "binds.h"

#include "core/board.h"
#include "core/log.h"
#include "master.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

static void speak(const struct config *config, struct address *address)
{
    if (strcasecmp(config->protocol, "uwsgi") == 0)
        address->uwsgi = true;
}

/* Sockets from systemd are instead of all that --bind says. */
static int activated_address(const struct config *config, uint32_t index,
                             struct address *ret_address)
{
    *ret_address = (struct address){
        .kind = ADDRESS_FD,
        .fd = LAUNCH_ACTIVATED_FD + (int)index,
    };
    speak(config, ret_address);
    return 0;
}

static int bind_parse(const struct config *config, size_t index,
                      struct address *ret_address, struct config_error *error)
{
    int err = address_parse(config->bind.items[index], ret_address, error);

    if (err == 0)
        speak(config, ret_address);
    return err;
}

static struct listener_options options_of(const struct master *master,
                                          const struct config *config)
{
    return (struct listener_options){
        .slots = master->board->worker_slots,
        .backlog = (int)min_u64(config->backlog, INT32_MAX),
        .umask = (mode_t)config->umask,
        .owner = master->owner,
    };
}

static void describe(const struct master *master, uint32_t index)
{
    listener_describe(&master->listeners[index],
                      &master->board->listener[index]);
    master->board->listeners = master->listener_count;
}

static int too_many(struct config_error *error)
{
    return config_fail(error, 1, "At most %d addresses can be bound",
                       BOARD_LISTENERS_MAX);
}

int binds_open(struct master *master, struct config_error *error)
{
    const struct config_list *bind = &master->config->bind;
    struct launch *launch = master->launch;
    size_t count = launch->activated > 0 ? launch->activated : bind->count;
    struct listener_options options = options_of(master, master->config);

    options.inherited = launch->fds;
    options.inherited_count = launch->fd_count;
    if (count > BOARD_LISTENERS_MAX)
        return too_many(error);
    for (uint32_t i = 0; i < count; i++) {
        struct listener *listener = &master->listeners[i];
        struct address address;
        int err = launch->activated > 0
                      ? activated_address(master->config, i, &address)
                      : bind_parse(master->config, i, &address, error);

        if (err < 0)
            return err;
        master->listener_count++;
        err = listener_open(listener, &address, &options, error);
        if (err < 0)
            return err;
        describe(master, i);
        if (listener->adopted > master->upgrade.shared)
            master->upgrade.shared = listener->adopted;
    }
    return 0;
}

/* The same place to listen at, whatever is spoken there. */
static bool is_same(const struct address *a, const struct address *b)
{
    return a->kind == b->kind && a->port == b->port && a->fd == b->fd &&
           strcmp(a->host, b->host) == 0;
}

/* Every address of the machine: what comes to b comes to a as well. */
static bool covers(const struct address *a, const struct address *b)
{
    bool any = strcmp(a->host, "::") == 0 ||
               (a->kind == ADDRESS_TCP4 && b->kind == ADDRESS_TCP4 &&
                strcmp(a->host, "0.0.0.0") == 0);

    return any && b->kind <= ADDRESS_TCP6 && a->port == b->port;
}

/*
 * One that a new address covers stays as it is: the kernel would prefer its
 * sockets until the last of them is closed.
 */
static bool is_wanted(const struct config *config,
                      const struct listener *listener, bool *ret_uwsgi)
{
    struct config_error error;
    struct address address;

    for (size_t i = 0; i < config->bind.count; i++) {
        if (bind_parse(config, i, &address, &error) < 0 ||
            (!is_same(&address, &listener->address) &&
             !covers(&address, &listener->address)))
            continue;
        *ret_uwsgi = address.uwsgi;
        return true;
    }
    return false;
}

static bool has_port(const struct master *master, uint16_t port)
{
    for (uint32_t i = 0; i < master->listener_count && port != 0; i++) {
        const struct listener *listener = &master->listeners[i];

        if (listener->slots > 0 && !listener->shared &&
            listener->address.port == port)
            return true;
    }
    return false;
}

static struct listener *find(struct master *master,
                             const struct address *address)
{
    for (uint32_t i = 0; i < master->listener_count; i++) {
        struct listener *listener = &master->listeners[i];

        if (listener->slots > 0 && is_same(&listener->address, address))
            return listener;
    }
    return NULL;
}

/* Numbers that were never used first: interpreters remember what they meant. */
static struct listener *free_place(struct master *master)
{
    if (master->listener_count < BOARD_LISTENERS_MAX)
        return &master->listeners[master->listener_count++];
    for (uint32_t i = 0; i < BOARD_LISTENERS_MAX; i++) {
        if (master->listeners[i].slots == 0)
            return &master->listeners[i];
    }
    return NULL;
}

static int open_beside(struct master *master, const struct config *config,
                       const struct address *address,
                       struct config_error *error)
{
    struct listener_options options = options_of(master, config);
    struct listener *listener;
    int err;

    options.trial = true;
    options.beside = has_port(master, address->port);
    listener = free_place(master);
    if (listener == NULL)
        return too_many(error);
    err = listener_open(listener, address, &options, error);
    if (err == 0)
        describe(master, (uint32_t)(listener - master->listeners));
    else
        listener_close(listener);
    return err;
}

static int try_one(struct master *master, const struct config *config,
                   size_t index, struct config_error *error)
{
    struct address address;
    int err = bind_parse(config, index, &address, error);

    if (err < 0 || find(master, &address) != NULL)
        return err;
    return open_beside(master, config, &address, error);
}

int binds_try(struct master *master, const struct config *config,
              struct config_error *error)
{
    int err = 0;

    if (master->launch->activated > 0 ||
        config_list_equal(&master->config->bind, &config->bind))
        return 0;
    /* What is closed here would be the other one's, too. */
    if (upgrade_shares(master))
        return config_fail(error, 1,
                           "bind can't change while two masters share the "
                           "sockets: complete the upgrade first");
    for (size_t i = 0; i < config->bind.count && err == 0; i++)
        err = try_one(master, config, i, error);
    if (err < 0)
        binds_give_up(master);
    return err;
}

void binds_give_up(struct master *master)
{
    for (uint32_t i = 0; i < master->listener_count; i++) {
        if (master->listeners[i].trial)
            listener_close(&master->listeners[i]);
    }
}

static void tell(const struct listener *listener)
{
    char url[300];

    listener_url(listener, url, sizeof(url));
    if (listener->leaving)
        log_info("Not listening any more at: %s", url);
    else
        log_info("Listening at: %s (%d)", url, (int)getpid());
}

void binds_apply(struct master *master)
{
    if (master->launch->activated > 0)
        return;
    for (uint32_t i = 0; i < master->listener_count; i++) {
        struct listener *listener = &master->listeners[i];
        bool was_leaving = listener->leaving;
        bool was_trial = listener->trial;

        if (listener->slots == 0)
            continue;
        listener->trial = false;
        listener->leaving = !is_wanted(master->config, listener,
                                       &listener->address.uwsgi);
        if (listener->leaving && !was_leaving)
            listener_refuse(listener);
        if (!listener->leaving && was_leaving)
            listener_admit(listener);
        if (was_trial || listener->leaving != was_leaving)
            tell(listener);
        describe(master, i);
    }
}

void binds_close_leaving(struct master *master)
{
    for (uint32_t i = 0; i < master->listener_count; i++) {
        if (master->listeners[i].leaving)
            listener_close(&master->listeners[i]);
    }
}

int binds_open_slot(struct master *master, uint32_t slot)
{
    int backlog = (int)min_u64(master->config->backlog, INT32_MAX);
    int err = 0;

    for (uint32_t i = 0; i < master->listener_count && err == 0; i++)
        err = listener_open_slot(&master->listeners[i], slot, backlog);
    return err;
}

bool binds_slot_is_open(const struct master *master, uint32_t slot)
{
    for (uint32_t i = 0; i < master->listener_count; i++) {
        const struct listener *listener = &master->listeners[i];

        if (listener_counts(listener) && listener_fd(listener, slot) < 0)
            return false;
    }
    return true;
}
