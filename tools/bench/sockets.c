/* SPDX-License-Identifier: MIT */
/*
 * sockets - a client of many WebSockets, for sockets.py.
 *
 *   sockets echo PORT COUNT SECONDS BYTES   each sends, and sends again when
 *                                           it has its echo
 *   sockets broadcast PORT COUNT SECONDS BYTES   the first sends, and again
 *                                           when it has its own message
 *   sockets idle PORT COUNT SECONDS BYTES   open, answer pings; "open" is
 *                                           printed when all are
 *
 * Prints the messages that were received, and the seconds that took. Frames
 * of a server that are longer than 64 KiB, or compressed, are not expected.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUFFER (160U << 10)
#define MESSAGE_MAX 65000U
#define EVENTS 256
#define PING 9
#define CLOSE 8

enum mode { ECHO, BROADCAST, IDLE };

struct peer {
    int fd;
    bool open;
    size_t have;
    char *buffer; /* NULL while nothing is in it */
};

struct client {
    enum mode mode;
    uint32_t count;
    uint32_t open;
    uint64_t received;
    char frame[MESSAGE_MAX + 16];
    size_t frame_len;
    struct peer *peers;
    char spare[BUFFER]; /* lent to the peer that is read */
};

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* Small enough for any socket's buffer, or the benchmark is no good. */
static void say(const struct peer *peer, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(peer->fd, bytes, n, MSG_NOSIGNAL);

        if (sent < 0 && errno != EAGAIN)
            die("send");
        if (sent > 0) {
            bytes += sent;
            n -= (size_t)sent;
        }
    }
}

/* A text message, masked with zeroes. */
static void make_frame(struct client *client, size_t bytes)
{
    char *p = client->frame;

    *p++ = (char)0x81;
    if (bytes < 126) {
        *p++ = (char)(0x80 | bytes);
    } else {
        *p++ = (char)(0x80 | 126);
        *p++ = (char)(bytes >> 8);
        *p++ = (char)bytes;
    }
    memset(p, 0, 4);
    memset(p + 4, 'x', bytes);
    client->frame_len = (size_t)(p + 4 - client->frame) + bytes;
}

static void connect_peer(struct peer *peer, uint16_t port)
{
    static const char hello[] =
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer->fd < 0)
        die("socket");
    if (connect(peer->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        die("connect");
    setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    say(peer, hello, sizeof(hello) - 1);
}

static void on_message(struct client *client, struct peer *peer)
{
    client->received++;
    if (client->mode == ECHO ||
        (client->mode == BROADCAST && peer == client->peers))
        say(peer, client->frame, client->frame_len);
}

static void on_frame(struct client *client, struct peer *peer, int opcode,
                     const char *payload, size_t len)
{
    if (opcode == PING) {
        char pong[2 + 4 + 125] = {(char)0x8a, (char)(0x80 | len)};

        memcpy(pong + 6, payload, len);
        say(peer, pong, 6 + len);
    } else if (opcode == CLOSE) {
        fprintf(stderr, "closed by the server\n");
        exit(1);
    } else {
        on_message(client, peer);
    }
}

/* Returns the bytes of the frame at p, or 0 when it is not all there. */
static size_t take_frame(struct client *client, struct peer *peer,
                         const char *p, size_t n)
{
    const uint8_t *u = (const uint8_t *)p;
    size_t head = 2, len;

    if (n < 2)
        return 0;
    len = u[1] & 0x7f;
    if (len == 126) {
        head = 4;
        len = n < 4 ? SIZE_MAX / 2 : (size_t)(u[2] << 8 | u[3]);
    }
    if (u[1] > 126 || (u[0] & 0xf0) != 0x80) {
        fprintf(stderr, "unexpected frame %02x %02x\n", u[0], u[1]);
        exit(1);
    }
    if (n < head + len)
        return 0;
    on_frame(client, peer, u[0] & 0x0f, p + head, len);
    return head + len;
}

static size_t take_head(struct client *client, struct peer *peer, char *p,
                        size_t n)
{
    char *end = memmem(p, n, "\r\n\r\n", 4);

    if (!end)
        return 0;
    if (n < 12 || memcmp(p, "HTTP/1.1 101", 12) != 0) {
        fprintf(stderr, "refused: %.60s\n", p);
        exit(1);
    }
    peer->open = true;
    if (++client->open == client->count) {
        printf("open\n");
        fflush(stdout);
        for (uint32_t i = 0; i < client->count; i++)
            if (client->mode == ECHO || (client->mode == BROADCAST && i == 0))
                say(&client->peers[i], client->frame, client->frame_len);
    }
    return (size_t)(end + 4 - p);
}

static void on_readable(struct client *client, struct peer *peer)
{
    char *at = client->spare;
    size_t used = 0, took = 1;
    ssize_t n;

    if (peer->have)
        memcpy(at, peer->buffer, peer->have);
    n = recv(peer->fd, at + peer->have, BUFFER - peer->have, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("recv");
    peer->have += (size_t)n;
    while (took > 0 && used < peer->have) {
        took = peer->open
                   ? take_frame(client, peer, at + used, peer->have - used)
                   : take_head(client, peer, at + used, peer->have - used);
        used += took;
    }
    peer->have -= used;
    free(peer->buffer);
    peer->buffer = NULL;
    if (peer->have) {
        peer->buffer = malloc(peer->have);
        if (!peer->buffer)
            die("malloc");
        memcpy(peer->buffer, at + used, peer->have);
    }
}

static void turn(struct client *client, int epoll, int ms)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(epoll, events, EVENTS, ms);

    for (int i = 0; i < n; i++)
        on_readable(client, &client->peers[events[i].data.u32]);
}

static void open_all(struct client *client, int epoll, uint16_t port)
{
    for (uint32_t i = 0; i < client->count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};

        connect_peer(&client->peers[i], port);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, client->peers[i].fd, &event) < 0)
            die("epoll_ctl");
        while (i + 1 - client->open > 64)
            turn(client, epoll, 1000);
    }
    while (client->open < client->count)
        turn(client, epoll, 1000);
}

static void raise_files(void)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static enum mode mode_of(const char *name)
{
    if (strcmp(name, "echo") == 0)
        return ECHO;
    return strcmp(name, "broadcast") == 0 ? BROADCAST : IDLE;
}

int main(int argc, char **argv)
{
    static struct client client;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    unsigned long bytes;
    double start, end;

    if (argc != 6)
        return 2;
    raise_files();
    client.mode = mode_of(argv[1]);
    client.count = (uint32_t)strtoul(argv[3], NULL, 10);
    bytes = strtoul(argv[5], NULL, 10);
    client.peers = calloc(client.count, sizeof(struct peer));
    if (epoll < 0 || !client.peers || client.count == 0 || bytes > MESSAGE_MAX)
        return 2;
    make_frame(&client, bytes);
    open_all(&client, epoll, (uint16_t)strtoul(argv[2], NULL, 10));
    client.received = 0;
    start = end = now();
    while (end < start + strtod(argv[4], NULL)) {
        turn(&client, epoll, 100);
        end = now();
    }
    printf("%llu %.6f\n", (unsigned long long)client.received, end - start);
    return 0;
}
