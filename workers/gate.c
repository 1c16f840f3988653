/* SPDX-License-Identifier: MIT */
#include "gate.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUT_MAX ((size_t)16 << 20)
#define READ_BYTES 4096
/* Of one client in one turn: the master has other things to do. */
#define READS_MAX 16

static int watch(const struct gate *gate, int how, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};

    return epoll_ctl(gate->epoll_fd, how, fd, &event) < 0 ? -errno : 0;
}

int gate_open(struct gate *gate, int listen_fd)
{
    gate->listen_fd = -1;
    for (uint32_t i = 0; i < GATE_CLIENTS; i++)
        gate->clients[i].fd = -1;
    gate->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (gate->epoll_fd < 0)
        return -errno;
    if (fcntl(listen_fd, F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    gate->listen_fd = listen_fd;
    return watch(gate, EPOLL_CTL_ADD, listen_fd, EPOLLIN);
}

static void client_close(struct gate_client *client)
{
    close(client->fd);
    free(client->in);
    free(client->out);
    *client = (struct gate_client){.fd = -1};
}

/* A free place, if need be that of whoever has been silent longest. */
static struct gate_client *place_find(struct gate *gate)
{
    struct gate_client *silent = &gate->clients[0];

    for (uint32_t i = 0; i < GATE_CLIENTS; i++) {
        struct gate_client *client = &gate->clients[i];

        if (client->fd < 0)
            return client;
        if (client->heard_ns < silent->heard_ns)
            silent = client;
    }
    client_close(silent);
    return silent;
}

static void accept_all(struct gate *gate, uint64_t now)
{
    for (uint32_t i = 0; i < GATE_CLIENTS && gate->listen_fd >= 0; i++) {
        int fd = accept4(gate->listen_fd, NULL, NULL,
                         SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct gate_client *client;

        if (fd < 0)
            return;
        client = place_find(gate);
        client->fd = fd;
        client->heard_ns = now;
        client->in = malloc(GATE_IN_MAX);
        if (client->in == NULL || watch(gate, EPOLL_CTL_ADD, fd, EPOLLIN) < 0)
            client_close(client);
    }
}

void gate_say(struct gate_client *client, const void *text, size_t len)
{
    char *out = NULL;

    if (len <= OUT_MAX - client->out_len)
        out = realloc(client->out, client->out_len + len);
    if (out == NULL) {
        client->over = true;
        return;
    }
    memcpy(out + client->out_len, text, len);
    client->out = out;
    client->out_len += len;
}

/* False when it is gone. */
static bool client_read(struct gate_client *client, uint64_t now)
{
    for (uint32_t i = 0; i < READS_MAX; i++) {
        size_t room = GATE_IN_MAX - client->in_len;
        ssize_t n;

        if (room == 0)
            return true; /* the function has to use some first */
        n = recv(client->fd, client->in + client->in_len,
                 min_u64(room, READ_BYTES), MSG_DONTWAIT);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        if (n == 0) {
            client->ended = true;
            return true;
        }
        client->in_len += (size_t)n;
        client->heard_ns = now;
    }
    return true;
}

static bool client_take(struct gate *gate, struct gate_client *client)
{
    while (client->in_len > 0 && !client->over) {
        struct bytes said = {client->in, client->in_len};
        int64_t used = gate->take(gate->context, client, said);

        if (used < 0)
            return false;
        if (used == 0)
            return client->in_len < GATE_IN_MAX;
        must((size_t)used <= client->in_len);
        client->in_len -= (size_t)used;
        memmove(client->in, client->in + used, client->in_len);
    }
    return true;
}

static bool client_write(struct gate_client *client, uint64_t now)
{
    while (client->out_done < client->out_len) {
        ssize_t n = send(client->fd, client->out + client->out_done,
                         client->out_len - client->out_done,
                         MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        client->out_done += (size_t)n;
        client->heard_ns = now;
    }
    free(client->out);
    client->out = NULL;
    client->out_len = client->out_done = 0;
    return !client->over;
}

static bool client_turn(struct gate *gate, struct gate_client *client,
                        uint64_t now)
{
    /* Whoever does not take what was answered is not listened to. */
    if (client->out_len == 0) {
        if (!client_read(client, now))
            return false;
        if (!client_take(gate, client) || client->ended)
            client->over = true;
    }
    if (!client_write(client, now))
        return false;
    if (now - client->heard_ns > gate->patience_ns && client->note == 0)
        return false;
    return watch(gate, EPOLL_CTL_MOD, client->fd,
                 client->out_len > 0 ? EPOLLOUT : EPOLLIN) == 0;
}

void gate_turn(struct gate *gate, uint64_t now)
{
    if (gate->epoll_fd < 0)
        return;
    accept_all(gate, now);
    for (uint32_t i = 0; i < GATE_CLIENTS; i++) {
        struct gate_client *client = &gate->clients[i];

        if (client->fd >= 0 && !client_turn(gate, client, now))
            client_close(client);
    }
}

uint64_t gate_due(const struct gate *gate)
{
    uint64_t due = UINT64_MAX;

    if (gate->epoll_fd < 0)
        return due;
    for (uint32_t i = 0; i < GATE_CLIENTS; i++)
        if (gate->clients[i].fd >= 0)
            due = min_u64(due,
                          gate->clients[i].heard_ns + gate->patience_ns + 1);
    return due;
}

void gate_close(struct gate *gate)
{
    for (uint32_t i = 0; i < GATE_CLIENTS; i++)
        if (gate->clients[i].fd >= 0)
            client_close(&gate->clients[i]);
    if (gate->epoll_fd >= 0)
        close(gate->epoll_fd);
    gate->epoll_fd = -1;
    gate->listen_fd = -1;
}
