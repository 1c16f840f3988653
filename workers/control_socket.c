/* SPDX-License-Identifier: MIT */
#include "control_socket.h"

#include "core/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 16
#define LOOK_NS (NS_PER_S)

/* Somebody answers there. */
static bool is_live(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool live;

    memcpy(name.sun_path, path, strlen(path) + 1);
    live = fd >= 0 &&
           (connect(fd, (const struct sockaddr *)&name, sizeof(name)) == 0 ||
            errno == EAGAIN);
    if (fd >= 0)
        close(fd);
    return live;
}

/* gunicorn.ctl -> gunicorn-123.ctl */
static int beside(const char *wanted, char out[CONTROL_PATH_MAX])
{
    const char *name = strrchr(wanted, '/') + 1;
    const char *dot = strrchr(name, '.');
    int stem = (int)((dot != NULL ? dot : wanted + strlen(wanted)) - wanted);
    int n = snprintf(out, CONTROL_PATH_MAX, "%.*s-%d%s", stem, wanted,
                     (int)getpid(), dot != NULL ? dot : "");

    return n < CONTROL_PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int listen_at(struct control_socket *control, const char *path,
                     uint64_t mode, struct config_error *error)
{
    struct listener_options options = {
        .slots = 1,
        .backlog = BACKLOG,
        .umask = (mode_t)(~mode & 0777),
        .owner = {geteuid(), getegid()},
    };
    struct address address = {.kind = ADDRESS_UNIX};

    snprintf(address.host, sizeof(address.host), "%s", path);
    return listener_open(&control->listener, &address, &options, error);
}

/* With the directory locked: two that start together both see a stale file,
 * and the second would remove what the first has just made. */
static int open_locked(struct control_socket *control,
                       const struct config *config, struct config_error *error)
{
    char path[CONTROL_PATH_MAX];

    memcpy(path, control->wanted, sizeof(path));
    if (is_live(path)) {
        if (beside(control->wanted, path) < 0)
            return config_fail(error, 1, "%s is another server's",
                               control->wanted);
        control->look_ns = LOOK_NS;
    }
    return listen_at(control, path, config->control_socket_mode, error);
}

int control_socket_open(struct control_socket *control,
                        const struct config *config, struct config_error *error)
{
    bool given = config->source[CONFIG_AT_control_socket] !=
                 CONFIG_FROM_DEFAULT;
    char directory[CONTROL_PATH_MAX];
    int fd, err;

    if (control_path_find(given ? config->control_socket : "",
                          control->wanted) < 0)
        return config_fail(error, 1,
                           "The path of the control socket is too "
                           "long: give a shorter one with "
                           "--control-socket");
    control_path_directory(control->wanted, directory);
    mkdir(directory, 0700);
    fd = open(directory[0] != '\0' ? directory : "/",
              O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return config_fail(error, 1, "%s: %s", directory, strerror(errno));
    flock(fd, LOCK_EX);
    err = open_locked(control, config, error);
    close(fd);
    return err;
}

void control_socket_settle(struct control_socket *control, uint64_t now)
{
    struct address *mine = &control->listener.address;

    if (control->look_ns == 0 || now < control->look_ns)
        return;
    control->look_ns = now + LOOK_NS;
    /* A second name of the same socket; never in place of another's. */
    if (access(control->wanted, F_OK) == 0 ||
        link(mine->host, control->wanted) < 0)
        return;
    unlink(mine->host);
    snprintf(mine->host, sizeof(mine->host), "%s", control->wanted);
    control->look_ns = 0;
    log_info("Control socket listening at %s", mine->host);
}

void control_socket_close(struct control_socket *control)
{
    listener_close(&control->listener);
}
