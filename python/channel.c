/* SPDX-License-Identifier: MIT */
#include "channel.h"

#include "core/board.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union message {
    uint32_t op;
    struct template_message order;
    struct settings settings;
};

struct files {
    int fd[TEMPLATE_FILES_MAX];
    size_t count;
};

static ssize_t hear(int fd, struct msghdr *header)
{
    PyThreadState *state = Py_IsInitialized() ? PyEval_SaveThread() : NULL;
    ssize_t n;

    do {
        n = recvmsg(fd, header, MSG_CMSG_CLOEXEC);
        if (n < 0)
            n = -errno;
    } while (n == -EINTR);
    if (state)
        PyEval_RestoreThread(state);
    return n;
}

/* Bytes of the message, 0 at the end, or -errno. */
static ssize_t hear_message(int fd, union message *message, struct files *files)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(files->fd))];
    } control;
    struct iovec io = {message, sizeof(*message)};
    struct msghdr header = {
        .msg_iov = &io,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    ssize_t n = hear(fd, &header);
    const struct cmsghdr *part = n > 0 ? CMSG_FIRSTHDR(&header) : NULL;

    files->count = 0;
    if (part && part->cmsg_type == SCM_RIGHTS) {
        size_t bytes = part->cmsg_len - CMSG_LEN(0);

        files->count = bytes / sizeof(int);
        memcpy(files->fd, CMSG_DATA(part), bytes);
    }
    return n;
}

/* One of the others that came lies where this one belongs: it moves. */
static int make_way(int number, int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fds[i] == number) {
            fds[i] = fcntl(number, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
            return fds[i] < 0 ? -errno : 0;
        }
    }
    /* The master's numbers are high: what is this? */
    return fcntl(number, F_GETFD) >= 0 ? -EBUSY : 0;
}

/* Each descriptor gets the number it has in the master. */
static int renumber(int *fds, const int *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int error;

        if (fds[i] == numbers[i])
            continue;
        error = make_way(numbers[i], fds + i + 1, count - i - 1);
        if (error)
            return error;
        if (dup3(fds[i], numbers[i], O_CLOEXEC) < 0)
            return -errno;
        close(fds[i]);
    }
    return 0;
}

static int take_board(struct host *host, struct files *files)
{
    int error = files->count == 3 ? board_map(&host->board, files->fd[0])
                                  : -EPROTO;
    int numbers[3];

    if (error)
        return error;
    numbers[0] = host->board->board_fd;
    numbers[1] = host->board->master_doorbell_fd;
    numbers[2] = host->board->error_log_fd;
    if (numbers[2] <= STDERR_FILENO)
        close(files->fd[2]); /* it is here already */
    error = renumber(files->fd, numbers, numbers[2] <= STDERR_FILENO ? 2 : 3);
    if (!error)
        log_open(host->board->error_log_fd, LOG_LEVEL_INFO);
    return error;
}

static int take_files(const struct host *host, uint32_t slot,
                      struct files *files)
{
    int numbers[TEMPLATE_FILES_MAX];

    if (!host->board || files->count > ARRAY_SIZE(numbers) ||
        files->count % BOARD_WORKER_FILES != 0)
        return -EPROTO;
    for (size_t i = 0; i < files->count; i += BOARD_WORKER_FILES) {
        if (slot >= host->board->worker_slots)
            return -EPROTO;
        board_worker_files(host->board, slot++, numbers + i);
    }
    return renumber(files->fd, numbers, files->count);
}

/* 1 when it was what is waited for. */
static int take(struct host *host, const union message *message, ssize_t size,
                struct files *files, enum template_op op)
{
    int error;

    if (size < (ssize_t)sizeof(message->op))
        return size == 0 ? -EPIPE : -EPROTO;
    if (message->op == TEMPLATE_BOARD)
        return take_board(host, files);
    if (message->op == TEMPLATE_FILES)
        return take_files(host, message->order.slot, files);
    if (message->op != op)
        return -EPROTO;
    error = settings_check(&message->settings, (size_t)size);
    if (error)
        return error;
    memcpy(&host->settings, message, (size_t)size);
    return 1;
}

int channel_settings(struct host *host, enum template_op op)
{
    union message *message = malloc(sizeof(*message));
    struct files files;
    int result = message ? 0 : -ENOMEM;

    while (result == 0) {
        ssize_t n = hear_message(host->channel_fd, message, &files);

        result = n < 0 ? (int)n : take(host, message, n, &files, op);
    }
    free(message);
    return result < 0 ? result : 0;
}

int channel_order(const struct host *host, struct template_message *order)
{
    struct iovec io = {order, sizeof(*order)};
    struct msghdr header = {.msg_iov = &io, .msg_iovlen = 1};
    ssize_t n = hear(host->channel_fd, &header);

    if (n <= 0)
        return (int)n;
    return n == sizeof(*order) ? 1 : -EPROTO;
}

static void say(const struct host *host, const void *message, size_t size)
{
    ssize_t n;

    do {
        n = send(host->channel_fd, message, size, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
}

void channel_tell(const struct host *host, enum template_op op, int code)
{
    struct template_message message = {
        .op = op, .slot = TEMPLATE_SLOT_NONE, .code = code, .node = -1};

    say(host, &message, sizeof(message));
}

void channel_tell_settings(const struct host *host, struct settings *settings,
                           enum template_op op)
{
    settings->op = op;
    say(host, settings, settings_size(settings));
}
