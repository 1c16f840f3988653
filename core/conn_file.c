/* SPDX-License-Identifier: MIT */
#include "conn_file.h"

#include "conn_block.h"
#include "conn_close.h"
#include "conn_set.h"
#include "conn_static.h"
#include "exchange_part.h"
#include "exchange_word.h"
#include "file_send.h"

#include <string.h>
#include <unistd.h>

#define PIECE_BYTES (128U << 10)

/* Returns the descriptor of a note, or -1 when there is none. */
static int fd_of(struct msghdr *message)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(message);
    int fd;

    if (!control || control->cmsg_level != SOL_SOCKET ||
        control->cmsg_type != SCM_RIGHTS ||
        control->cmsg_len != CMSG_LEN(sizeof(fd)))
        return -1;
    memcpy(&fd, CMSG_DATA(control), sizeof(fd));
    return fd;
}

static uint64_t sequence_of(const struct exchange *x)
{
    return exchange_word_sequence(
        atomic_load_explicit(&x->word, memory_order_acquire));
}

/* A note for a request that is gone, or one too many, is not kept. */
static void keep(struct conn_set *set, const struct exchange_file_note *note,
                 int fd)
{
    struct arena *arena = &set->table->arena;
    struct conn_file *file = NULL;
    struct conn_job *job;

    if (note->slot < arena->slots && set->jobs[note->slot].conn &&
        sequence_of(exchange_at(arena, note->slot)) == note->sequence)
        file = pool_get(&set->files);
    if (!file) {
        close(fd);
        return;
    }
    job = &set->jobs[note->slot];
    *file = (struct conn_file){job->files, note->sequence, note->part, fd};
    job->files = file;
}

static bool receive_one(struct conn_set *set)
{
    struct exchange_file_note note;
    struct iovec iov = {&note, sizeof(note)};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(set->file_in_fd, &message,
                        MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    int fd;

    if (n < 0)
        return false;
    fd = fd_of(&message);
    if (fd >= 0 && n == sizeof(note))
        keep(set, &note, fd);
    else if (fd >= 0)
        close(fd);
    return true;
}

void conn_files_receive(struct conn_set *set)
{
    /* Bounded by the socket's queue; the senders cannot outrun this. */
    for (uint32_t i = 0; i < EXCHANGE_PARTS * 64; i++)
        if (!receive_one(set))
            return;
}

static void drop(struct conn_set *set, struct conn_file *file)
{
    close(file->fd);
    pool_put(&set->files, file);
}

void conn_files_drop(struct conn_set *set, struct conn_job *job)
{
    struct conn_file *file;

    while ((file = job->files) != NULL) {
        job->files = file->next;
        drop(set, file);
    }
    job->file = NULL;
    job->filing = false;
}

static struct conn_file *find(struct conn_set *set, struct conn *c)
{
    uint32_t part = atomic_load_explicit(&c->x->out_head, memory_order_relaxed);
    struct conn_file *file = conn_job(set, c->x)->files;

    while (file && file->part != part)
        file = file->next;
    return file;
}

static void read_piece(struct conn_set *set, struct conn *c, uint64_t want)
{
    struct conn_job *job = conn_job(set, c->x);

    c->state = CONN_SENDING;
    c->inflight |= CONN_IN(CONN_OP_READ);
    conn_deadline(set, c, set->config->send_timeout_ms);
    ring_read(set->ring, job->file_fd, job->piece.at,
              min_u64(job->piece.size, want), job->file_off,
              conn_token(c, CONN_OP_READ));
}

static void forget(struct conn_set *set, struct conn_job *job)
{
    struct conn_file **link = &job->files;

    while (job->file && *link != job->file)
        link = &(*link)->next;
    if (job->file) {
        *link = job->file->next;
        drop(set, job->file);
    }
    job->file = NULL;
    job->filing = false;
    conn_block_put(set, &job->piece);
}

/* False: all of it is on its way. */
static bool go_on(struct conn_set *set, struct conn *c)
{
    struct conn_job *job = conn_job(set, c->x);
    uint64_t n = 0;

    /* The spool's pages may be written again while the kernel still sends. */
    if (job->file)
        n = file_send_now(c->fd, job->file_fd, job->file_off, job->file_left);

    stats_add(&set->stats->bytes_out, n);
    job->sent_bytes += n;
    job->file_off += n;
    job->file_left -= n;
    if (job->file_left == 0) {
        forget(set, job);
        return false;
    }
    read_piece(set, c,
               min_u64(job->file_left, n ? FILE_SEND_PROBE : UINT64_MAX));
    return true;
}

static int open_part(struct conn_set *set, struct conn *c, bool spooled)
{
    struct conn_job *job = conn_job(set, c->x);
    const struct arena *arena = &set->table->arena;

    job->file = NULL;
    if (spooled) {
        job->file_fd = arena->spool_file_fd;
        job->file_off += exchange_slot(arena, c->x) * EXCHANGE_SPOOL_FILE_BYTES;
        return 0;
    }
    job->file = find(set, c);
    if (!job->file) {
        conn_files_receive(set);
        job->file = find(set, c);
    }
    if (!job->file)
        return -EBADF;
    job->file_fd = job->file->fd;
    return 0;
}

int conn_file_start(struct conn_set *set, struct conn *c,
                    const struct exchange_part *part)
{
    struct conn_job *job = conn_job(set, c->x);
    int error;

    if (part->file_len == 0)
        return 0;
    job->file_off = part->file_off;
    job->file_left = part->file_len;
    error = open_part(set, c, part->kind == EXCHANGE_PART_SPOOL);
    if (error)
        return error;
    conn_block_get(set, &job->piece, PIECE_BYTES, true);
    if (!job->piece.at)
        return -ENOBUFS;
    job->filing = true;
    return go_on(set, c);
}

/* The file may have shrunk: the framing cannot be kept, so it is cut. */
void conn_on_read(struct conn_set *set, struct conn *c, int result)
{
    struct conn_job *job;

    c->inflight &= (uint8_t)~CONN_IN(CONN_OP_READ);
    if (c->state == CONN_CLOSING)
        return;
    if (c->transfer) {
        conn_static_on_read(set, c, result);
        return;
    }
    job = conn_job(set, c->x);
    if (result <= 0) {
        log_error("A file cannot be sent: %s",
                  result < 0 ? strerror(-result) : "it is shorter than said");
        conn_close(set, c);
        return;
    }
    job->file_off += (uint32_t)result;
    job->file_left -= (uint32_t)result;
    job->iov[0] = (struct iovec){job->piece.at, (size_t)result};
    c->sending = (uint32_t)result;
    c->inflight |= CONN_IN(CONN_OP_SEND);
    conn_deadline(set, c, set->config->send_timeout_ms);
    ring_send(set->ring, c->fd, job->iov, 1, conn_token(c, CONN_OP_SEND));
}

bool conn_file_next(struct conn_set *set, struct conn *c)
{
    struct conn_job *job = conn_job(set, c->x);

    if (job->file_left > 0 && go_on(set, c))
        return true;
    if (job->filing)
        forget(set, job);
    job->parts = 1;
    return false;
}
