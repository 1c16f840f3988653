/* SPDX-License-Identifier: MIT */
#include "datagram.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define RETRY_NS NS_PER_S

static int parse_unix(struct datagram *to, const char *path)
{
    struct sockaddr_un *name = (struct sockaddr_un *)&to->to;

    if (path[0] == '\0' || strlen(path) >= sizeof(name->sun_path))
        return -EINVAL;
    name->sun_family = AF_UNIX;
    memcpy(name->sun_path, path, strlen(path) + 1);
    to->to_len = sizeof(*name);
    return 0;
}

static int resolve(struct datagram *to, const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM,
                             .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found;

    if (getaddrinfo(host, port, &hints, &found) != 0)
        return -ENOENT;
    memcpy(&to->to, found->ai_addr, found->ai_addrlen);
    to->to_len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

int datagram_parse(struct datagram *to, const char *text, uint16_t port)
{
    char host[256];
    char number[8];
    const char *end;
    size_t len;

    *to = (struct datagram){.fd = -1};
    if (strncmp(text, "unix://", 7) == 0)
        return parse_unix(to, text + 7);
    if (strncmp(text, "udp://", 6) == 0)
        text += 6;
    end = text[0] == '[' ? strchr(text, ']') : text + strcspn(text, ":");
    if (end == NULL)
        return -EINVAL;
    len = (size_t)(end - text) - (text[0] == '[');
    snprintf(host, sizeof(host), "%.*s", (int)min_u64(len, 255),
             text[0] == '[' ? text + 1 : text);
    end += *end == ']';
    snprintf(number, sizeof(number), "%u", port);
    if (*end == ':' && strspn(end + 1, "0123456789") == strlen(end + 1) &&
        strlen(end + 1) > 0 && strlen(end + 1) < 6)
        snprintf(number, sizeof(number), "%.5s", end + 1);
    else if (*end != '\0')
        return -EINVAL;
    return resolve(to, host[0] != '\0' ? host : "localhost", number);
}

static int join(struct datagram *to)
{
    return connect(to->fd, (const struct sockaddr *)&to->to, to->to_len) < 0
               ? -errno
               : 0;
}

int datagram_open(struct datagram *to)
{
    to->fd = socket(to->to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (to->fd < 0)
        return -errno;
    join(to);
    return 0;
}

static int try(const struct datagram *to, struct bytes message)
{
    return send(to->fd, message.p, message.n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0
               ? -errno
               : 0;
}

/* A Unix socket that was made anew has to be connected to anew; what a UDP
 * port said of an earlier message is no reason not to send this one. */
void datagram_send(struct datagram *to, struct bytes message)
{
    int err = try(to, message);
    uint64_t now;

    if (err == 0 || err == -EAGAIN || err == -EMSGSIZE)
        return;
    now = now_ns();
    if (to->to.ss_family == AF_UNIX) {
        if (now < to->retry_ns)
            return;
        to->retry_ns = now + RETRY_NS;
        if (join(to) < 0)
            return;
    }
    try(to, message);
}
