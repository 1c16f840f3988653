/* SPDX-License-Identifier: MIT */
/*
 * address - what --bind says, as data. Pure: resolves and opens nothing.
 */
#ifndef GCORN_WORKERS_ADDRESS_H
#define GCORN_WORKERS_ADDRESS_H

#include "workers/config.h"

#define ADDRESS_PORT_DEFAULT 8000

enum address_kind {
    ADDRESS_TCP4, /* host may be a name */
    ADDRESS_TCP6,
    ADDRESS_UNIX,
    ADDRESS_FD,
};

struct address {
    enum address_kind kind;
    uint16_t port;
    int fd;
    bool uwsgi;     /* speaks uwsgi, not HTTP */
    char host[256]; /* or the path */
};

/*
 * HOST, HOST:PORT, :PORT, [IPV6]:PORT, tcp://..., unix:PATH, unix://PATH,
 * fd://N; each also with uwsgi: in front, and uwsgi://HOST:PORT. Returns 0, or -EINVAL with the message in error.
 */
int address_parse(const char *text, struct address *ret_address,
                  struct config_error *error);
#endif
