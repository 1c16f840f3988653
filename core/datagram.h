/* SPDX-License-Identifier: MIT */
/*
 * datagram - where to send messages that may get lost: udp://HOST:PORT or
 * unix://PATH. Sending never waits. The descriptor is shared by all processes
 * that were forked; each has its own struct.
 */
#ifndef GCORN_CORE_DATAGRAM_H
#define GCORN_CORE_DATAGRAM_H

#include "base.h"
#include "bytes.h"

#include <sys/socket.h>

struct datagram {
    int fd; /* -1: closed */
    struct sockaddr_storage to;
    socklen_t to_len;
    uint64_t retry_ns; /* not connected again before */
};

/*
 * "HOST[:PORT]", "[IPV6][:PORT]" or "unix://PATH", also with "udp://" in
 * front. Asks the name service. Returns 0, -EINVAL for what is no such
 * address, or -ENOENT for a host that is not known.
 */
int datagram_parse(struct datagram *to, const char *text, uint16_t port);

/* Opens the socket; that nobody listens yet is no error. 0 or -errno. */
int datagram_open(struct datagram *to);

/* One message. Lost when nobody listens or there is no room. */
void datagram_send(struct datagram *to, struct bytes message);
#endif
