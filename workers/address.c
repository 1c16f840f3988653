/* SPDX-License-Identifier: MIT */
#include "address.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static int number_parse(const char *text, unsigned long max,
                        unsigned long *ret_number)
{
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return -EINVAL;
    errno = 0;
    *ret_number = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || *ret_number > max)
        return -EINVAL;
    return 0;
}

static int port_parse(const char *text, struct address *address,
                      struct config_error *error)
{
    unsigned long port;

    if (number_parse(text, UINT16_MAX, &port) < 0)
        return config_fail(error, 1, "'%s' is not a valid port number", text);
    address->port = (uint16_t)port;
    return 0;
}

static int host_set(struct address *address, const char *from, size_t len,
                    struct config_error *error)
{
    if (len >= sizeof(address->host))
        return config_fail(error, 1, "address is too long: %s", from);
    memcpy(address->host, from, len);
    address->host[len] = '\0';
    return 0;
}

static int unix_parse(const char *path, struct address *address,
                      struct config_error *error)
{
    address->kind = ADDRESS_UNIX;
    if (path[0] == '\0')
        return config_fail(error, 1, "unix: needs the path of a socket");
    if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return config_fail(error, 1, "path of a Unix socket is too long: %s",
                           path);
    return host_set(address, path, strlen(path), error);
}

static int fd_parse(const char *text, struct address *address,
                    struct config_error *error)
{
    unsigned long fd;

    if (number_parse(text, INT_MAX, &fd) < 0)
        return config_fail(error, 1, "'%s' is not a valid file descriptor",
                           text);
    address->kind = ADDRESS_FD;
    address->fd = (int)fd;
    return 0;
}

static int tcp6_parse(const char *text, struct address *address,
                      struct config_error *error)
{
    const char *end = strchr(text, ']');

    address->kind = ADDRESS_TCP6;
    if (end == NULL || (end[1] != '\0' && end[1] != ':'))
        return config_fail(error, 1, "'%s' is not a valid address", text);
    if (end[1] == ':' && port_parse(end + 2, address, error) < 0)
        return -EINVAL;
    return host_set(address, text + 1, (size_t)(end - text - 1), error);
}

static int tcp4_parse(const char *text, struct address *address,
                      struct config_error *error)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : strlen(text);

    address->kind = ADDRESS_TCP4;
    if (colon != NULL && strchr(text, ':') != colon)
        return config_fail(error, 1,
                           "'%s' is not a valid address: write IPv6 as "
                           "[ADDRESS]:PORT",
                           text);
    if (colon != NULL && port_parse(colon + 1, address, error) < 0)
        return -EINVAL;
    if (len == 0)
        return host_set(address, "0.0.0.0", strlen("0.0.0.0"), error);
    return host_set(address, text, len, error);
}

static bool starts_with(const char **text, const char *prefix)
{
    size_t len = strlen(prefix);

    if (strncmp(*text, prefix, len) != 0)
        return false;
    *text += len;
    return true;
}

static int parse(const char *text, struct address *address,
                 struct config_error *error)
{
    address->uwsgi = starts_with(&text, "uwsgi://") ||
                     starts_with(&text, "uwsgi:");
    if (starts_with(&text, "unix://") || starts_with(&text, "unix:"))
        return unix_parse(text, address, error);
    if (starts_with(&text, "fd://"))
        return fd_parse(text, address, error);
    starts_with(&text, "tcp://");
    return text[0] == '[' ? tcp6_parse(text, address, error)
                          : tcp4_parse(text, address, error);
}

int address_parse(const char *text, struct address *ret_address,
                  struct config_error *error)
{
    struct address address = {.port = ADDRESS_PORT_DEFAULT, .fd = -1};
    int err = parse(text, &address, error);
    size_t n;

    if (err == 0) {
        *ret_address = address;
        return 0;
    }
    n = strlen(error->text);
    snprintf(error->text + n, sizeof(error->text) - n, " (--bind %s)", text);
    return err;
}
