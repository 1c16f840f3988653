/* SPDX-License-Identifier: MIT */
/*
 * ws_deflate - the compression of WebSocket messages (RFC 7692) by zlib, in
 * memory that was decided at start.
 *
 * A worker has one struct ws_zlib. Inflaters are lent for a message: what has
 * to be remembered for the next one is the window, which is copied out and
 * touches as many pages as it has bytes. Deflaters stay with their WebSocket
 * as long as nobody else needs them: without its history a compressor only
 * compresses less, so taking one away is always allowed between messages.
 *
 * No I/O. Knows no frames: see ws.h and ws_out.h.
 */
#ifndef GCORN_CORE_WS_DEFLATE_H
#define GCORN_CORE_WS_DEFLATE_H

#include "bytes.h"
#include "pool.h"

#define WS_WINDOW_BYTES 32768

/* Room in each inflater for bytes that are to be inflated. */
#define WS_RAW_BYTES 8192

struct ws_inflater;
struct ws_deflater;

struct ws_window {
    char bytes[WS_WINDOW_BYTES];
};

/* All private. */
struct ws_zlib {
    struct pool inflaters;
    struct pool deflaters;
    struct pool windows;
    uint32_t hand; /* goes round the deflaters */
    struct ws_window scratch;
};

/* Room for the windows of so many WebSockets. 0 or -errno. */
int ws_zlib_init(struct ws_zlib *zlib, uint32_t sockets);
void ws_zlib_done(struct ws_zlib *zlib);

/* NULL: the client has to forget its history after each message. */
struct ws_window *ws_window_get(struct ws_zlib *zlib);
void ws_window_put(struct ws_zlib *zlib, struct ws_window *window);

/* For one message, with the `len` bytes that came last. NULL: all are lent. */
struct ws_inflater *ws_inflate_begin(struct ws_zlib *zlib,
                                     const struct ws_window *window,
                                     uint32_t len);

char *ws_inflate_raw(struct ws_inflater *inflater);

/*
 * Inflates what fits; takes its bytes off `in`. Returns how much it wrote, or
 * -code to close with. It wants to be called again, even with an empty `in`,
 * as long as it fills the room.
 */
int64_t ws_inflate(struct ws_inflater *inflater, struct bytes *in, char *to,
                   size_t room);

/*
 * Gives it back. With a window, at most `most` bytes of what came last go
 * there. Returns how many.
 */
uint32_t ws_inflate_end(struct ws_zlib *zlib, struct ws_inflater *inflater,
                        struct ws_window *window, uint32_t most);

/* The message's data ended where it may: after the "00 00 ff ff". */
bool ws_inflate_is_whole(const struct ws_inflater *inflater);

/*
 * Begins a message: *deflater is kept from the last one, or NULL, and becomes
 * NULL whenever it is taken away. False: all are in the middle of a message.
 */
bool ws_deflate_begin(struct ws_zlib *zlib, struct ws_deflater **deflater,
                      uint8_t bits);

/*
 * Compresses. With `flush` all of it comes out, ending with "00 00 ff ff",
 * once less was written than the room has. Returns how much was written.
 */
size_t ws_deflate(struct ws_deflater *deflater, struct bytes *in, char *to,
                  size_t room, bool flush);

/* The message is over; its history is kept unless told to forget it. */
void ws_deflate_end(struct ws_zlib *zlib, struct ws_deflater **deflater,
                    bool forget);
/* Given up, maybe in the middle of a message. */
void ws_deflate_drop(struct ws_zlib *zlib, struct ws_deflater **deflater);
#endif
