/* SPDX-License-Identifier: MIT */
#include "ws_out.h"

#include "ws.h"

#define FIN 0x80
#define COMPRESSED 0x40
#define TAIL 4     /* "00 00 ff ff" is left out of a message */
#define HEAD_MAX 4 /* of a compressed frame: it is short */
/* Compressed in one go: a millisecond of a worker's time, about. */
#define SLICE_BYTES (64U << 10)
#define FRAME_MAX 0xffffU

static bool is_data(const struct ws_out *out)
{
    return out->note.kind == WS_TEXT || out->note.kind == WS_BINARY;
}

static uint8_t first_byte(const struct ws_out *out, bool last)
{
    uint8_t first = last ? FIN : 0;

    if (!out->in_message)
        first |= (uint8_t)(out->note.kind | (out->compresses ? COMPRESSED : 0));
    return first;
}

static void end_note(struct ws_out *out)
{
    out->in_note = false;
    out->have = 0;
}

static void end_message(struct ws_zlib *zlib, struct ws_out *out)
{
    if (out->compresses)
        ws_deflate_end(zlib, &out->deflater, out->agreed.server_forgets);
    out->in_message = out->compresses = false;
}

static void take_note(struct ws_out *out, struct bytes *in)
{
    size_t n = min_u64(sizeof(out->note) - out->have, in->n);

    memcpy((char *)&out->note + out->have, in->p, n);
    out->have = (uint8_t)(out->have + n);
    in->p += n;
    in->n -= n;
}

static void begin_message(struct ws_zlib *zlib, struct ws_out *out)
{
    if (out->in_message || out->compresses || !out->agreed.deflate ||
        (out->note.last && out->note.len < WS_COMPRESS_MIN))
        return;
    out->compresses = ws_deflate_begin(zlib, &out->deflater,
                                       out->agreed.server_bits);
    out->tail_len = 0;
}

static size_t put_head(struct ws_out *out, char *to)
{
    size_t n = ws_head(to, WS_CONTINUATION, out->note.len);

    to[0] = (char)first_byte(out, out->note.last);
    out->in_message = true;
    out->is_cut = out->left > 0;
    return n;
}

/* As it is: each note is a frame. */
static size_t copy(struct ws_zlib *zlib, struct ws_out *out, struct bytes *in,
                   char *to, size_t room)
{
    size_t made = out->left == out->note.len && !out->is_cut ? put_head(out, to)
                                                             : 0;
    size_t n = min_u64(min_u64(in->n, out->left), room - made);

    memcpy(to + made, in->p, n);
    in->p += n;
    in->n -= n;
    out->left -= (uint32_t)n;
    if (out->left == 0) {
        out->is_cut = false;
        end_note(out);
        if (out->note.last)
            end_message(zlib, out);
    }
    return made + n;
}

/* The payload is at to + HEAD_MAX, and moves when the head is shorter. */
static size_t frame(struct ws_out *out, char *to, size_t len, bool last)
{
    char head[WS_HEAD_MAX];
    size_t n = ws_head(head, WS_CONTINUATION, len);

    head[0] = (char)first_byte(out, last);
    if (n < HEAD_MAX)
        memmove(to + n, to + HEAD_MAX, len);
    memcpy(to, head, n);
    out->in_message = true;
    return n + len;
}

/*
 * What comes out becomes one frame, but for the last bytes: of the message's
 * end they are left out, elsewhere they are the next frame's first.
 */
static size_t compress(struct ws_zlib *zlib, struct ws_out *out,
                       struct bytes *in, char *to, size_t room)
{
    char *at = to + HEAD_MAX;
    size_t most = min_u64(room - HEAD_MAX, FRAME_MAX);
    struct bytes piece = {in->p,
                          min_u64(min_u64(in->n, out->left), SLICE_BYTES)};
    size_t asked = piece.n;
    bool ends = piece.n == out->left && out->note.last;
    size_t made = out->tail_len;

    memcpy(at, out->tail, made);
    made += ws_deflate(out->deflater, &piece, at + made, most - made, ends);
    in->p += asked - piece.n;
    in->n -= asked - piece.n;
    out->left -= (uint32_t)(asked - piece.n);
    out->tail_len = (uint8_t)min_u64(made, TAIL);
    made -= out->tail_len;
    memcpy(out->tail, at + made, out->tail_len);
    ends = ends && piece.n == 0 && made + TAIL < most;
    if (out->left == 0 && (ends || !out->note.last))
        end_note(out);
    if (made == 0)
        return 0;
    made = frame(out, to, made, ends);
    if (ends)
        end_message(zlib, out);
    return made;
}

enum ws_out_kind ws_out_next(struct ws_zlib *zlib, struct ws_out *out,
                             struct bytes *in, char *to, size_t room,
                             size_t *ret_made)
{
    must(room >= WS_OUT_ROOM_MIN);
    *ret_made = 0;
    if (!out->in_note) {
        take_note(out, in);
        if (out->have < sizeof(out->note))
            return WS_OUT_MORE;
        out->in_note = true;
        out->left = out->note.len;
        if (!is_data(out))
            return out->note.len <= ARENA_CHUNK_BYTES * 4 ? WS_OUT_NOTE
                                                          : WS_OUT_BAD;
        begin_message(zlib, out);
    }
    *ret_made = out->compresses ? compress(zlib, out, in, to, room)
                                : copy(zlib, out, in, to, room);
    return WS_OUT_MORE;
}

void ws_out_noted(struct ws_out *out)
{
    end_note(out);
}

void ws_out_drop(struct ws_zlib *zlib, struct ws_out *out)
{
    ws_deflate_drop(zlib, &out->deflater);
}
