/* SPDX-License-Identifier: MIT */
/*
 * file_send - puts bytes of a file on a socket without copying them, as far as
 * this needs no waiting: neither for the peer, nor for the disk.
 *
 * The ring has no such operation (see conn_static.c), so this is a call of its
 * own, between the events of a connection that has no send in flight. How to go
 * on when it stops: read a little and send that through the ring, whose event
 * comes when the socket has room again; then call this again.
 */
#ifndef GCORN_CORE_FILE_SEND_H
#define GCORN_CORE_FILE_SEND_H

#include "base.h"

/* Less is copied: it costs no more. */
#define FILE_SEND_MIN (64U << 10)
/* One call sends at most this, so that others get their turn. */
#define FILE_SEND_MAX (512U << 10)
/* What to send through the ring to learn that there is room. */
#define FILE_SEND_PROBE (16U << 10)

/*
 * Returns how many bytes are on their way; 0 when it cannot be done here, for
 * whatever reason: a broken connection is told by the next send.
 */
uint64_t file_send_now(int socket_fd, int file_fd, uint64_t off, uint64_t len);
#endif
