/* SPDX-License-Identifier: MIT */
/*
 * ws_out - a WebSocket's way out: what an interpreter wrote, notes with their
 * payload (see exchange_stream.h), becomes frames, compressed where that was
 * agreed and is worth it. Bytes in, bytes out; no I/O.
 */
#ifndef GCORN_CORE_WS_OUT_H
#define GCORN_CORE_WS_OUT_H

#include "exchange_stream.h"
#include "ws.h"
#include "ws_deflate.h"
#include "ws_offer.h"

/* Shorter messages are sent as they are. */
#define WS_COMPRESS_MIN 128
/* With less room ws_out_next() may not get on. */
#define WS_OUT_ROOM_MIN 256

/* All zero is the start; the caller sets what was agreed. */
struct ws_out {
    struct ws_agreed agreed;
    struct ws_deflater *deflater; /* kept between messages, or taken away */
    struct exchange_note note;
    uint32_t left;    /* payload of the note still to come */
    uint8_t have;     /* bytes of the note */
    uint8_t tail_len; /* compressed bytes held back: they may be the end */
    bool in_note;     /* its payload is being taken */
    bool in_message;  /* a frame of it was sent, and its last was not */
    bool compresses;  /* this message */
    bool is_cut;      /* a frame was begun and is not complete */
    uint8_t tail[4];
};

enum ws_out_kind {
    WS_OUT_MORE, /* bytes were taken, frames may have been written */
    WS_OUT_NOTE, /* out->note is no message; its payload comes next */
    WS_OUT_BAD,  /* nonsense */
};

/*
 * Takes bytes off `in` and writes frames, at most `room` bytes, and how many
 * to *ret_made. After WS_OUT_NOTE the caller takes note.len bytes of payload
 * and calls ws_out_noted().
 */
enum ws_out_kind ws_out_next(struct ws_zlib *zlib, struct ws_out *out,
                             struct bytes *in, char *to, size_t room,
                             size_t *ret_made);
void ws_out_noted(struct ws_out *out);

/* Control frames may be sent now. */
static inline bool ws_out_is_between(const struct ws_out *out)
{
    return !out->is_cut;
}

/* Payload of a note that is no message is to be taken. */
static inline bool ws_out_is_noting(const struct ws_out *out)
{
    return out->in_note && out->note.kind != WS_TEXT &&
           out->note.kind != WS_BINARY;
}

/* More can be written though nothing comes. */
static inline bool ws_out_is_pending(const struct ws_out *out)
{
    return out->in_note && out->left == 0;
}

/* It will not go on. */
void ws_out_drop(struct ws_zlib *zlib, struct ws_out *out);
#endif
