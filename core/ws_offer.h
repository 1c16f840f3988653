/* SPDX-License-Identifier: MIT */
/*
 * ws_offer - what a WebSocket's two sides agree about permessage-deflate
 * (RFC 7692 7.1): from the client's offers to what is answered. Pure.
 */
#ifndef GCORN_CORE_WS_OFFER_H
#define GCORN_CORE_WS_OFFER_H

#include "base.h"
#include "bytes.h"

/* Ours never has a larger window: 4 KiB of history do for messages, and what
 * we ask of the client is no more. zlib knows none of 8 bits. */
#define WS_BITS_MIN 9
#define WS_BITS_OURS 12
#define WS_BITS_MAX 15

struct ws_agreed {
    bool deflate;
    bool server_forgets; /* server_no_context_takeover */
    bool client_forgets;
    uint8_t server_bits;
    uint8_t client_bits; /* 8 to 15 */
    bool client_limited; /* it said that it can keep to what we answer */
};

/*
 * Takes the first acceptable offer of one Sec-WebSocket-Extensions field.
 * False when there is none: offers with unknown, repeated or invalid
 * parameters, or with a window that zlib cannot have, are declined.
 */
bool ws_offer_choose(struct bytes value, struct ws_agreed *ret_agreed);

#define WS_ANSWER_MAX 160
/* The answer to it, without a name and CRLF. Returns its length. */
size_t ws_offer_answer(const struct ws_agreed *agreed, char to[WS_ANSWER_MAX]);
#endif
