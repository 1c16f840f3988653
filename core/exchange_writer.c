/* SPDX-License-Identifier: MIT */
#include "exchange_writer.h"

#include "board.h"
#include "board_interp.h"
#include "board_worker.h"
#include "exchange_part.h"
#include "exchange_take.h"
#include "exchange_word.h"
#include "futex.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* A request that took this long makes the thread announce at once for... */
#define SLOW_NS NS_PER_MS
#define SLOW_FOR_NS (100 * NS_PER_MS)
/* ... this long; else finished responses wait at most so long for company. */
#define UNRUNG_NS (500 * NS_PER_US)
/* Parts in the window before the worker is woken to start sending. */
#define WAKE_PARTS 8
/* Waits are cut into pieces so that a lost wake-up costs no more than this. */
#define WAIT_NS (100 * NS_PER_MS)
#define CHUNK_WAIT_MS 5
/* A thread that reads a body which streams is not rung: it looks so often. */
#define STREAM_WAIT_NS (5 * NS_PER_MS)
/* A peer that makes no room for so long is slow: its response is spooled. */
#define STUCK_NS (10 * NS_PER_MS)
/* Of one response; beyond that the application waits for the peer. */
#define SPOOL_MAX (256ULL << 20)

static void mark_progress(struct exchange_writer *writer, uint32_t slot)
{
    atomic_fetch_or(&writer->arena->header->progress[slot / 64],
                    1ULL << slot % 64);
}

static void wake_now(struct exchange_writer *writer)
{
    mark_progress(writer, exchange_slot(writer->arena, writer->x));
    board_wake_worker(
        board_worker(writer->thread->site->board, writer->arena->worker));
}

static void word_move(struct exchange *x, enum exchange_state to)
{
    uint64_t word = atomic_load_explicit(&x->word, memory_order_relaxed);

    atomic_store_explicit(&x->word, (word & ~0xffULL) | to,
                          memory_order_release);
}

static uint32_t window_used(const struct exchange_writer *writer)
{
    return writer->tail -
           atomic_load_explicit(&writer->x->out_head, memory_order_acquire);
}

static struct exchange_part *part_next(struct exchange_writer *writer)
{
    return &writer->x->part[writer->tail % EXCHANGE_PARTS];
}

static void part_publish(struct exchange_writer *writer)
{
    writer->tail++;
    atomic_store_explicit(&writer->x->out_tail, writer->tail,
                          memory_order_release);
}

static void bytes_publish(struct exchange_writer *writer)
{
    *part_next(writer) = (struct exchange_part){
        .kind = EXCHANGE_PART_BYTES,
        .chunk = writer->chunk_id,
        .off = writer->start,
        .len = writer->fill - writer->start,
    };
    writer->start = writer->fill;
    part_publish(writer);
}

/* One part is kept for exchange_finish(), which therefore never waits. */
static bool window_is_full(const struct exchange_writer *writer)
{
    return window_used(writer) >= EXCHANGE_PARTS - 1;
}

/*
 * What is in the spool follows everything published so far, and comes before
 * what is written into a chunk from now on.
 */
static bool has_spooled(const struct exchange_writer *writer)
{
    return writer->spool_from != writer->spool_to;
}

static void spool_publish(struct exchange_writer *writer)
{
    *part_next(writer) = (struct exchange_part){
        .kind = EXCHANGE_PART_SPOOL,
        .file_off = writer->spool_from,
        .file_len = writer->spool_to - writer->spool_from,
    };
    writer->spool_from = writer->spool_to;
    part_publish(writer);
}

static int chunk_next(struct exchange_writer *writer)
{
    struct exchange *x = writer->x;
    uint32_t slot = exchange_slot(writer->arena, x);
    int32_t chunk = arena_chunk_get(writer->arena, slot);

    if (chunk < 0)
        return -EAGAIN;
    if ((uint32_t)chunk != slot)
        atomic_fetch_add_explicit(&x->extra_chunks, 1, memory_order_relaxed);
    writer->chunk = arena_chunk(writer->arena, (uint32_t)chunk);
    writer->chunk_id = (uint32_t)chunk;
    writer->start = writer->fill = 0;
    return 0;
}

int64_t exchange_room(struct exchange_writer *writer, char **ret_to)
{
    if (unlikely(exchange_is_cancelled(writer)))
        return -ECANCELED;
    if (unlikely(has_spooled(writer))) {
        if (window_is_full(writer))
            return -EAGAIN;
        spool_publish(writer);
        wake_now(writer);
    }
    if (writer->fill > 0 && writer->fill == writer->start &&
        window_used(writer) == 0)
        writer->start = writer->fill = 0; /* the same page of memory again */
    if (!writer->chunk || writer->fill == ARENA_CHUNK_BYTES) {
        if (window_is_full(writer))
            return -EAGAIN;
        if (writer->fill > writer->start) {
            bytes_publish(writer);
            word_move(writer->x, EXCHANGE_RESPONDING);
            if (window_used(writer) >= WAKE_PARTS)
                wake_now(writer);
        }
        if (chunk_next(writer) < 0)
            return -EAGAIN;
    }
    *ret_to = writer->chunk + writer->fill;
    return ARENA_CHUNK_BYTES - writer->fill;
}

void exchange_wrote(struct exchange_writer *writer, uint32_t len)
{
    must(len <= ARENA_CHUNK_BYTES - writer->fill);
    writer->fill += len;
}

void exchange_relax(struct exchange_writer *writer)
{
    if (!writer->chunk || writer->fill > writer->start ||
        window_used(writer) > 0)
        return;
    madvise(writer->chunk, ARENA_CHUNK_BYTES, MADV_REMOVE);
    arena_chunk_put(writer->arena, exchange_slot(writer->arena, writer->x),
                    writer->chunk_id);
    writer->chunk = NULL;
    writer->start = writer->fill = 0;
}

int exchange_copy(struct exchange_writer *writer, struct bytes data,
                  size_t *ret_done)
{
    size_t done = 0;
    int64_t room = 0;
    char *to;

    while (done < data.n) {
        room = exchange_room(writer, &to);
        if (room < 0)
            break;
        room = (int64_t)min_u64((uint64_t)room, data.n - done);
        memcpy(to, data.p + done, (size_t)room);
        exchange_wrote(writer, (uint32_t)room);
        done += (size_t)room;
    }
    *ret_done = done;
    return room < 0 ? (int)room : 0;
}

void exchange_rewind(struct exchange_writer *writer)
{
    writer->fill = writer->start;
}

int exchange_publish(struct exchange_writer *writer)
{
    if (exchange_is_cancelled(writer))
        return -ECANCELED;
    if (unlikely(has_spooled(writer))) {
        if (window_is_full(writer))
            return 0; /* it is safe where it is */
        spool_publish(writer);
    }
    if (writer->fill > writer->start) {
        if (window_is_full(writer))
            return -EAGAIN;
        bytes_publish(writer);
    }
    word_move(writer->x, EXCHANGE_RESPONDING);
    mark_progress(writer, exchange_slot(writer->arena, writer->x));
    return 0;
}

int exchange_flush(struct exchange_writer *writer)
{
    int error = exchange_publish(writer);

    if (!error)
        wake_now(writer);
    return error;
}

/* The peer has made no room since this was first asked, STUCK_NS ago. */
static bool is_stuck(struct exchange_writer *writer)
{
    uint32_t head = atomic_load_explicit(&writer->x->out_head,
                                         memory_order_relaxed);
    uint64_t now = now_ns();

    if (writer->stuck_ns == 0 || head != writer->stuck_head) {
        writer->stuck_ns = now;
        writer->stuck_head = head;
    }
    return now - writer->stuck_ns >= STUCK_NS;
}

/* Returns how much of it was written. */
static size_t spool_write(struct exchange_writer *writer, struct bytes data)
{
    struct arena *arena = writer->arena;
    uint64_t stretch = exchange_slot(arena, writer->x) *
                       EXCHANGE_SPOOL_FILE_BYTES;
    size_t done = 0;

    data.n = min_u64(data.n, SPOOL_MAX - min_u64(writer->spool_to, SPOOL_MAX));
    while (done < data.n) {
        ssize_t n = pwrite(arena->spool_file_fd, data.p + done, data.n - done,
                           (off_t)(stretch + writer->spool_to));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        writer->spool_to += (uint64_t)n;
        done += (size_t)n;
    }
    return done;
}

/* What was written into the chunk comes first: all of it, or nothing. */
static bool spool_waiting(struct exchange_writer *writer)
{
    uint64_t before = writer->spool_to;
    struct bytes waiting;

    if (writer->fill == writer->start)
        return true; /* there may be no chunk */
    waiting = (struct bytes){writer->chunk + writer->start,
                             writer->fill - writer->start};
    if (spool_write(writer, waiting) < waiting.n) {
        writer->spool_to = before;
        return false;
    }
    writer->fill = writer->start;
    return true;
}

size_t exchange_spool(struct exchange_writer *writer, struct bytes data)
{
    struct exchange *x = writer->x;

    /* A large body has the stretch. */
    if (writer->tail == 0 || x->body_kind == EXCHANGE_BODY_FILE ||
        (!has_spooled(writer) && !is_stuck(writer)))
        return 0;
    x->out_spooled = 1; /* first: a dead one cannot say it any more */
    return spool_waiting(writer) ? spool_write(writer, data) : 0;
}

static int send_file(int socket_fd, int fd, struct exchange_file_note *note)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {note, sizeof(*note)};
    struct msghdr message = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control.space),
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    if (sendmsg(socket_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return 0;
    /* Too many descriptors on their way: the worker is about to fetch some. */
    return errno == ETOOMANYREFS || errno == ENOBUFS ? -EAGAIN : -errno;
}

int exchange_file(struct exchange_writer *writer, int fd, uint64_t off,
                  uint64_t len)
{
    struct exchange_file_note note = {
        .slot = exchange_slot(writer->arena, writer->x)};
    const struct board_worker *worker =
        board_worker(writer->thread->site->board, writer->arena->worker);
    int error = exchange_flush(writer);

    if (error)
        return error;
    if (window_is_full(writer))
        return -EAGAIN;
    note.part = writer->tail;
    note.sequence = exchange_word_sequence(atomic_load(&writer->x->word));
    error = send_file(worker->file_out_fd, fd, &note);
    if (error)
        return error;
    *part_next(writer) = (struct exchange_part){
        .kind = EXCHANGE_PART_FILE,
        .file_off = off,
        .file_len = len,
    };
    part_publish(writer);
    word_move(writer->x, EXCHANGE_RESPONDING);
    wake_now(writer);
    return 0;
}

void exchange_wait(struct exchange_writer *writer)
{
    struct exchange *x = writer->x;
    uint32_t seen;

    exchange_announce(writer->thread);
    wake_now(writer);
    if (!window_is_full(writer)) {
        arena_chunk_wait(writer->arena, CHUNK_WAIT_MS);
        return;
    }
    atomic_store(&x->out_waiting, 1);
    seen = atomic_load(&x->out_head);
    if (writer->tail - seen >= EXCHANGE_PARTS - 1 &&
        !exchange_is_cancelled(writer))
        futex_wait(&x->out_head, seen,
                   writer->spool_to < SPOOL_MAX ? STUCK_NS : WAIT_NS);
    atomic_store(&x->out_waiting, 0);
}

bool exchange_await_room(struct exchange_writer *writer)
{
    struct exchange *x = writer->x;

    atomic_store(&x->out_waiting, 1);
    wake_now(writer);
    if (window_is_full(writer) && !exchange_is_cancelled(writer))
        return true;
    atomic_store(&x->out_waiting, 0);
    return false;
}

void exchange_body_want(struct exchange_writer *writer)
{
    uint32_t state = EXCHANGE_BODY_PENDING;

    if (!atomic_compare_exchange_strong(&writer->x->body_state, &state,
                                        EXCHANGE_BODY_WANTED))
        return;
    exchange_announce(writer->thread);
    wake_now(writer);
}

void exchange_nudge(struct exchange_writer *writer)
{
    wake_now(writer);
}

int exchange_body_wait(struct exchange_writer *writer)
{
    struct exchange *x = writer->x;
    uint32_t state;

    exchange_body_want(writer);
    state = atomic_load(&x->body_state);
    if (state == EXCHANGE_BODY_STREAMING) {
        futex_wait(&x->body_state, EXCHANGE_BODY_STREAMING, STREAM_WAIT_NS);
        return 0;
    }
    while (state == EXCHANGE_BODY_WANTED && !exchange_is_cancelled(writer)) {
        futex_wait(&x->body_state, EXCHANGE_BODY_WANTED, WAIT_NS);
        state = atomic_load(&x->body_state);
    }
    if (state == EXCHANGE_BODY_COMPLETE || state == EXCHANGE_BODY_STREAMING)
        return 0;
    return state == EXCHANGE_BODY_FAILED ? -EIO : -ECANCELED;
}

/*
 * A thread between quick requests lets a few responses collect before it
 * wakes the worker: one wake-up then sends them all in one system call. A
 * worker that dozes has set itself a time to look. When requests were slow
 * lately, none waits.
 */
static bool may_defer(const struct exchange_thread *thread, uint64_t now)
{
    if (board_dozes(board_worker(thread->site->board, thread->unrung_worker)))
        return true;
    return now - thread->slow_ns > SLOW_FOR_NS &&
           now - thread->unrung_ns < UNRUNG_NS;
}

/* Something for this worker to see. */
static void defer(struct exchange_thread *thread, uint32_t worker, uint64_t now)
{
    if (thread->unrung_worker != worker)
        exchange_announce(thread);
    if (thread->unrung++ == 0)
        thread->unrung_ns = now;
    thread->unrung_worker = worker;
}

static void announce_or_defer(struct exchange_thread *thread, uint32_t worker,
                              uint64_t now)
{
    defer(thread, worker, now);
    if (!thread->patient && !may_defer(thread, now))
        exchange_announce(thread);
}

int exchange_flush_later(struct exchange_writer *writer)
{
    int error = exchange_publish(writer);

    if (!error)
        defer(writer->thread, writer->arena->worker, now_ns());
    return error;
}

void exchange_finish(struct exchange_writer *writer)
{
    struct exchange_thread *thread = writer->thread;
    struct exchange *x = writer->x;
    uint32_t slot = exchange_slot(writer->arena, x);
    uint64_t now = now_ns();

    must(!has_spooled(writer) || writer->fill == writer->start);
    if (writer->fill > writer->start)
        bytes_publish(writer);
    else if (has_spooled(writer))
        spool_publish(writer);
    x->finished_ns = now;
    if (unlikely(writer->cpu_ns != 0))
        x->cpu_ns = thread_cpu_ns() - writer->cpu_ns + 1; /* never 0 */
    if (now - x->started_ns > SLOW_NS)
        thread->slow_ns = now;
    if (atomic_fetch_sub_explicit(&thread->self->running, 1,
                                  memory_order_relaxed) == 1)
        atomic_store_explicit(&thread->self->busy_since_ns, 0,
                              memory_order_relaxed);
    /* x is not ours any more after the next line. */
    word_move(x, EXCHANGE_DONE);
    mark_progress(writer, slot);
    announce_or_defer(thread, writer->arena->worker, now);
    writer->x = NULL;
}
