/* SPDX-License-Identifier: MIT */
#include "listener.h"

#include "core/board.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Of the TCP header, which is what a socket's filter sees first. */
#define TCP_FLAGS_OFFSET 13
#define TCP_SYN 0x02
#define TCP_ACK 0x10

static int option_set(int fd, int option)
{
    int on = 1;

    return setsockopt(fd, SOL_SOCKET, option, &on, sizeof(on)) < 0 ? -errno : 0;
}

static int bind_failed(const struct listener *listener, int err,
                       struct config_error *error)
{
    char url[300];

    listener_url(listener, url, sizeof(url));
    if (err == -EADDRINUSE)
        return config_fail(error, 1,
                           "Address already in use: %s. Another server "
                           "listens there; stop it or choose another --bind.",
                           url);
    if (err == -EACCES && listener->address.kind != ADDRESS_UNIX)
        return config_fail(error, 1,
                           "Permission denied: %s. Ports below %d need root "
                           "or CAP_NET_BIND_SERVICE.",
                           url, 1024);
    return config_fail(error, 1, "Can't listen at %s: %s", url, strerror(-err));
}

/* Fills bound from the host, a numeric address or a name. */
static int host_resolve(struct listener *listener, struct config_error *error)
{
    const struct address *address = &listener->address;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found;
    char port[8];
    int err;

    hints.ai_family = address->kind == ADDRESS_TCP6 ? AF_INET6 : AF_INET;
    snprintf(port, sizeof(port), "%u", address->port);
    err = getaddrinfo(address->host, port, &hints, &found);
    if (err != 0)
        return config_fail(error, 1, "Invalid address: '%s': %s", address->host,
                           gai_strerror(err));
    memcpy(&listener->bound, found->ai_addr, found->ai_addrlen);
    listener->bound_len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

static bool port_fits(uint16_t wanted, uint16_t port)
{
    return wanted == 0 || wanted == port;
}

/* Is the socket bound to what the listener is meant for? */
static bool is_bound_to(int fd, const struct sockaddr_storage *wanted)
{
    struct sockaddr_storage bound = {0};
    socklen_t len = sizeof(bound);
    const struct sockaddr_in *a4 = (const struct sockaddr_in *)&bound;
    const struct sockaddr_in *b4 = (const struct sockaddr_in *)wanted;
    const struct sockaddr_in6 *a6 = (const struct sockaddr_in6 *)&bound;
    const struct sockaddr_in6 *b6 = (const struct sockaddr_in6 *)wanted;
    const struct sockaddr_un *a = (const struct sockaddr_un *)&bound;
    const struct sockaddr_un *b = (const struct sockaddr_un *)wanted;

    if (getsockname(fd, (struct sockaddr *)&bound, &len) < 0 ||
        bound.ss_family != wanted->ss_family)
        return false;
    if (bound.ss_family == AF_INET)
        return port_fits(b4->sin_port, a4->sin_port) &&
               a4->sin_addr.s_addr == b4->sin_addr.s_addr;
    if (bound.ss_family == AF_INET6)
        return port_fits(b6->sin6_port, a6->sin6_port) &&
               memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr)) ==
                   0;
    return strcmp(a->sun_path, b->sun_path) == 0;
}

/* Takes the sockets that another master had for this; how many there were. */
static uint32_t adopt(struct listener *listener,
                      const struct listener_options *options)
{
    for (uint32_t i = 0; i < options->inherited_count; i++) {
        int fd = options->inherited[i];

        if (fd < 0 || listener->adopted == listener->slots ||
            !is_bound_to(fd, &listener->bound))
            continue;
        options->inherited[i] = -1;
        listener->fds[listener->adopted++] = fd;
        listen(fd, options->backlog); /* as it is set now */
    }
    if (listener->adopted == 0)
        return 0;
    /* Port 0 was a number before. */
    listener->bound_len = sizeof(listener->bound);
    getsockname(listener->fds[0], (struct sockaddr *)&listener->bound,
                &listener->bound_len);
    return listener->adopted;
}

static int socket_bind(const struct listener *listener, int fd, int backlog)
{
    if (bind(fd, (const struct sockaddr *)&listener->bound,
             listener->bound_len) < 0)
        return -errno;
    /*
     * Only now: with SO_REUSEPORT the kernel would let us bind beside
     * another server of the same user, and take half of its connections.
     */
    if (option_set(fd, SO_REUSEPORT) < 0 || listen(fd, backlog) < 0)
        return -errno;
    return 0;
}

static int tcp_open(struct listener *listener,
                    const struct listener_options *options,
                    struct config_error *error)
{
    int err = host_resolve(listener, error);
    int fd;

    if (err < 0 || adopt(listener, options) > 0)
        return err;
    fd = socket(listener->bound.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return bind_failed(listener, -errno, error);
    listener->fds[0] = fd;
    err = option_set(fd, SO_REUSEADDR);
    if (err == 0 && options->beside)
        err = option_set(fd, SO_REUSEPORT);
    if (err == 0)
        err = socket_bind(listener, fd, options->backlog);
    if (err < 0)
        return bind_failed(listener, err, error);
    /* Port 0 has become a number that the other slots bind to. */
    listener->bound_len = sizeof(listener->bound);
    if (getsockname(fd, (struct sockaddr *)&listener->bound,
                    &listener->bound_len) < 0)
        return bind_failed(listener, -errno, error);
    return 0;
}

/* A socket file that nobody listens at is left from a crash. */
static int stale_remove(const struct sockaddr_un *name)
{
    struct stat st;
    int fd, err;

    if (lstat(name->sun_path, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -EEXIST;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    err = connect(fd, (const struct sockaddr *)name, sizeof(*name)) < 0 ? -errno
                                                                        : 0;
    close(fd);
    if (err == 0 || err == -EAGAIN)
        return -EADDRINUSE;
    return unlink(name->sun_path) < 0 ? -errno : 0;
}

static int unix_bind(struct listener *listener, const struct sockaddr_un *name,
                     const struct listener_options *options)
{
    mode_t old = umask(options->umask);
    int err = 0;

    if (bind(listener->fds[0], (const struct sockaddr *)name, sizeof(*name)) <
        0)
        err = -errno;
    umask(old);
    if (err < 0)
        return err;
    listener->unlinks = true;
    if (listen(listener->fds[0], options->backlog) < 0)
        return -errno;
    if ((options->owner.uid != geteuid() || options->owner.gid != getegid()) &&
        chown(name->sun_path, options->owner.uid, options->owner.gid) < 0)
        return -errno;
    return 0;
}

static int unix_open(struct listener *listener,
                     const struct listener_options *options,
                     struct config_error *error)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int err;

    memcpy(name.sun_path, listener->address.host,
           strlen(listener->address.host) + 1);
    memcpy(&listener->bound, &name, sizeof(name));
    listener->bound_len = sizeof(name);
    if (adopt(listener, options) > 0)
        return 0;
    err = stale_remove(&name);
    if (err == 0) {
        listener->fds[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        err = listener->fds[0] < 0 ? -errno
                                   : unix_bind(listener, &name, options);
    }
    return err < 0 ? bind_failed(listener, err, error) : 0;
}

static int fd_open(struct listener *listener,
                   const struct listener_options *options,
                   struct config_error *error)
{
    int fd = listener->address.fd;

    listener->bound_len = sizeof(listener->bound);
    if (getsockname(fd, (struct sockaddr *)&listener->bound,
                    &listener->bound_len) < 0 ||
        listen(fd, options->backlog) < 0)
        return bind_failed(listener, -errno, error);
    /* Interpreters and what they start must not hold it open. */
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return bind_failed(listener, -errno, error);
    listener->fds[0] = fd;
    for (uint32_t i = 0; i < options->inherited_count; i++) {
        if (options->inherited[i] == fd)
            options->inherited[i] = -1;
    }
    return 0;
}

int listener_open(struct listener *listener, const struct address *address,
                  const struct listener_options *options,
                  struct config_error *error)
{
    memset(listener, 0, sizeof(*listener));
    listener->address = *address;
    listener->trial = options->trial;
    listener->shared = address->kind == ADDRESS_UNIX ||
                       address->kind == ADDRESS_FD;
    listener->slots = listener->shared ? 1 : options->slots;
    listener->fds = calloc(listener->slots, sizeof(*listener->fds));
    if (listener->fds == NULL)
        return config_fail(error, 1, "out of memory");
    for (uint32_t i = 0; i < listener->slots; i++)
        listener->fds[i] = -1;
    switch (address->kind) {
    case ADDRESS_TCP4:
    case ADDRESS_TCP6:
        return tcp_open(listener, options, error);
    case ADDRESS_UNIX:
        return unix_open(listener, options, error);
    case ADDRESS_FD:
        return fd_open(listener, options, error);
    }
    return -EINVAL;
}

int listener_open_slot(struct listener *listener, uint32_t slot, int backlog)
{
    int err, fd;

    if (listener->shared || !listener_counts(listener) ||
        listener->fds[slot] >= 0)
        return 0;
    fd = socket(listener->bound.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    err = option_set(fd, SO_REUSEADDR);
    if (err == 0)
        err = option_set(fd, SO_REUSEPORT);
    if (err == 0)
        err = socket_bind(listener, fd, backlog);
    if (err < 0) {
        close(fd);
        return err;
    }
    listener->fds[slot] = fd;
    return 0;
}

bool listener_counts(const struct listener *listener)
{
    return listener->slots > 0 && !listener->trial && !listener->leaving;
}

int listener_fd(const struct listener *listener, uint32_t slot)
{
    if (listener->slots == 0)
        return -1;
    return listener->fds[listener->shared ? 0 : slot];
}

int listener_confine(struct listener *listener, uint32_t count)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                 (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM)),
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, count),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    struct sock_fprog program = {ARRAY_SIZE(code), code};

    if (listener->shared || !listener_counts(listener))
        return 0;
    /* Belongs to the whole group, whichever socket it is attached to. */
    if (setsockopt(listener->fds[0], SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF,
                   &program, sizeof(program)) < 0)
        return -errno;
    return 0;
}

void listener_unconfine(struct listener *listener)
{
    if (!listener->shared && listener_fd(listener, 0) >= 0)
        option_set(listener->fds[0], SO_DETACH_REUSEPORT_BPF);
}

void listener_refuse(const struct listener *listener)
{
    /* Drops SYN without ACK; the client's next try finds the port closed. */
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, TCP_FLAGS_OFFSET),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, TCP_SYN | TCP_ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TCP_SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    struct sock_fprog program = {ARRAY_SIZE(code), code};

    for (uint32_t i = 0; i < listener->slots && !listener->shared; i++) {
        if (listener->fds[i] >= 0)
            setsockopt(listener->fds[i], SOL_SOCKET, SO_ATTACH_FILTER, &program,
                       sizeof(program));
    }
}

void listener_admit(const struct listener *listener)
{
    for (uint32_t i = 0; i < listener->slots && !listener->shared; i++) {
        if (listener->fds[i] >= 0)
            option_set(listener->fds[i], SO_DETACH_FILTER);
    }
}

void listener_backlog(const struct listener *listener, int backlog)
{
    for (uint32_t i = 0; i < listener->slots; i++) {
        if (listener->fds[i] >= 0)
            listen(listener->fds[i], backlog);
    }
}

void listener_own(struct listener *listener, bool ours)
{
    listener->unlinks = ours && listener->address.kind == ADDRESS_UNIX;
}

static void slot_close(struct listener *listener, uint32_t slot)
{
    if (listener->fds[slot] >= 0)
        close(listener->fds[slot]);
    listener->fds[slot] = -1;
}

void listener_close_slot(struct listener *listener, uint32_t slot)
{
    if (!listener->shared && listener->slots > 0)
        slot_close(listener, slot);
}

void listener_close_others(struct listener *listener, uint32_t slot)
{
    bool all = !listener_counts(listener);

    for (uint32_t i = 0; i < listener->slots; i++) {
        if (all || (i != slot && !listener->shared))
            slot_close(listener, i);
    }
}

void listener_close(struct listener *listener)
{
    for (uint32_t i = 0; i < listener->slots && listener->fds != NULL; i++)
        slot_close(listener, i);
    if (listener->unlinks)
        unlink(listener->address.host);
    free(listener->fds);
    memset(listener, 0, sizeof(*listener));
}

static void host_format(const struct listener *listener, char *out, size_t size,
                        uint16_t *ret_port)
{
    const struct sockaddr_storage *bound = &listener->bound;
    const struct sockaddr_in *in4 = (const struct sockaddr_in *)bound;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)bound;
    const struct sockaddr_un *un = (const struct sockaddr_un *)bound;

    *ret_port = 0;
    if (bound->ss_family == AF_UNIX) {
        snprintf(out, size, "%s", un->sun_path);
    } else if (bound->ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &in6->sin6_addr, out, (socklen_t)size);
        *ret_port = ntohs(in6->sin6_port);
    } else if (bound->ss_family == AF_INET) {
        inet_ntop(AF_INET, &in4->sin_addr, out, (socklen_t)size);
        *ret_port = ntohs(in4->sin_port);
    } else {
        /* Not resolved or not bound: what the operator wrote. */
        snprintf(out, size, "%.*s", (int)size - 1, listener->address.host);
        *ret_port = listener->address.port;
    }
}

void listener_url(const struct listener *listener, char *out, size_t size)
{
    bool uwsgi = listener->address.uwsgi;
    const char *scheme = uwsgi ? "uwsgi" : "http";
    char host[256];
    uint16_t port;

    host_format(listener, host, sizeof(host), &port);
    if (listener->address.kind == ADDRESS_FD &&
        listener->bound.ss_family == AF_UNSPEC)
        snprintf(out, size, "fd://%d", listener->address.fd);
    else if (listener->address.kind == ADDRESS_UNIX ||
             listener->bound.ss_family == AF_UNIX)
        snprintf(out, size, "%sunix:%s", uwsgi ? "uwsgi:" : "", host);
    else if (strchr(host, ':') != NULL)
        snprintf(out, size, "%s://[%s]:%u", scheme, host, port);
    else
        snprintf(out, size, "%s://%s:%u", scheme, host, port);
}

void listener_describe(const struct listener *listener,
                       struct board_listener *ret_listener)
{
    memset(ret_listener, 0, sizeof(*ret_listener));
    ret_listener->family = listener->bound.ss_family;
    ret_listener->uwsgi = listener->address.uwsgi;
    host_format(listener, ret_listener->host, sizeof(ret_listener->host),
                &ret_listener->port);
}
