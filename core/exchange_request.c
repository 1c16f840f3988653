/* SPDX-License-Identifier: MIT */
#include "exchange_request.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A run of chunks lies in the arena. */
static const char *run_at(const struct arena *arena, uint32_t chunk,
                          uint64_t bytes)
{
    uint64_t count = (bytes + ARENA_CHUNK_BYTES - 1) / ARENA_CHUNK_BYTES;

    if (chunk >= arena->chunks || count > arena->chunks - chunk)
        return NULL;
    return arena_chunk(arena, chunk);
}

const char *exchange_head(const struct arena *arena, const struct exchange *x)
{
    if (x->head_chunk != UINT32_MAX)
        return run_at(arena, x->head_chunk, x->request.head_len);
    return x->request.head_len <= sizeof(x->inline_bytes) ? x->inline_bytes
                                                          : NULL;
}

const struct http_field *exchange_fields(const struct arena *arena,
                                         const struct exchange *x)
{
    uint64_t bytes = (uint64_t)x->request.field_count *
                     sizeof(struct http_field);

    if (x->fields_chunk != UINT32_MAX)
        return (const struct http_field *)(const void *)run_at(
            arena, x->fields_chunk, bytes);
    return x->request.field_count <= EXCHANGE_FIELDS ? x->fields : NULL;
}

static int64_t read_inline(const struct exchange *x, uint64_t off, char *to,
                           size_t len)
{
    size_t base = x->head_chunk == UINT32_MAX ? x->request.head_len : 0;

    if (off > sizeof(x->inline_bytes) || len > sizeof(x->inline_bytes) ||
        base + off + len > sizeof(x->inline_bytes))
        return -EBADMSG;
    memcpy(to, x->inline_bytes + base + off, len);
    return (int64_t)len;
}

static int64_t read_chunks(const struct arena *arena, const struct exchange *x,
                           uint64_t off, char *to, size_t len)
{
    size_t done = 0;

    while (done < len) {
        uint64_t index = (off + done) / ARENA_CHUNK_BYTES;
        size_t in = (off + done) % ARENA_CHUNK_BYTES;
        size_t n = min_u64(len - done, ARENA_CHUNK_BYTES - in);
        const char *chunk = index < EXCHANGE_BODY_CHUNKS
                                ? arena_chunk(arena, x->body_chunk[index])
                                : NULL;

        if (!chunk)
            return -EBADMSG;
        memcpy(to + done, chunk + in, n);
        done += n;
    }
    return (int64_t)len;
}

static int64_t read_run(const struct arena *arena, const struct exchange *x,
                        uint64_t off, char *to, size_t len)
{
    const char *run = run_at(arena, x->body_chunk[0], off + len);

    if (!run)
        return -EBADMSG;
    memcpy(to, run + off, len);
    return (int64_t)len;
}

static int64_t read_spool(int fd, uint64_t off, char *to, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = pread(fd, to + done, len - done, (off_t)(off + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EIO; /* shorter than body_bytes: somebody truncated it */
        done += (size_t)n;
    }
    return (int64_t)len;
}

bool exchange_field_next(const struct arena *arena, const struct exchange *x,
                         struct bytes name, uint32_t *at,
                         struct bytes *ret_value)
{
    const char *head = exchange_head(arena, x);
    const struct http_field *fields = exchange_fields(arena, x);

    while (head && fields && *at < x->request.field_count) {
        struct http_field field = fields[(*at)++];

        if (!bytes_equal_nocase(
                exchange_span(x, head, field.name_off, field.name_len), name))
            continue;
        *ret_value = exchange_span(x, head, field.value_off, field.value_len);
        return true;
    }
    return false;
}

struct bytes exchange_field(const struct arena *arena, const struct exchange *x,
                            struct bytes name)
{
    struct bytes value = BYTES("");
    uint32_t at = 0;

    exchange_field_next(arena, x, name, &at, &value);
    return value;
}

void exchange_name(const struct arena *arena, const struct exchange *x,
                   char *text, size_t size)
{
    const char *head = exchange_head(arena, x);
    struct http_span method = x->request.method, target = x->request.target;
    struct bytes verb = BYTES("?"), path = BYTES("?");

    if (head) {
        verb = exchange_span(x, head, method.off, method.len);
        path = exchange_span(x, head, target.off, target.len);
    }
    snprintf(text, size, "%.*s %.*s", (int)min_u64(verb.n, size), verb.p,
             (int)min_u64(path.n, size), path.p);
}

int64_t exchange_body_read(const struct arena *arena, const struct exchange *x,
                           uint64_t off, void *to, size_t len)
{
    uint64_t bytes = x->body_bytes;

    if (off >= bytes)
        return 0;
    if (bytes > EXCHANGE_SPOOL_FILE_BYTES)
        return -EBADMSG;
    len = min_u64(len, bytes - off);
    switch ((enum exchange_body)x->body_kind) {
    case EXCHANGE_BODY_NONE:
        return 0;
    case EXCHANGE_BODY_INLINE:
        return read_inline(x, off, to, len);
    case EXCHANGE_BODY_CHUNKED:
        return read_chunks(arena, x, off, to, len);
    case EXCHANGE_BODY_RUN:
        return read_run(arena, x, off, to, len);
    case EXCHANGE_BODY_MEMORY:
        off += exchange_slot(arena, x) * EXCHANGE_SPOOL_MEMORY_BYTES;
        return read_spool(arena->spool_memory_fd, off, to, len);
    case EXCHANGE_BODY_FILE:
        off += exchange_slot(arena, x) * EXCHANGE_SPOOL_FILE_BYTES;
        return read_spool(arena->spool_file_fd, off, to, len);
    case EXCHANGE_BODY_STREAM:
        break;
    }
    return -EBADMSG;
}
