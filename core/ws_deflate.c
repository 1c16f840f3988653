/* SPDX-License-Identifier: MIT */
#include "ws_deflate.h"

#include "ws.h"
#include "ws_offer.h"

#include <zlib.h>

/* An inflater holds a message that is still arriving. */
#define INFLATERS_MAX 4096
#define DEFLATERS_MAX 256
#define WINDOWS_MAX 65536

/* What zlib takes: 40 KiB and 39 KiB in version 1.2.13, more in others. */
#define INFLATE_BYTES (64U << 10)
#define DEFLATE_BYTES (96U << 10)

/* JSON and HTML of 4 to 16 KiB: 5 to 11 % more bytes than the default level
 * makes, and a third less CPU. */
#define LEVEL 3
#define MEMORY_LEVEL 5

/* zlib asks for its memory piece by piece, and gives it back all at once. */
struct region {
    char *memory;
    size_t size;
    size_t used;
};

struct ws_inflater {
    z_stream stream;
    struct region region;
    char raw[WS_RAW_BYTES];
    char memory[INFLATE_BYTES];
};

struct ws_deflater {
    z_stream stream;
    struct region region;
    struct ws_deflater **owner; /* who has it, and is told when it goes */
    uint8_t bits;               /* 0: the stream was never begun */
    bool busy;                  /* in the middle of a message */
    bool recent;                /* used since the hand last passed */
    char memory[DEFLATE_BYTES];
};

static voidpf region_get(voidpf opaque, uInt items, uInt size)
{
    struct region *region = opaque;
    size_t n = ((size_t)items * size + 63) / 64 * 64;
    char *at = region->memory + region->used;

    if (n > region->size - region->used)
        return NULL;
    region->used += n;
    return at;
}

static void region_put(voidpf opaque, voidpf at)
{
    (void)opaque;
    (void)at;
}

static void stream_init(z_stream *stream, struct region *region, char *memory,
                        size_t size)
{
    size_t skip = (64 - (uintptr_t)memory % 64) % 64;

    *region = (struct region){memory + skip, size - skip, 0};
    *stream =
        (z_stream){.zalloc = region_get, .zfree = region_put, .opaque = region};
}

int ws_zlib_init(struct ws_zlib *zlib, uint32_t sockets)
{
    uint32_t inflaters = (uint32_t)min_u64(sockets, INFLATERS_MAX);
    uint32_t windows = (uint32_t)min_u64(sockets, WINDOWS_MAX);
    int error = pool_init(&zlib->inflaters, inflaters,
                          sizeof(struct ws_inflater));

    if (!error)
        error = pool_init(&zlib->deflaters, DEFLATERS_MAX,
                          sizeof(struct ws_deflater));
    if (!error)
        error = pool_init(&zlib->windows, windows, sizeof(struct ws_window));
    return error;
}

void ws_zlib_done(struct ws_zlib *zlib)
{
    pool_done(&zlib->inflaters);
    pool_done(&zlib->deflaters);
    pool_done(&zlib->windows);
}

struct ws_window *ws_window_get(struct ws_zlib *zlib)
{
    return pool_get(&zlib->windows);
}

void ws_window_put(struct ws_zlib *zlib, struct ws_window *window)
{
    pool_put(&zlib->windows, window);
}

struct ws_inflater *ws_inflate_begin(struct ws_zlib *zlib,
                                     const struct ws_window *window,
                                     uint32_t len)
{
    struct ws_inflater *inflater = pool_get(&zlib->inflaters);

    if (!inflater)
        return NULL;
    stream_init(&inflater->stream, &inflater->region, inflater->memory,
                sizeof(inflater->memory));
    if (inflateInit2(&inflater->stream, -WS_BITS_MAX) != Z_OK ||
        (len > 0 &&
         inflateSetDictionary(&inflater->stream, (const Bytef *)window->bytes,
                              len) != Z_OK)) {
        pool_put(&zlib->inflaters, inflater);
        return NULL;
    }
    return inflater;
}

char *ws_inflate_raw(struct ws_inflater *inflater)
{
    return inflater->raw;
}

bool ws_inflate_is_whole(const struct ws_inflater *inflater)
{
    /* "between two blocks", and no bits of a byte left over: see zlib.h */
    return (inflater->stream.data_type & 0x9f) == 0x80;
}

int64_t ws_inflate(struct ws_inflater *inflater, struct bytes *in, char *to,
                   size_t room)
{
    z_stream *z = &inflater->stream;
    int rc = Z_OK;

    /* Asked without input it would forget that it is between two blocks. */
    if (in->n == 0 && ws_inflate_is_whole(inflater))
        return 0;
    z->next_in = (Bytef *)(uintptr_t)in->p;
    z->avail_in = (uInt)in->n;
    z->next_out = (Bytef *)to;
    z->avail_out = (uInt)room;
    while (rc == Z_OK && z->avail_out > 0) {
        rc = inflate(z, Z_SYNC_FLUSH);
        if (z->avail_in == 0 && z->avail_out > 0)
            break;
        /* A last block is no end (RFC 7692 7.2.3.4); the window stays. */
        if (rc == Z_STREAM_END)
            rc = inflateResetKeep(z);
    }
    in->p += in->n - z->avail_in;
    in->n = z->avail_in;
    switch (rc) {
    case Z_OK:
    case Z_BUF_ERROR: /* it has used up all */
    case Z_STREAM_END:
        return (int64_t)(room - z->avail_out);
    case Z_MEM_ERROR:
        return -WS_INTERNAL_ERROR;
    }
    return -WS_INVALID_DATA;
}

uint32_t ws_inflate_end(struct ws_zlib *zlib, struct ws_inflater *inflater,
                        struct ws_window *window, uint32_t most)
{
    const char *from = zlib->scratch.bytes;
    uInt have = 0;
    uint32_t len;

    if (window)
        inflateGetDictionary(&inflater->stream, (Bytef *)zlib->scratch.bytes,
                             &have);
    pool_put(&zlib->inflaters, inflater);
    len = (uint32_t)min_u64(have, min_u64(most, WS_WINDOW_BYTES));
    if (len > 0)
        memcpy(window->bytes, from + have - len, len);
    return len;
}

static bool restart(struct ws_deflater *deflater, uint8_t bits)
{
    z_stream *z = &deflater->stream;

    if (deflater->bits == bits)
        return deflateReset(z) == Z_OK;
    deflater->bits = 0;
    stream_init(z, &deflater->region, deflater->memory,
                sizeof(deflater->memory));
    if (deflateInit2(z, LEVEL, Z_DEFLATED, -bits, MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    deflater->bits = bits;
    return true;
}

/* The clock: one that was not used since the hand last passed. */
static struct ws_deflater *take_away(struct ws_zlib *zlib)
{
    uint32_t slots = pool_slots(&zlib->deflaters);
    uint32_t i;

    for (i = 0; i < 2 * slots; i++) {
        struct ws_deflater *victim = pool_at(&zlib->deflaters,
                                             zlib->hand++ % slots);

        if (!victim || victim->busy)
            continue;
        if (!victim->recent)
            return victim;
        victim->recent = false;
    }
    return NULL;
}

static struct ws_deflater *find(struct ws_zlib *zlib)
{
    struct ws_deflater *deflater = pool_get(&zlib->deflaters);

    if (deflater) {
        deflater->bits = 0; /* the memory may have been poisoned */
        return deflater;
    }
    deflater = take_away(zlib);
    if (deflater)
        *deflater->owner = NULL;
    return deflater;
}

bool ws_deflate_begin(struct ws_zlib *zlib, struct ws_deflater **deflater,
                      uint8_t bits)
{
    if (!*deflater) {
        struct ws_deflater *found = find(zlib);

        if (!found)
            return false;
        if (!restart(found, bits)) {
            pool_put(&zlib->deflaters, found);
            return false;
        }
        found->owner = deflater;
        *deflater = found;
    }
    (*deflater)->busy = true;
    (*deflater)->recent = true;
    return true;
}

size_t ws_deflate(struct ws_deflater *deflater, struct bytes *in, char *to,
                  size_t room, bool flush)
{
    z_stream *z = &deflater->stream;

    z->next_in = (Bytef *)(uintptr_t)in->p;
    z->avail_in = (uInt)in->n;
    z->next_out = (Bytef *)to;
    z->avail_out = (uInt)room;
    deflate(z, flush ? Z_SYNC_FLUSH : Z_NO_FLUSH);
    in->p += in->n - z->avail_in;
    in->n = z->avail_in;
    return room - z->avail_out;
}

void ws_deflate_drop(struct ws_zlib *zlib, struct ws_deflater **deflater)
{
    if (!*deflater)
        return;
    pool_put(&zlib->deflaters, *deflater);
    *deflater = NULL;
}

void ws_deflate_end(struct ws_zlib *zlib, struct ws_deflater **deflater,
                    bool forget)
{
    (*deflater)->busy = false;
    if (forget)
        ws_deflate_drop(zlib, deflater);
}
