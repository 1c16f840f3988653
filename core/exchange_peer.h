/* SPDX-License-Identifier: MIT */
/*
 * exchange_peer - who is at the other end of a request, in text. Plain data that
 * may lie in shared memory.
 */
#ifndef GCORN_CORE_EXCHANGE_PEER_H
#define GCORN_CORE_EXCHANGE_PEER_H

#include "base.h"

struct exchange_peer {
    uint16_t port;
    uint16_t listener; /* index in board->listener */
    uint8_t family;    /* AF_INET, AF_INET6, AF_UNIX */
    uint8_t addr_len;
    char addr[46];    /* numeric text, not terminated */
    uint8_t portless; /* a proxy knew the address, but not the port */
};
#endif
