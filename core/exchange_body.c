/* SPDX-License-Identifier: MIT */
#include "exchange_body.h"

#include "exchange_request.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define COPY_BYTES 65536
#define PAGE_REST 4095ULL
/* Bodies in runs have one in so many of the chunks that are no slot's. */
#define RUN_SHARE 4

static uint32_t slot_of(const struct exchange_table *table,
                        const struct exchange *x)
{
    return exchange_slot(&table->arena, x);
}

int32_t exchange_run_get(struct exchange_table *table, struct exchange *x,
                         uint64_t bytes)
{
    uint64_t count = (bytes + ARENA_CHUNK_BYTES - 1) / ARENA_CHUNK_BYTES;
    int32_t run;

    if (count > EXCHANGE_HEAD_CHUNKS * 16)
        return -ENOBUFS;
    run = arena_run_get(&table->arena, slot_of(table, x), (uint32_t)count);
    if (run >= 0)
        atomic_fetch_add_explicit(&x->extra_chunks, 1, memory_order_relaxed);
    return run;
}

static void punch(int fd, uint64_t off, uint64_t bytes)
{
    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off,
              (off_t)bytes);
}

/*
 * The spools are sparse; what a slot wrote is given back to the machine. A page
 * of which only a part is punched would stay.
 */
static void spool_punch(struct exchange_table *table, const struct exchange *x)
{
    uint64_t slot = slot_of(table, x);
    uint64_t bytes = x->out_spooled ? EXCHANGE_SPOOL_FILE_BYTES
                                    : x->body_bytes + PAGE_REST;

    if (x->body_kind == EXCHANGE_BODY_MEMORY)
        punch(table->arena.spool_memory_fd, slot * EXCHANGE_SPOOL_MEMORY_BYTES,
              EXCHANGE_SPOOL_MEMORY_BYTES);
    if (x->body_kind == EXCHANGE_BODY_FILE || x->out_spooled)
        punch(table->arena.spool_file_fd, slot * EXCHANGE_SPOOL_FILE_BYTES,
              min_u64(bytes, EXCHANGE_SPOOL_FILE_BYTES));
}

void exchange_body_drop(struct exchange_table *table, struct exchange *x)
{
    uint32_t slot = slot_of(table, x);

    spool_punch(table, x);
    table->run_chunks -= table->body_run[slot];
    table->body_run[slot] = 0;
}

/* Only the number of the run's first chunk is shared, and checked. */
static uint64_t run_bytes(const struct exchange_table *table,
                          const struct exchange *x)
{
    return table->body_run[slot_of(table, x)] * (uint64_t)ARENA_CHUNK_BYTES;
}

static char *run_at(const struct exchange_table *table,
                    const struct exchange *x)
{
    uint32_t count = table->body_run[slot_of(table, x)];
    uint32_t first = x->body_chunk[0];

    if (count == 0 || first >= table->arena.chunks ||
        count > table->arena.chunks - first)
        return NULL;
    return arena_chunk(&table->arena, first);
}

static size_t inline_base(const struct exchange *x)
{
    return x->head_chunk == UINT32_MAX ? x->request.head_len : 0;
}

static enum exchange_body body_place(const struct exchange *x, uint64_t bytes)
{
    if (inline_base(x) + bytes <= sizeof(x->inline_bytes))
        return EXCHANGE_BODY_INLINE;
    if (bytes <= EXCHANGE_CHUNK_BODY_BYTES)
        return EXCHANGE_BODY_CHUNKED;
    return bytes <= EXCHANGE_SPOOL_MEMORY_BYTES ? EXCHANGE_BODY_MEMORY
                                                : EXCHANGE_BODY_FILE;
}

int exchange_spool_write(int fd, uint64_t off, struct bytes data)
{
    while (data.n > 0) {
        ssize_t n = pwrite(fd, data.p, data.n, (off_t)off);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data.p += n;
        data.n -= (size_t)n;
        off += (size_t)n;
    }
    return 0;
}

static int write_chunks(struct exchange_table *table, struct exchange *x,
                        uint64_t off, struct bytes data)
{
    while (data.n > 0) {
        uint32_t index = (uint32_t)(off / ARENA_CHUNK_BYTES);
        size_t in = off % ARENA_CHUNK_BYTES;
        size_t n = min_u64(data.n, ARENA_CHUNK_BYTES - in);
        char *to;

        if (index >= EXCHANGE_BODY_CHUNKS)
            return -EBADMSG;
        if (in == 0) {
            int32_t chunk = exchange_run_get(table, x, 1);

            if (chunk < 0)
                return chunk;
            x->body_chunk[index] = (uint32_t)chunk;
        }
        to = arena_chunk(&table->arena, x->body_chunk[index]);
        if (!to)
            return -EBADMSG;
        memcpy(to + in, data.p, n);
        data.p += n;
        data.n -= n;
        off += n;
    }
    return 0;
}

static int write_inline(struct exchange *x, uint64_t off, struct bytes data)
{
    size_t at = inline_base(x) + off;

    if (at > sizeof(x->inline_bytes) || data.n > sizeof(x->inline_bytes) - at)
        return -EBADMSG;
    memcpy(x->inline_bytes + at, data.p, data.n);
    return 0;
}

static int write_run(const struct exchange_table *table, struct exchange *x,
                     uint64_t off, struct bytes data)
{
    uint64_t room = run_bytes(table, x);
    char *run = run_at(table, x);

    if (!run || off > room || data.n > room - off)
        return -EBADMSG;
    if (run + off != data.p) /* else it was received there */
        memcpy(run + off, data.p, data.n);
    return 0;
}

static int body_write(struct exchange_table *table, struct exchange *x,
                      enum exchange_body place, uint64_t off, struct bytes data)
{
    switch (place) {
    case EXCHANGE_BODY_NONE:
        return 0;
    case EXCHANGE_BODY_INLINE:
        return write_inline(x, off, data);
    case EXCHANGE_BODY_CHUNKED:
        return write_chunks(table, x, off, data);
    case EXCHANGE_BODY_RUN:
        return write_run(table, x, off, data);
    case EXCHANGE_BODY_MEMORY:
        off += slot_of(table, x) * EXCHANGE_SPOOL_MEMORY_BYTES;
        return exchange_spool_write(table->arena.spool_memory_fd, off, data);
    case EXCHANGE_BODY_FILE:
        off += slot_of(table, x) * EXCHANGE_SPOOL_FILE_BYTES;
        return exchange_spool_write(table->arena.spool_file_fd, off, data);
    case EXCHANGE_BODY_STREAM:
        break;
    }
    return -EINVAL;
}

/* Copies what is there to a roomier place. */
static int body_move(struct exchange_table *table, struct exchange *x,
                     enum exchange_body place)
{
    char buffer[COPY_BYTES];
    uint64_t bytes = x->body_bytes;
    uint64_t off = 0;

    while (off < bytes) {
        int64_t n = exchange_body_read(&table->arena, x, off, buffer,
                                       sizeof(buffer));
        int error;

        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        error = body_write(table, x, place, off,
                           (struct bytes){buffer, (size_t)n});
        if (error)
            return error;
        off += (uint64_t)n;
    }
    exchange_body_drop(table, x);
    x->body_kind = place;
    return 0;
}

/*
 * A body that may take its time holds no more than a part of the chunks: the
 * others are for responses.
 */
static bool run_start(struct exchange_table *table, struct exchange *x,
                      uint64_t bytes)
{
    uint32_t chunks =
        (uint32_t)((bytes + ARENA_CHUNK_BYTES - 1) / ARENA_CHUNK_BYTES);
    uint32_t spare = table->arena.chunks - table->arena.slots;
    int32_t run;

    if (table->run_chunks + chunks > spare / RUN_SHARE)
        return false;
    run = exchange_run_get(table, x, bytes);
    if (run < 0)
        return false;
    x->body_chunk[0] = (uint32_t)run;
    x->body_kind = EXCHANGE_BODY_RUN;
    table->body_run[slot_of(table, x)] = (uint8_t)chunks;
    table->run_chunks += chunks;
    return true;
}

char *exchange_body_room(const struct exchange_table *table,
                         const struct exchange *x, size_t *ret_room)
{
    uint64_t have = x->body_bytes;
    uint64_t room = run_bytes(table, x);
    char *run = run_at(table, x);

    if (!run || have >= room)
        return NULL;
    *ret_room = room - have;
    return run + have;
}

int exchange_body_append(struct exchange_table *table, struct exchange *x,
                         struct bytes data, uint64_t expected)
{
    uint64_t before = x->body_bytes;
    uint64_t after = before + data.n;
    enum exchange_body place = body_place(x, max_u64(after, expected));
    bool run = run_bytes(table, x) > 0;
    int error = 0;

    if (before > EXCHANGE_SPOOL_FILE_BYTES || after > EXCHANGE_SPOOL_FILE_BYTES)
        return -EFBIG;
    if (data.n == 0)
        return 0;
    if (place == EXCHANGE_BODY_MEMORY && before == 0 &&
        expected <= EXCHANGE_RUN_BODY_BYTES && expected >= after)
        run = run || run_start(table, x, expected);
    if (run)
        place = EXCHANGE_BODY_RUN;
    else if (x->body_kind < place)
        error = body_move(table, x, place);
    if (!error)
        error = body_write(table, x, place, before, data);
    if (error == -ENOBUFS) { /* no chunks: the next place needs none */
        error = body_move(table, x, EXCHANGE_BODY_MEMORY);
        if (!error)
            error = body_write(table, x, EXCHANGE_BODY_MEMORY, before, data);
    }
    if (!error)
        x->body_bytes = after;
    return error;
}
