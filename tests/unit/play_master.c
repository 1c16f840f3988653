/* SPDX-License-Identifier: MIT */
#include "play_master.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/board.h"
#include "core/board_interp.h"
#include "core/board_worker.h"
#include "core/exchange_part.h"
#include "core/exchange_wake.h"
#include "core/settings.h"

#define WORKERS 2
#define SLOTS 64
#define CHUNKS 256
#define RESPONSE_MAX (1 << 20)

static const struct timespec tick = {0, 2000000};

static bool limit_passed(uint64_t start)
{
    return now_ns() - start > PLAY_SECONDS * NS_PER_S;
}

static int memory(uint64_t bytes)
{
    int fd = memfd_create("play", 0);

    assert_true(fd >= 0);
    assert_return_code(ftruncate(fd, (off_t)bytes), errno);
    return fd;
}

/* Out of the way of what the host opens before it gets them. */
static int high(int fd)
{
    int lifted = fcntl(fd, F_DUPFD_CLOEXEC, 200);

    assert_return_code(lifted, errno);
    close(fd);
    return lifted;
}

static void make_worker(struct board *board, uint32_t slot)
{
    struct board_worker *worker = board_worker(board, slot);
    int pair[2];

    assert_return_code(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), errno);
    worker->file_out_fd = high(pair[0]);
    worker->file_in_fd = pair[1];
    worker->doorbell_fd = high(eventfd(0, 0));
    for (uint32_t i = 0; i < BOARD_INTERPS_PER_WORKER; i++)
        board_interp(board, slot * BOARD_INTERPS_PER_WORKER + i)->doorbell_fd =
            high(eventfd(0, 0));
    worker->arena_fd = high(memory(0));
    worker->spool_memory_fd = high(memory(0));
    worker->spool_file_fd = high(memory(0));
    assert_int_equal(arena_format(worker->arena_fd, SLOTS, CHUNKS), 0);
    atomic_store(&worker->state, BOARD_WORKER_SERVING);
}

/* Each worker on a memory node of its own. */
static void spread(struct board *board)
{
    for (uint32_t i = 0; i < WORKERS; i++)
        board_worker(board, i)->node = (int32_t)i;
}

static void make_board(struct play *play)
{
    struct board *board;

    assert_int_equal(board_new(&play->board, WORKERS, SLOTS, CHUNKS), 0);
    board = play->board;
    board->board_fd = high(board->board_fd);
    for (uint32_t i = 0; i < WORKERS; i++)
        make_worker(board, i);
    board->master_doorbell_fd = high(eventfd(0, 0));
    board->master_pid = getpid();
    board->error_log_fd =
        high(open("/tmp", O_TMPFILE | O_APPEND | O_RDWR, 0600));
    atomic_store(&board->worker_count, 1);
}

static pid_t spawn(const char *host, const char *apps, int channel_fd)
{
    char number[16];
    pid_t pid = fork();

    assert_return_code(pid, errno);
    if (pid > 0)
        return pid;
    snprintf(number, sizeof(number), "%d", channel_fd);
    setenv("ASAN_OPTIONS", "detect_leaks=0:handle_segv=0", 1);
    if (chdir(apps) == 0)
        execl(host, host, "--channel", number, (char *)NULL);
    _exit(127);
}

static void give(struct play *play, enum template_op op, uint32_t slot,
                 const int *fds, size_t count)
{
    struct template_message word = {.op = op, .slot = slot};
    char control[CMSG_SPACE(BOARD_WORKER_FILES * sizeof(int))] = {0};
    struct iovec io = {&word, sizeof(word)};
    struct msghdr header = {.msg_iov = &io,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *part = CMSG_FIRSTHDR(&header);

    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(part), fds, count * sizeof(int));
    assert_int_equal(sendmsg(play->template_fd, &header, 0), sizeof(word));
}

static void give_files(struct play *play)
{
    const struct board *board = play->board;
    const int common[] = {board->board_fd, board->master_doorbell_fd,
                          board->error_log_fd};

    give(play, TEMPLATE_BOARD, 0, common, 3);
    for (uint32_t i = 0; i < WORKERS; i++) {
        int own[BOARD_WORKER_FILES];

        board_worker_files(board, i, own);
        give(play, TEMPLATE_FILES, i, own, BOARD_WORKER_FILES);
    }
}

static void tell(struct play *play, struct settings *settings,
                 enum template_op op)
{
    settings->op = op;
    assert_int_equal(
        send(play->template_fd, settings, settings_size(settings), 0),
        settings_size(settings));
}

/* What the configuration file set: nothing, there is none. */
static void hear_file(struct play *play, struct settings *settings)
{
    ssize_t n = recv(play->template_fd, settings, sizeof(*settings), 0);

    assert_true(n > 0);
    assert_int_equal(settings->op, TEMPLATE_FILE);
    assert_int_equal(settings_check(settings, (size_t)n), 0);
    assert_int_equal(settings->bytes, 0);
}

static void talk(struct play *play, const char *python, const char *apps,
                 const char *const *list)
{
    struct settings *settings = malloc(sizeof(*settings));
    char master[16];

    assert_non_null(settings);
    snprintf(master, sizeof(master), "%d", (int)getpid());
    settings_init(settings);
    assert_int_equal(settings_add(settings, "master", master), 0);
    assert_int_equal(settings_add(settings, "python", python), 0);
    assert_int_equal(settings_add(settings, "cwd", apps), 0);
    tell(play, settings, TEMPLATE_ASK);
    settings_init(settings);
    assert_int_equal(settings_add(settings, "chdir", apps), 0);
    for (; list && *list; list += 2)
        if (strcmp(list[0], "play_nodes") == 0)
            spread(play->board);
        else
            assert_int_equal(settings_add(settings, list[0], list[1]), 0);
    tell(play, settings, TEMPLATE_GO);
    /* A host that cannot even start says so instead. */
    if (recv(play->template_fd, settings, sizeof(*settings), MSG_PEEK) > 0 &&
        settings->op == TEMPLATE_FILE)
        hear_file(play, settings);
    free(settings);
}

void play_start(struct play *play, const char *host, const char *python,
                const char *apps, const char *const *settings)
{
    int pair[2];

    *play = (struct play){0};
    assert_return_code(prctl(PR_SET_CHILD_SUBREAPER, 1), errno);
    make_board(play);
    assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), errno);
    assert_return_code(fcntl(pair[0], F_SETFD, FD_CLOEXEC), errno);
    play->template_fd = pair[0];
    play->template_pid = spawn(host, apps, pair[1]);
    close(pair[1]);
    assert_int_equal(exchange_table_init(&play->table, play->board, 0), 0);
    give_files(play);
    talk(play, python, apps, settings);
}

static void close_worker(const struct board_worker *worker)
{
    const int fds[] = {
        worker->file_out_fd, worker->file_in_fd,    worker->doorbell_fd,
        worker->arena_fd,    worker->spool_file_fd, worker->spool_memory_fd,
    };

    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
}

static void close_descriptors(const struct play *play)
{
    const struct board *board = play->board;
    const int fds[] = {board->board_fd, board->error_log_fd, play->template_fd,
                       board->master_doorbell_fd};

    for (uint32_t i = 0; i < WORKERS; i++)
        close_worker(board_worker(board, i));

    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
}

static void kill_and_reap(pid_t pid)
{
    if (pid > 0 && kill(pid, SIGKILL) == 0)
        waitpid(pid, NULL, 0);
}

void play_stop(struct play *play)
{
    struct board *board = play->board;

    kill_and_reap(play->template_pid);
    for (uint32_t i = 0; i < board->interp_slots; i++)
        kill_and_reap(atomic_load(&board_interp(board, i)->pid));
    close_descriptors(play);
    exchange_table_done(&play->table);
    munmap(board, board->bytes);
}

struct template_message play_hear(struct play *play)
{
    struct template_message message;
    struct pollfd poller = {.fd = play->template_fd, .events = POLLIN};

    assert_int_equal(poll(&poller, 1, PLAY_SECONDS * 1000), 1);
    assert_int_equal(recv(play->template_fd, &message, sizeof(message), 0),
                     sizeof(message));
    return message;
}

void play_order(struct play *play, const struct template_message *order)
{
    assert_int_equal(send(play->template_fd, order, sizeof(*order), 0),
                     sizeof(*order));
}

struct board_interp *play_interp(struct play *play, uint32_t slot)
{
    struct template_message order = {
        .op = TEMPLATE_FORK, .slot = slot, .node = -1};
    struct board_interp *interp = board_interp(play->board, slot);
    uint64_t start = now_ns();

    atomic_store(&interp->pid, 0);
    atomic_store(&interp->state, BOARD_INTERP_STARTING);
    play_order(play, &order);
    while (atomic_load(&interp->pid) == 0) {
        assert_false(limit_passed(start));
        nanosleep(&tick, NULL);
    }
    assert_true(atomic_load(&interp->pid) > 0);
    return interp;
}

void play_await(struct play *play, uint32_t slot, enum board_interp_state state)
{
    struct board_interp *interp = board_interp(play->board, slot);
    uint64_t start = now_ns();

    while (atomic_load(&interp->state) != state) {
        if (limit_passed(start)) {
            char *log = play_log(play);

            fail_msg("state %u, not %u; log: %s", atomic_load(&interp->state),
                     state, log);
        }
        nanosleep(&tick, NULL);
    }
}

int play_wait(pid_t pid)
{
    uint64_t start = now_ns();
    int status = 0;
    pid_t got;

    /* It is on the board before it is our child: the one between lives. */
    while ((got = waitpid(pid, &status, WNOHANG)) <= 0) {
        assert_false(limit_passed(start));
        nanosleep(&tick, NULL);
    }
    assert_int_equal(got, pid);
    return status;
}

struct exchange *play_ask(struct play *play, const char *target)
{
    struct exchange *x = exchange_new(&play->table);
    struct http_limits limits = {4094, 100, 8190, 0};
    struct http_parser parser = {0};
    struct http_request request;
    struct http_field fields[8];
    uint64_t recheck_ns;
    char head[512];
    int len = snprintf(head, sizeof(head),
                       "GET %s HTTP/1.1\r\nHost: play\r\n\r\n", target);

    assert_non_null(x);
    assert_int_equal(http_parse(&parser, &limits,
                                (struct bytes){head, (size_t)len}, &request,
                                fields, ARRAY_SIZE(fields)),
                     len);
    memcpy(exchange_head_room(&play->table, x, (size_t)len), head, (size_t)len);
    memcpy(exchange_fields_room(&play->table, x, request.field_count), fields,
           request.field_count * sizeof(*fields));
    x->request = request;
    exchange_ready(&play->table, x);
    exchange_wake(&play->table, now_ns(), &recheck_ns);
    return x;
}

/* Appends what has been published; returns the new length. */
static size_t collect(struct play *play, struct exchange *x, char *to,
                      size_t len)
{
    struct exchange_part part;
    const char *bytes;

    while (exchange_part_next(&play->table, x, 0, &part, &bytes) > 0) {
        assert_int_equal(part.kind, EXCHANGE_PART_BYTES);
        assert_true(len + part.len < RESPONSE_MAX);
        memcpy(to + len, bytes, part.len);
        len += part.len;
        exchange_parts_sent(&play->table, x, 1);
    }
    return len;
}

char *play_answer(struct play *play, struct exchange *x)
{
    char *text = calloc(1, RESPONSE_MAX);
    uint64_t start = now_ns();
    uint64_t recheck_ns;
    size_t len = 0;

    for (;;) {
        len = collect(play, x, text, len);
        if (exchange_is_over(x))
            break;
        if (limit_passed(start))
            fail_msg("no answer; log: %s", play_log(play));
        exchange_wake(&play->table, now_ns(), &recheck_ns);
        nanosleep(&tick, NULL);
    }
    exchange_free(&play->table, x);
    return text;
}

char *play_get(struct play *play, const char *target)
{
    return play_answer(play, play_ask(play, target));
}

char *play_log(const struct play *play)
{
    int fd = play->board->error_log_fd;
    struct stat st;
    char *text;

    assert_return_code(fstat(fd, &st), errno);
    text = calloc(1, (size_t)st.st_size + 1);
    assert_int_equal(pread(fd, text, (size_t)st.st_size, 0), st.st_size);
    return text;
}

bool play_log_has(const struct play *play, const char *text)
{
    char *log = play_log(play);
    bool found = strstr(log, text) != NULL;

    free(log);
    return found;
}

void play_await_log(const struct play *play, const char *text)
{
    uint64_t start = now_ns();

    while (!play_log_has(play, text)) {
        if (limit_passed(start))
            fail_msg("no \"%s\" in the log: %s", text, play_log(play));
        nanosleep(&tick, NULL);
    }
}
