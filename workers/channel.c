/* SPDX-License-Identifier: MIT */
#include "channel.h"

#include "config_file.h"
#include "core/board.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define WORKERS_AT_ONCE (TEMPLATE_FILES_MAX / BOARD_WORKER_FILES)

static int say(int fd, const void *message, size_t size)
{
    if (send(fd, message, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return -errno;
    return 0;
}

static int say_settings(int fd, struct settings *settings, enum template_op op)
{
    settings->op = op;
    return say(fd, settings, settings_size(settings));
}

int channel_say(int fd, const struct template_message *word)
{
    return say(fd, word, sizeof(*word));
}

int channel_ask(const struct master *master, int fd)
{
    struct settings *ask = malloc(sizeof(*ask));
    int err = ask == NULL ? -ENOMEM
                          : config_file_ask(master->config, master->input,
                                            master->host.python, ask);

    if (err == 0)
        err = say_settings(fd, ask, TEMPLATE_ASK);
    free(ask);
    return err;
}

int channel_go(const struct master *master, int fd, const struct config *config)
{
    struct settings *go = malloc(sizeof(*go));
    int err = go == NULL ? -ENOMEM : config_pass(config, master->input, go);

    if (err == 0)
        err = say_settings(fd, go, TEMPLATE_GO);
    free(go);
    return err;
}

static int say_files(int fd, enum template_op op, uint32_t slot, const int *fds,
                     size_t count)
{
    struct template_message word = {.op = op, .slot = slot, .node = -1};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * TEMPLATE_FILES_MAX)];
    } control = {0};
    struct iovec io = {&word, sizeof(word)};
    struct msghdr header = {
        .msg_iov = &io,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = CMSG_SPACE(sizeof(int) * count),
    };
    struct cmsghdr *part = CMSG_FIRSTHDR(&header);

    must(count <= TEMPLATE_FILES_MAX);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(part), fds, sizeof(int) * count);
    if (sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return -errno;
    return 0;
}

int channel_files(const struct master *master, int fd)
{
    const struct board *board = master->board;
    int fds[TEMPLATE_FILES_MAX] = {board->board_fd, board->master_doorbell_fd,
                                   board->error_log_fd};
    int err = say_files(fd, TEMPLATE_BOARD, 0, fds, 3);

    for (uint32_t i = 0; i < board->worker_slots && err == 0;
         i += WORKERS_AT_ONCE) {
        size_t count = 0;

        for (uint32_t j = i; j < board->worker_slots && j < i + WORKERS_AT_ONCE;
             j++) {
            board_worker_files(board, j, fds + count);
            count += BOARD_WORKER_FILES;
        }
        err = say_files(fd, TEMPLATE_FILES, i, fds, count);
    }
    return err;
}

/* A template that talks nonsense is one that has died. */
int channel_hear(int fd, union channel_message *ret_message)
{
    ssize_t n = recv(fd, ret_message, sizeof(*ret_message), MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -EPIPE;
    if (n < (ssize_t)sizeof(ret_message->op))
        return -EPIPE;
    if (ret_message->op == TEMPLATE_FILE)
        return settings_check(&ret_message->settings, (size_t)n) == 0 ? 1
                                                                      : -EPIPE;
    return n == sizeof(ret_message->word) ? 1 : -EPIPE;
}
