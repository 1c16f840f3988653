/* SPDX-License-Identifier: MIT */
#include "echo_site.h"

#include "core/board.h"
#include "core/board_interp.h"
#include "core/board_worker.h"
#include "core/exchange_request.h"
#include "core/exchange_take.h"
#include "core/exchange_writer.h"
#include "core/http_write.h"
#include "core/log.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct call {
    struct exchange_thread *thread;
    struct exchange_writer writer;
    const char *rest; /* of the target, behind the name */
};

static void put(struct call *call, const char *text, size_t len)
{
    struct bytes data = {text, len};
    size_t done;

    while (exchange_copy(&call->writer, data, &done) == -EAGAIN) {
        data.p += done;
        data.n -= done;
        exchange_wait(&call->writer);
    }
}

static void put_head(struct call *call, int status, const char *framing)
{
    struct exchange *x = call->writer.x;
    const char *keep = x->request.flags & HTTP_KEEP_ALIVE ? "keep-alive"
                                                          : "close";
    char text[256];
    int len = snprintf(text, sizeof(text),
                       "HTTP/1.1 %d %s\r\nServer: echo\r\n"
                       "Connection: %s\r\n%s\r\n\r\n",
                       status, http_reason(status), keep, framing);

    x->status = (uint32_t)status;
    if (*keep == 'k')
        x->connection_off = (uint32_t)(strstr(text, keep) - text);
    put(call, text, (size_t)len);
}

static void put_head_length(struct call *call, int status, uint64_t length)
{
    char text[64];

    snprintf(text, sizeof(text), "Content-Length: %llu",
             (unsigned long long)length);
    put_head(call, status, text);
    call->writer.x->out_bytes = length;
}

static void answer_text(struct call *call, int status, const char *text)
{
    put_head_length(call, status, strlen(text));
    put(call, text, strlen(text));
}

static void on_hello(struct call *call)
{
    answer_text(call, 200, "Hello, World!");
}

static void on_echo(struct call *call)
{
    static char piece[65536];
    struct exchange *x = call->writer.x;
    uint64_t off = 0;
    int64_t n;

    if (exchange_body_wait(&call->writer) < 0) {
        answer_text(call, 400, "no body");
        return;
    }
    put_head_length(call, 200, x->body_bytes);
    while ((n = exchange_body_read(call->writer.arena, x, off, piece,
                                   sizeof(piece))) > 0) {
        put(call, piece, (size_t)n);
        off += (uint64_t)n;
    }
}

static void on_size(struct call *call)
{
    static char piece[16384];
    uint64_t left = strtoull(call->rest, NULL, 10);

    memset(piece, 'x', sizeof(piece));
    put_head_length(call, 200, left);
    while (left > 0) {
        size_t n = min_u64(left, sizeof(piece));

        put(call, piece, n);
        left -= n;
        if (exchange_is_cancelled(&call->writer))
            return;
    }
}

static void on_sleep(struct call *call)
{
    uint64_t ms = strtoull(call->rest, NULL, 10);
    struct timespec time = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

    exchange_announce(call->thread);
    nanosleep(&time, NULL);
    answer_text(call, 200, "slept");
}

static void flush(struct call *call)
{
    while (exchange_flush(&call->writer) == -EAGAIN)
        exchange_wait(&call->writer);
}

static void on_stream(struct call *call)
{
    uint64_t left = strtoull(call->rest, NULL, 10);

    put_head(call, 200, "Transfer-Encoding: chunked");
    for (; left > 0; left--) {
        put(call, "5\r\npiece\r\n", 10);
        flush(call);
    }
    put(call, "0\r\n\r\n", 5);
}

static void on_file(struct call *call)
{
    uint64_t bytes = strtoull(call->rest, NULL, 10);
    int fd = memfd_create("echo-file", MFD_CLOEXEC);

    for (uint64_t i = 0; i < bytes; i += 8) {
        uint64_t number = i;
        ssize_t n = write(fd, &number, min_u64(8, bytes - i));

        must(n > 0);
    }
    put_head_length(call, 200, bytes);
    while (exchange_file(&call->writer, fd, 0, bytes) == -EAGAIN)
        exchange_wait(&call->writer);
    close(fd);
}

static void on_deny(struct call *call)
{
    answer_text(call, 403, "denied");
}

static void on_broken(struct call *call)
{
    put_head_length(call, 200, 1000);
    put(call, "short", 5);
    call->writer.x->out_flags |= EXCHANGE_OUT_BROKEN;
}

static void on_die(struct call *call)
{
    (void)call;
    _exit(9);
}

static void on_die_late(struct call *call)
{
    put_head_length(call, 200, 1000);
    flush(call);
    _exit(9);
}

static void on_die_once(struct call *call)
{
    if (call->writer.x->attempts == 0)
        _exit(9);
    answer_text(call, 200, "second try");
}

static const struct {
    const char *prefix;
    void (*answer)(struct call *call);
} routes[] = {
    {"/echo", on_echo},
    {"/size/", on_size},
    {"/sleep/", on_sleep},
    {"/stream/", on_stream},
    {"/file/", on_file},
    {"/deny", on_deny},
    {"/broken", on_broken},
    {"/die-late", on_die_late},
    {"/die-once", on_die_once},
    {"/die", on_die},
    {"/", on_hello},
};

static void serve_one(struct call *call)
{
    const struct exchange *x = call->writer.x;
    const char *head = exchange_head(call->writer.arena, x);
    struct bytes path = exchange_span(x, head, x->request.path.off,
                                      x->request.path.len);

    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        size_t n = strlen(routes[i].prefix);

        if (path.n < n || memcmp(path.p, routes[i].prefix, n) != 0)
            continue;
        call->rest = path.p + n;
        routes[i].answer(call);
        break;
    }
    exchange_finish(&call->writer);
}

static _Noreturn void run_interp(struct board *board, uint32_t slot)
{
    struct exchange_site site;
    struct exchange_thread thread;
    struct call call = {.thread = &thread};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGTERM, SIG_IGN);
    if (exchange_site_init(&site, board) != 0)
        _exit(1);
    exchange_thread_init(&thread, &site, slot);
    atomic_store(&board_interp(board, slot)->state, BOARD_INTERP_SERVING);
    while (
        board_interp_serves(atomic_load(&board_interp(board, slot)->state))) {
        if (exchange_take(&thread, &call.writer))
            serve_one(&call);
        else
            exchange_sleep(&thread);
    }
    _exit(0);
}

static pid_t start_interp(struct board *board, uint32_t slot)
{
    struct board_interp *interp = board_interp(board, slot);
    pid_t pid;

    atomic_store(&interp->asleep[0], 0);
    atomic_store(&interp->beds, 0);
    atomic_store(&interp->busy_since_ns, 0);
    atomic_store(&interp->stuck_ns, 0);
    atomic_store(&interp->threads, 1);
    atomic_store(&interp->state, BOARD_INTERP_STARTING);
    pid = fork();
    if (pid == 0)
        run_interp(board, slot);
    atomic_store(&interp->pid, pid);
    return pid;
}

static pid_t start_worker(const struct echo_site *site)
{
    struct worker_spec spec = {
        .board = site->board,
        .ring = site->options.ring,
        .conn = site->options.conn,
        .access = {.fd = site->options.access_log_fd,
                   .format = site->options.access_log_format
                                 ? site->options.access_log_format
                                 : ACCESS_LOG_DEFAULT},
        .graceful_timeout_ms = 10000,
    };
    struct board_worker *worker = board_worker(site->board, 0);
    pid_t pid = fork();

    if (pid != 0) {
        atomic_fetch_add(&worker->starts, 1);
        atomic_store(&worker->pid, pid);
        return pid;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    memset(spec.listen_fd, -1, sizeof(spec.listen_fd));
    spec.listen_fd[0] = site->listen_fd;
    exit(worker_run(&spec)); /* leak checks run */
}

static void on_dead_interp(struct board *board, pid_t pid)
{
    for (uint32_t i = 0; i < board->interp_slots; i++) {
        struct board_interp *interp = board_interp(board, i);

        if (atomic_load(&interp->pid) != pid)
            continue;
        atomic_store(&interp->state, BOARD_INTERP_DEAD);
        atomic_store(&interp->death_epoch,
                     atomic_fetch_add(&board->death_epoch, 1) + 1);
        board_wake_worker(board_worker(board, 0));
        while (atomic_load(&board_worker(board, 0)->swept_epoch) <
               atomic_load(&interp->death_epoch))
            nanosleep(&(struct timespec){0, 1000000}, NULL);
        start_interp(board, i);
    }
}

/* Ends when it is asked to and the worker has drained. */
static int run_master(struct echo_site *site)
{
    pid_t worker = start_worker(site);
    bool draining = false;
    int status;

    for (uint32_t i = 0; i < site->options.interps; i++)
        start_interp(site->board, i);
    for (;;) {
        pid_t pid = waitpid(-1, &status, 0);

        if (pid < 0 && errno != EINTR)
            return 1;
        if (pid < 0) {
            draining = true;
            atomic_store(&board_worker(site->board, 0)->command,
                         BOARD_COMMAND_DRAIN);
            board_wake_worker(board_worker(site->board, 0));
        } else if (pid != worker) {
            on_dead_interp(site->board, pid);
        } else if (draining) {
            return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
        } else {
            worker = start_worker(site);
        }
    }
}

static int memory(void)
{
    return memfd_create("echo", MFD_CLOEXEC);
}

static int make_board(struct echo_site *site)
{
    struct board_worker *worker;
    int pair[2];
    int error = board_new(&site->board, 1, site->options.slots,
                          4 * site->options.slots);

    if (error)
        return error;
    worker = board_worker(site->board, 0);
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    worker->file_out_fd = pair[0];
    worker->file_in_fd = pair[1];
    worker->doorbell_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    worker->arena_fd = memory();
    worker->spool_memory_fd = memory();
    worker->spool_file_fd = memory();
    site->board->master_doorbell_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    site->board->listeners = 1;
    site->board->listener[0].family = AF_INET;
    board_steal_order(site->board, 0)[0] = UINT16_MAX;
    return arena_format(worker->arena_fd, site->options.slots,
                        4 * site->options.slots);
}

static int open_listener(struct echo_site *site)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(site->options.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int one = 1;

    site->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(site->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(site->listen_fd, (struct sockaddr *)&at, len) < 0 ||
        listen(site->listen_fd, 1024) < 0 ||
        getsockname(site->listen_fd, (struct sockaddr *)&at, &len) < 0)
        return -errno;
    site->port = ntohs(at.sin_port);
    return 0;
}

void echo_defaults(struct echo_options *options)
{
    *options = (struct echo_options){
        .interps = 1,
        .slots = 256,
        .access_log_fd = -1,
        .error_log_fd = STDERR_FILENO,
        .conn = {.limits = {.line_bytes = 4094,
                            .fields = 100,
                            .field_bytes = 8190},
                 .keepalive_ms = 5000,
                 .header_timeout_ms = 10000,
                 .body_timeout_ms = 10000,
                 .send_timeout_ms = 10000,
                 .linger_ms = 2000,
                 .request_timeout_ms = 30000,
                 .connections_max = 20000},
    };
}

static void on_term(int number)
{
    (void)number; /* waitpid() ends with EINTR, and that is all */
}

int echo_start(struct echo_site *site, const struct echo_options *options)
{
    struct sigaction term = {.sa_handler = on_term};
    int error;

    *site = (struct echo_site){.options = *options, .listen_fd = -1};
    error = make_board(site);
    if (!error)
        error = open_listener(site);
    if (error)
        return error;
    site->master = fork();
    if (site->master != 0)
        return site->master < 0 ? -errno : 0;
    log_open(options->error_log_fd, LOG_LEVEL_INFO);
    sigaction(SIGTERM, &term, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    _exit(run_master(site));
}

int echo_stop(struct echo_site *site)
{
    struct board *board = site->board;
    struct board_worker *worker = board_worker(board, 0);
    int status = 0;

    kill(site->master, SIGTERM);
    while (waitpid(site->master, &status, 0) < 0 && errno == EINTR)
        ;
    close(site->listen_fd);
    close(worker->file_in_fd);
    close(worker->file_out_fd);
    close(worker->doorbell_fd);
    close(worker->arena_fd);
    close(worker->spool_memory_fd);
    close(worker->spool_file_fd);
    close(board->master_doorbell_fd);
    close(board->board_fd);
    munmap(board, board->bytes);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
