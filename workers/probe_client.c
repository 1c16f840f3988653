/* SPDX-License-Identifier: MIT */
#include "probe_client.h"

#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define BACKLOG 16
#define TIMEOUT_DEFAULT_S 60
#define STATUS_AT 9 /* "HTTP/1.x 200" */

int probe_client_init(struct probe_client *client, const struct config *config)
{
    *client = (struct probe_client){
        .address = {.sun_family = AF_UNIX},
        .address_size = sizeof(client->address),
        .timeout_s = config->timeout > 0 && config->timeout < UINT32_MAX
                         ? (uint32_t)config->timeout + 1
                         : TIMEOUT_DEFAULT_S,
    };
    client->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->listen_fd < 0)
        return -errno;
    /* Without a name the kernel finds one. */
    if (bind(client->listen_fd, (struct sockaddr *)&client->address,
             sizeof(sa_family_t)) < 0 ||
        listen(client->listen_fd, BACKLOG) < 0 ||
        getsockname(client->listen_fd, (struct sockaddr *)&client->address,
                    &client->address_size) < 0)
        return -errno;
    return 0;
}

void probe_client_started(struct probe_client *client)
{
    close(client->listen_fd);
    client->listen_fd = -1;
}

void probe_client_done(struct probe_client *client)
{
    if (client->listen_fd >= 0)
        close(client->listen_fd);
    client->listen_fd = -1;
}

static int ask(int fd, const char *path)
{
    char request[1200];
    int n = snprintf(request, sizeof(request),
                     "GET %.1000s HTTP/1.0\r\nHost: localhost\r\n"
                     "User-Agent: gcorn-autotune\r\nAccept: */*\r\n\r\n",
                     path);

    return send(fd, request, (size_t)n, MSG_NOSIGNAL) == n ? 0 : -EPIPE;
}

/* HTTP/1.0 without keep-alive: the end of the answer is the end. */
static int answer(int fd)
{
    char head[16] = "", rest[16384];
    size_t have = 0;
    ssize_t n;

    while (have < sizeof(head) - 1) {
        n = recv(fd, head + have, sizeof(head) - 1 - have, 0);
        if (n <= 0)
            return n < 0 ? -errno : -ECONNRESET;
        have += (size_t)n;
    }
    do {
        n = recv(fd, rest, sizeof(rest), 0);
    } while (n > 0);
    if (n < 0)
        return -errno;
    return (int)strtol(head + STATUS_AT, NULL, 10);
}

int probe_client_get(const struct probe_client *client, const char *path)
{
    struct timeval timeout = {.tv_sec = client->timeout_s};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int status;

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    if (connect(fd, (const struct sockaddr *)&client->address,
                client->address_size) < 0)
        status = -errno;
    else
        status = ask(fd, path);
    if (status == 0)
        status = answer(fd);
    close(fd);
    return status;
}
