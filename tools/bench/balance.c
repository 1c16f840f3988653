/* SPDX-License-Identifier: MIT */
/*
 * balance - how long do fast requests wait behind slow ones?
 *
 *   balance PORT CONNECTIONS RATE SECONDS SLOW SEED
 *
 * Requests arrive at random (exponential gaps, RATE a second), SLOW of a
 * thousand ask for /slow, the others for /fast. Each takes any connection that
 * is free, as from the pool of a proxy, and its latency counts from the
 * arrival: a server that stalls cannot slow down the asking. The arrivals
 * depend on SEED alone, so every server gets the same, with slow ones or
 * without.
 *
 * Prints one line of JSON about the fast requests, without the first second.
 * It needs a CPU of its own and uses a small part of it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull
#define WARMUP_NS NS_PER_S
#define GRACE_NS (5 * NS_PER_S)
#define CONNECTIONS_MAX 1024
#define TIMER_TAG UINT32_MAX

struct arrival {
    uint64_t at_ns; /* since the start */
    bool slow;
};

struct client {
    int fd;
    bool busy;
    size_t filled;
    uint32_t arrival; /* the one it works on, when busy */
    char response[4096];
};

struct demand {
    uint32_t port, connections, rate, seconds, slow;
    uint64_t random;
};

struct bench {
    struct demand demand;
    struct arrival *arrivals;
    uint32_t arrival_count, next, done;
    struct client *clients;
    uint32_t free[CONNECTIONS_MAX], free_count;
    double *fast_us; /* latencies of fast requests, fast_count of them */
    uint32_t fast_count, counted, errors, reconnects, waited;
    int epoll_fd, timer_fd;
    uint64_t start_ns;
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* splitmix64: short, and the same everywhere. */
static uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static void arrivals_make(struct bench *b)
{
    struct demand *d = &b->demand;
    double at = 0, gap = (double)NS_PER_S / d->rate;

    b->arrival_count = d->rate * d->seconds;
    b->arrivals = calloc(b->arrival_count, sizeof(*b->arrivals));
    b->fast_us = calloc(b->arrival_count, sizeof(*b->fast_us));
    if (!b->arrivals || !b->fast_us)
        fail("memory");
    for (uint32_t i = 0; i < b->arrival_count; i++) {
        /* 53 bits, and never 0, of which there is no logarithm. */
        uint64_t bits = (random_next(&d->random) >> 11) + 1;

        at -= log((double)bits / (double)(1ull << 53)) * gap;
        b->arrivals[i].at_ns = (uint64_t)at;
        b->arrivals[i].slow = random_next(&d->random) % 1000 < d->slow;
    }
}

static void client_connect(struct bench *b, uint32_t index)
{
    struct client *c = &b->clients[index];
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)b->demand.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    int on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (void *)&to, sizeof(to)) < 0)
        fail("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (epoll_ctl(b->epoll_fd, EPOLL_CTL_ADD, c->fd, &event) < 0)
        fail("epoll_ctl");
    c->busy = false;
    c->filled = 0;
    b->free[b->free_count++] = index;
}

/* Any free one: taking the last used would keep to a few. */
static uint32_t free_take(struct bench *b)
{
    uint32_t at = (uint32_t)(random_next(&b->demand.random) % b->free_count);
    uint32_t index = b->free[at];

    b->free[at] = b->free[--b->free_count];
    return index;
}

static void request_send(struct bench *b, uint32_t index)
{
    static const char fast[] = "GET /fast HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    static const char slow[] = "GET /slow HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    struct client *c = &b->clients[index];

    c->busy = true;
    c->filled = 0;
    c->arrival = b->next++;
    /* A request this small always fits; a lost connection reads as closed. */
    (void)!send(c->fd, b->arrivals[c->arrival].slow ? slow : fast,
                sizeof(fast) - 1, MSG_NOSIGNAL);
}

/* Sends what has arrived, while there are free connections. */
static void arrivals_send(struct bench *b)
{
    uint64_t since = clock_ns() - b->start_ns;

    while (b->next < b->arrival_count && b->arrivals[b->next].at_ns <= since) {
        if (!b->free_count) {
            b->waited++;
            return;
        }
        request_send(b, free_take(b));
    }
}

static void timer_set(struct bench *b)
{
    uint64_t at = b->start_ns;
    struct itimerspec when = {0};

    at += b->next < b->arrival_count
              ? b->arrivals[b->next].at_ns
              : b->arrivals[b->arrival_count - 1].at_ns + GRACE_NS;
    /* All connections busy: the next completion sends, not the clock. */
    if (!b->free_count)
        at = clock_ns() + GRACE_NS;
    when.it_value.tv_sec = (time_t)(at / NS_PER_S);
    when.it_value.tv_nsec = (long)(at % NS_PER_S);
    if (timerfd_settime(b->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) < 0)
        fail("timerfd_settime");
}

/* Returns the whole response's length, 0 if it is not all there, -1 if it is
 * not what the application sends. */
static ssize_t response_length(struct client *c)
{
    char *end, *field;

    c->response[c->filled] = 0;
    end = strstr(c->response, "\r\n\r\n");
    if (!end)
        return c->filled + 1 < sizeof(c->response) ? 0 : -1;
    field = strcasestr(c->response, "\r\ncontent-length:");
    if (!field || field > end || !strstr(c->response, " 200 "))
        return -1;
    return end + 4 - c->response +
           strtol(field + sizeof("\r\ncontent-length:") - 1, NULL, 10);
}

static void finished(struct bench *b, struct client *c)
{
    const struct arrival *a = &b->arrivals[c->arrival];

    b->done++;
    if (a->at_ns < WARMUP_NS)
        return;
    b->counted++;
    if (!a->slow)
        b->fast_us[b->fast_count++] =
            (double)(clock_ns() - b->start_ns - a->at_ns) / 1e3;
}

static void free_drop(struct bench *b, uint32_t index)
{
    uint32_t i = 0;

    while (i < b->free_count && b->free[i] != index)
        i++;
    if (i < b->free_count)
        b->free[i] = b->free[--b->free_count];
}

/* The server closed it or sent what nobody asked for. An idle connection may
 * be closed; a request that gets no answer is an error. */
static void on_lost(struct bench *b, uint32_t index, bool wrong)
{
    struct client *c = &b->clients[index];

    b->errors += c->busy || wrong;
    b->done += c->busy;
    b->reconnects++;
    if (!c->busy)
        free_drop(b, index);
    close(c->fd);
    client_connect(b, index);
}

static void on_readable(struct bench *b, uint32_t index)
{
    struct client *c = &b->clients[index];
    ssize_t length, n = recv(c->fd, c->response + c->filled,
                             sizeof(c->response) - 1 - c->filled, 0);

    if (n <= 0) {
        on_lost(b, index, false);
        return;
    }
    c->filled += (size_t)n;
    length = response_length(c);
    if (length < 0 || !c->busy) {
        on_lost(b, index, true);
        return;
    }
    if (length == 0 || c->filled < (size_t)length)
        return;
    finished(b, c);
    c->busy = false;
    b->free[b->free_count++] = index;
}

static void on_timer(struct bench *b)
{
    uint64_t times;

    if (read(b->timer_fd, &times, sizeof(times)) < 0 && errno != EAGAIN)
        fail("timerfd");
}

static void turn(struct bench *b)
{
    struct epoll_event events[64];
    int n;

    timer_set(b);
    n = epoll_wait(b->epoll_fd, events, 64, -1);
    if (n < 0 && errno != EINTR)
        fail("epoll_wait");
    for (int i = 0; i < n; i++) {
        if (events[i].data.u32 == TIMER_TAG)
            on_timer(b);
        else
            on_readable(b, events[i].data.u32);
    }
    arrivals_send(b);
}

static void bench_start(struct bench *b)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = TIMER_TAG};

    b->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    b->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    b->clients = calloc(b->demand.connections, sizeof(*b->clients));
    if (b->epoll_fd < 0 || b->timer_fd < 0 || !b->clients)
        fail("start");
    if (epoll_ctl(b->epoll_fd, EPOLL_CTL_ADD, b->timer_fd, &event) < 0)
        fail("epoll_ctl");
    for (uint32_t i = 0; i < b->demand.connections; i++)
        client_connect(b, i);
    b->start_ns = clock_ns();
}

static void bench_run(struct bench *b)
{
    uint64_t last = b->arrivals[b->arrival_count - 1].at_ns + GRACE_NS;

    while (b->done < b->arrival_count && clock_ns() - b->start_ns < last)
        turn(b);
    b->errors += b->arrival_count - b->done;
}

static int by_size(const void *left, const void *right)
{
    double l = *(const double *)left, r = *(const double *)right;

    return (l > r) - (l < r);
}

static double percentile(const double *sorted, uint32_t n, double share)
{
    return n ? sorted[(uint32_t)((n - 1) * share)] : 0;
}

static void bench_print(struct bench *b)
{
    double *us = b->fast_us, seconds = b->demand.seconds - 1;
    uint32_t n = b->fast_count;

    qsort(us, n, sizeof(*us), by_size);
    printf("{\"rps\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,"
           "\"max_us\":%.1f,\"errors\":%u,\"reconnects\":%u,"
           "\"waited\":%u}\n",
           b->counted / seconds, percentile(us, n, 0.5),
           percentile(us, n, 0.99), percentile(us, n, 0.999),
           percentile(us, n, 1), b->errors, b->reconnects, b->waited);
}

static uint32_t number(const char *text, uint32_t least, uint32_t most)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*end || end == text || value < least || value > most) {
        fprintf(stderr, "balance: %s is not from %u to %u\n", text, least,
                most);
        exit(2);
    }
    return (uint32_t)value;
}

int main(int argc, char **argv)
{
    struct bench b = {0};
    struct demand *d = &b.demand;

    if (argc != 7) {
        fprintf(stderr, "usage: balance PORT CONNECTIONS RATE SECONDS SLOW "
                        "SEED\n");
        return 2;
    }
    d->port = number(argv[1], 1, 65535);
    d->connections = number(argv[2], 1, CONNECTIONS_MAX);
    d->rate = number(argv[3], 1, 100000);
    d->seconds = number(argv[4], 2, 600);
    d->slow = number(argv[5], 0, 1000);
    d->random = number(argv[6], 0, UINT32_MAX);
    arrivals_make(&b);
    bench_start(&b);
    bench_run(&b);
    bench_print(&b);
    free(b.clients);
    free(b.arrivals);
    free(b.fast_us);
    return 0;
}
