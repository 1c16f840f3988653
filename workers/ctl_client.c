/* SPDX-License-Identifier: MIT */
#include "ctl_client.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MAX (16U << 20)

int ctl_connect(struct ctl_client *client, const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    *client = (struct ctl_client){.fd = -1};
    if (strlen(path) >= sizeof(name.sun_path))
        return -ENAMETOOLONG;
    memcpy(name.sun_path, path, strlen(path) + 1);
    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        return -errno;
    if (connect(client->fd, (const struct sockaddr *)&name, sizeof(name)) < 0)
        return -errno;
    return 0;
}

void ctl_close(struct ctl_client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
}

static int write_all(int fd, const char *at, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

static int read_all(int fd, char *at, size_t len)
{
    while (len > 0) {
        ssize_t n = recv(fd, at, len, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ECONNRESET;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

static int send_json(int fd, const json_t *message)
{
    char *text = json_dumps(message, JSON_COMPACT);
    uint32_t len = text != NULL ? htonl((uint32_t)strlen(text)) : 0;
    int err = text != NULL ? write_all(fd, (char *)&len, sizeof(len)) : -ENOMEM;

    if (err == 0)
        err = write_all(fd, text, strlen(text));
    free(text);
    return err;
}

static int receive_json(int fd, json_t **ret_message)
{
    char *text = NULL;
    uint32_t len;
    int err = read_all(fd, (char *)&len, sizeof(len));

    len = err == 0 ? ntohl(len) : 0;
    if (err == 0 && len > ANSWER_MAX)
        err = -EBADMSG;
    if (err == 0 && (text = malloc(len + 1)) == NULL)
        err = -ENOMEM;
    if (err == 0)
        err = read_all(fd, text, len);
    if (err == 0 && (*ret_message = json_loadb(text, len, 0, NULL)) == NULL)
        err = -EBADMSG;
    free(text);
    return err;
}

json_t *ctl_ask(struct ctl_client *client, const char *command, char **ret_why)
{
    json_t *request = json_pack("{s:I, s:s, s:[]}", "id",
                                (json_int_t)++client->id, "command", command,
                                "args");
    json_t *answer = NULL;
    json_t *data;
    int err = request != NULL ? send_json(client->fd, request) : -EILSEQ;

    json_decref(request);
    if (err == 0)
        err = receive_json(client->fd, &answer);
    if (err < 0) {
        *ret_why = strdup(err == -ECONNRESET ? "the server closed the "
                                               "connection"
                                             : strerror(-err));
        return NULL;
    }
    data = json_incref(json_object_get(answer, "data"));
    if (data == NULL) {
        const char *why = json_string_value(json_object_get(answer, "error"));

        *ret_why = strdup(why != NULL ? why : "no answer that makes sense");
    }
    json_decref(answer);
    return data;
}
