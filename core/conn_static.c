/* SPDX-License-Identifier: MIT */
/*
 * Static files: a conn_local_fn. What is remembered of a small file goes out
 * with its head from memory; a larger one becomes a transfer, read in pieces
 * into a block and sent from there. Reading is tried without waiting first;
 * what is not in the page cache is read through the ring.
 *
 * Much at once is not copied at all: see file_send.h. To read and send 1 MiB
 * takes 200 us, sendfile() 76, mmap() and send 172; the ring's splice goes to a
 * helper thread of the kernel: 250 us for 64 KiB (Linux 6.18, loopback).
 */
#include "conn_static.h"

#include "conn_answer.h"
#include "conn_close.h"
#include "conn_late.h"
#include "conn_local.h"
#include "conn_log.h"
#include "conn_set.h"
#include "file_send.h"
#include "static_path.h"

#include <stdio.h>
#include <unistd.h>

#define PIECE_BYTES (128U << 10)
#define TRIES 3

/* Everything about one request until its response is on its way. */
struct asked {
    const char *head;
    const struct static_map *map;
    struct static_file *file;
    struct static_answer answer;
    int fd; /* -1: from memory */
    struct static_range ranges[STATIC_RANGES_MAX];
    char fields[STATIC_FIELDS_MAX];
    char name[STATIC_PATH_MAX];
};

/* The name of a file in asked->name. False: the path is not below a map. */
static bool name_of(struct conn_set *set, struct asked *asked, int *ret_error)
{
    bool decoded = set->request.flags & HTTP_PATH_DECODED;
    struct bytes path = conn_local_path(set, asked->head);
    int n = static_path_decode(path, decoded, asked->name);
    const struct conn_config *config = set->config;

    if (n >= 0)
        path = (struct bytes){asked->name, (size_t)n};
    for (uint32_t i = 0; i < config->static_count; i++) {
        asked->map = &config->static_maps[i];
        if (static_path_is_below(path, asked->map->prefix)) {
            path.p += asked->map->prefix.n;
            path.n -= asked->map->prefix.n;
            if (n >= 0)
                n = static_path_name(path, asked->name);
            *ret_error = n < 0 ? n : 0;
            return true;
        }
    }
    return false;
}

static enum static_coding coding_of(const struct static_ask *ask,
                                    const struct static_file *file)
{
    enum static_coding codings[STATIC_CODINGS];
    uint32_t i = 0;

    if (!file->as[STATIC_BROTLI].is_there && !file->as[STATIC_GZIP].is_there)
        return STATIC_IDENTITY;
    static_ask_codings(ask, codings);
    while (!file->as[codings[i]].is_there)
        i++;
    return codings[i];
}

/* What is to be sent of the file, and how. */
static void decide(struct conn_set *set, struct asked *asked)
{
    struct static_ask ask = {asked->head, &set->request, set->fields};
    struct static_answer *answer = &asked->answer;
    const struct static_variant *variant;
    struct static_state state;

    answer->file = asked->file;
    answer->coding = coding_of(&ask, asked->file);
    answer->boundary = static_site_boundary(set->site);
    answer->ranges = asked->ranges;
    answer->count = 0;
    variant = &asked->file->as[answer->coding];
    state = (struct static_state){
        .etag = {variant->etag, variant->etag_len},
        .modified_s = variant->modified_ns / (int64_t)NS_PER_S,
        .size = variant->size,
    };
    answer->status = static_ask_status(&ask, &state, asked->ranges,
                                       &answer->count);
}

static bool needs_file(const struct conn_set *set, const struct asked *asked)
{
    const struct static_answer *answer = &asked->answer;
    const struct static_variant *variant = &asked->file->as[answer->coding];

    if (set->request.method_id == HTTP_METHOD_HEAD ||
        (answer->status != 200 && answer->status != 206))
        return false;
    return variant->size > 0 && (!variant->content || answer->count > 1);
}

/* Finds, decides, opens; once more when the file was replaced in between. */
static int look_up(struct conn_set *set, struct asked *asked)
{
    uint32_t map = (uint32_t)(asked->map - set->config->static_maps);
    int error = -ESTALE;

    for (int i = 0; i < TRIES && error == -ESTALE; i++) {
        error = static_file_find(set->site, map, asked->name, set->now_ns,
                                 &asked->file);
        if (error)
            break;
        decide(set, asked);
        if (!needs_file(set, asked))
            break;
        asked->fd = static_file_open(set->site, asked->file,
                                     asked->answer.coding);
        error = asked->fd < 0 ? asked->fd : 0;
    }
    return error;
}

static void send_text(struct conn_set *set, struct conn *c, uint32_t piece)
{
    struct conn_transfer *t = c->transfer;
    uint32_t count = 0;

    if (t->page > 0)
        t->iov[count++] = (struct iovec){c->page.at, t->page};
    if (t->text_len > 0)
        t->iov[count++] = (struct iovec){t->text, t->text_len};
    if (piece > 0)
        t->iov[count++] = (struct iovec){t->piece.at, piece};
    c->sending = t->page + t->text_len + piece;
    c->state = CONN_SENDING;
    c->inflight |= CONN_IN(CONN_OP_SEND);
    conn_deadline(set, c, set->config->send_timeout_ms);
    ring_send(set->ring, c->fd, t->iov, count, conn_token(c, CONN_OP_SEND));
    t->page = t->text_len = 0;
}

static void send_piece(struct conn_set *set, struct conn *c, uint32_t n)
{
    c->transfer->off += n;
    c->transfer->left -= n;
    send_text(set, c, n);
}

static void read_piece(struct conn_set *set, struct conn *c, uint64_t most)
{
    struct conn_transfer *t = c->transfer;
    size_t want = min_u64(min_u64(t->piece.size, t->left), most);
    struct iovec iov = {t->piece.at, want};
    ssize_t n = preadv2(t->fd, &iov, 1, (off_t)t->off, RWF_NOWAIT);

    if (n > 0) {
        send_piece(set, c, (uint32_t)n);
        return;
    }
    c->state = CONN_SENDING;
    c->inflight |= CONN_IN(CONN_OP_READ);
    conn_deadline(set, c, set->config->send_timeout_ms);
    ring_read(set->ring, t->fd, t->piece.at, want, t->off,
              conn_token(c, CONN_OP_READ));
}

/* The file may have shrunk: its length was said, so the response is cut. */
void conn_static_on_read(struct conn_set *set, struct conn *c, int result)
{
    if (result > 0) {
        send_piece(set, c, (uint32_t)result);
        return;
    }
    log_error("A static file cannot be sent: %s",
              result < 0 ? strerror(-result) : "it is shorter than said");
    conn_close(set, c);
}

/*
 * Of what is left of a range. What stands in front of it goes out with some of
 * it; the rest, if it is much, is not copied.
 */
static void send_rest(struct conn_set *set, struct conn *c)
{
    struct conn_transfer *t = c->transfer;
    bool in_front = t->page > 0 || t->text_len > 0;
    uint64_t n = 0;

    if (!in_front)
        n = file_send_now(c->fd, t->fd, t->off, t->left);
    stats_add(&set->stats->bytes_out, n);
    t->sent += n;
    t->off += n;
    t->left -= n;
    if (t->left == 0)
        return;
    in_front = in_front && t->left >= FILE_SEND_MIN;
    read_piece(set, c, n || in_front ? FILE_SEND_PROBE : UINT64_MAX);
}

/* The next piece of the content, into flight. False: there is none. */
static bool advance(struct conn_set *set, struct conn *c)
{
    struct conn_transfer *t = c->transfer;
    struct static_parts parts = {t->type, static_site_boundary(set->site),
                                 t->range, t->count, t->size};

    while (!(c->inflight & CONN_IN_OUTPUT)) {
        if (t->left > 0) {
            send_rest(set, c);
            continue;
        }
        if (t->count > 1 && t->next <= t->count)
            t->text_len = (uint32_t)static_part_text(&parts, t->next, t->text);
        if (t->next < t->count) {
            t->off = t->range[t->next].off;
            t->left = t->range[t->next].len;
        } else if (t->text_len > 0) {
            send_text(set, c, 0);
        } else {
            return false;
        }
        t->next++;
    }
    return true;
}

bool conn_static_next(struct conn_set *set, struct conn *c)
{
    conn_block_put(set, &c->page);
    if (advance(set, c))
        return true;
    conn_static_drop(set, c);
    return false;
}

void conn_static_drop(struct conn_set *set, struct conn *c)
{
    struct conn_transfer *t = c->transfer;

    if (t->late) {
        if (t->sent_head > 0)
            conn_late_write(set, c, t->late,
                            conn_between(t->sent_head, t->sent));
        pool_put(&set->lates, t->late);
    }
    close(t->fd);
    conn_block_put(set, &t->piece);
    pool_put(&set->transfers, t);
    c->transfer = NULL;
}

/* Takes over the descriptor. False when there is no room. */
static bool transfer_start(struct conn_set *set, struct conn *c,
                           const struct asked *asked)
{
    const struct static_answer *answer = &asked->answer;
    struct conn_transfer *t = pool_get(&set->transfers);
    uint64_t length = static_part_length(answer);

    if (!t)
        return false;
    *t = (struct conn_transfer){
        .fd = asked->fd,
        .count = answer->count,
        .left = answer->count > 0 ? 0 : length,
        .size = asked->file->as[answer->coding].size,
        .type = asked->file->type,
    };
    memcpy(t->range, asked->ranges, answer->count * sizeof(t->range[0]));
    conn_block_get(set, &t->piece, min_u64(length, PIECE_BYTES), true);
    if (!t->piece.at) {
        pool_put(&set->transfers, t);
        return false;
    }
    if (set->log)
        t->late = pool_get(&set->lates);
    c->transfer = t;
    return true;
}

static struct bytes small_content(const struct asked *asked)
{
    const struct static_answer *answer = &asked->answer;
    const struct static_variant *variant = &asked->file->as[answer->coding];

    if (answer->count == 1)
        return (struct bytes){variant->content + answer->ranges[0].off,
                              answer->ranges[0].len};
    return (struct bytes){variant->content, variant->size};
}

static void reply(struct conn_set *set, struct conn *c, struct asked *asked)
{
    struct static_answer *answer = &asked->answer;
    struct conn_reply reply = {.status = answer->status};
    struct conn_transfer *t;
    size_t n = static_part_fields(answer, asked->fields);

    reply.fields = (struct bytes){asked->fields, n};
    if (answer->status == 304) {
        conn_reply(set, c, asked->head, &reply);
        return;
    }
    reply.length = static_part_length(answer);
    if (asked->fd < 0) {
        if (asked->file->as[answer->coding].content)
            reply.body = small_content(asked);
        conn_reply(set, c, asked->head, &reply);
        return;
    }
    if (!transfer_start(set, c, asked)) {
        close(asked->fd);
        conn_shed(set, c, asked->head);
        return;
    }
    /* The first piece goes out with the head. */
    t = c->transfer;
    reply.late = t->late;
    t->page = (uint32_t)conn_reply_make(set, c, asked->head, &reply);
    t->sent_head = t->page;
    if (t->page > 0)
        advance(set, c);
}

/* A range that the file does not have: it has so many bytes. */
static void out_of_range(struct conn_set *set, struct conn *c,
                         const struct asked *asked)
{
    uint64_t size = asked->file->as[asked->answer.coding].size;
    char field[64];
    int n = snprintf(field, sizeof(field), "Content-Range: bytes */%llu\r\n",
                     (unsigned long long)size);

    conn_reply_page(set, c, asked->head, 416, (struct bytes){field, (size_t)n});
}

static void refuse(struct conn_set *set, struct conn *c,
                   const struct asked *asked, int error)
{
    if (error == -ENOENT || error == -ENAMETOOLONG)
        conn_reply_page(set, c, asked->head, 404, BYTES(""));
    else if (error == -EACCES)
        conn_reply_page(set, c, asked->head, 403, BYTES(""));
    else
        conn_shed(set, c, asked->head);
}

/*
 * A map of "/" leaves to the application what it has not: everything would be
 * its own otherwise.
 */
bool conn_static(struct conn_set *set, struct conn *c, const char *head)
{
    struct asked asked;
    bool is_get = set->request.method_id == HTTP_METHOD_GET ||
                  set->request.method_id == HTTP_METHOD_HEAD;
    bool is_all;
    int error;

    asked.head = head;
    asked.fd = -1;
    if (!name_of(set, &asked, &error))
        return false;
    is_all = asked.map->prefix.n == 0;
    if (!is_get && is_all)
        return false;
    if (!is_get) {
        conn_reply_page(set, c, head, 405, BYTES("Allow: GET, HEAD\r\n"));
        return true;
    }
    if (!error)
        error = look_up(set, &asked);
    if (error && is_all && (error == -ENOENT || error == -ENAMETOOLONG))
        return false;
    if (error)
        refuse(set, c, &asked, error);
    else if (asked.answer.status == 416)
        out_of_range(set, c, &asked);
    else if (asked.answer.status == 412)
        conn_reply_page(set, c, head, 412, BYTES(""));
    else
        reply(set, c, &asked);
    return true;
}
