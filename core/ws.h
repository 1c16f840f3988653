/* SPDX-License-Identifier: MIT */
/*
 * ws - the WebSocket protocol (RFC 6455) as bytes in, structs out: frames of
 * a client, heads of frames to a client, the handshake's answer. No I/O, no
 * allocation; what it finds wrong is a close code.
 */
#ifndef GCORN_CORE_WS_H
#define GCORN_CORE_WS_H

#include "base.h"
#include "bytes.h"

enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10,
};

#define WS_NORMAL 1000
#define WS_PROTOCOL_ERROR 1002
#define WS_NO_STATUS 1005
#define WS_ABNORMAL 1006
#define WS_INVALID_DATA 1007
#define WS_TOO_BIG 1009
#define WS_INTERNAL_ERROR 1011
#define WS_RESTART 1012
#define WS_TRY_AGAIN 1013

#define WS_CONTROL_MAX 125
#define WS_HEAD_MAX 10 /* of a frame from us */

/* A client's frames so far. All zero is the start. */
struct ws_parser {
    uint64_t max_bytes; /* of a message; 0: no limit. Set by the caller */
    uint64_t left;      /* payload of the frame still to come */
    uint64_t message;   /* bytes of the message so far */
    uint32_t utf8;      /* state of a text message */
    uint8_t head[14];   /* of the frame, as far as it has come */
    uint8_t have;       /* bytes of head */
    uint8_t in_frame;   /* the head is complete */
    uint8_t opcode;     /* of the message, also in its continuations */
    uint8_t phase;      /* of the mask */
    uint8_t deflate;    /* messages may be compressed. Set by the caller */
    uint8_t compressed; /* this one is */
    uint8_t control_len;
    uint8_t control[WS_CONTROL_MAX];
};

enum ws_event_kind {
    WS_EVENT_NONE,    /* more bytes are needed */
    WS_EVENT_DATA,    /* part of a message */
    WS_EVENT_CONTROL, /* a whole control frame, in parser->control */
};

struct ws_event {
    enum ws_event_kind kind;
    enum ws_opcode opcode; /* TEXT or BINARY; CLOSE, PING or PONG */
    size_t bytes;          /* of payload that were written to `to` */
    bool last;             /* the message is complete */
    bool compressed;       /* it is: text was not checked, nor its size */
    uint16_t code;         /* CLOSE: WS_NO_STATUS when none was sent */
};

/*
 * Takes a piece of what the client sent. Payload is unmasked into `to`, at
 * most `room` bytes of it. Returns how many bytes of the piece were used (all
 * of them with WS_EVENT_NONE, unless the room is 0), or -code to close with.
 */
int ws_next(struct ws_parser *parser, struct bytes piece, char *to, size_t room,
            struct ws_event *ret_event);

/* The head of a frame to the client. Returns its length. */
size_t ws_head(char head[WS_HEAD_MAX], enum ws_opcode opcode, uint64_t len);

/* A code that may be sent in a close frame. */
bool ws_code_is_valid(uint32_t code);

/* Goes on with UTF-8; 0 is the start and the end, UINT32_MAX an error. */
uint32_t ws_utf8(uint32_t state, const char *text, size_t len);

/* 24 characters of base64 that stand for 16 bytes. */
bool ws_key_is_valid(struct bytes key);

#define WS_ACCEPT_LEN 28
/* Sec-WebSocket-Accept for a key; no NUL. */
void ws_accept(struct bytes key, char accept[WS_ACCEPT_LEN]);
#endif
