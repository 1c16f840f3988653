/* SPDX-License-Identifier: MIT */
#include "conn_stream.h"

#include "board.h"
#include "board_interp.h"
#include "conn_ahead.h"
#include "conn_answer.h"
#include "conn_block.h"
#include "conn_body.h"
#include "conn_input.h"
#include "conn_output.h"
#include "conn_receive.h"
#include "conn_set.h"
#include "conn_skip.h"
#include "conn_socket.h"
#include "exchange_part.h"

/*
 * Where interpreters have event loops, a request is handed over before its
 * body is complete, unless that is short: the rest goes through a window in
 * shared memory while the connection is WAITING or SENDING. What does not fit
 * waits (see conn_ahead.h), and nothing more is received meanwhile.
 */

/* A loop is rung a little later than the request is ready. */
#define LATE_ERROR_NS (100 * NS_PER_MS)

static struct exchange_stream *stream_of(struct conn_set *set,
                                         const struct conn *c)
{
    return &conn_job(set, c->x)->stream;
}

static bool is_short(const struct conn *c, struct bytes rest)
{
    struct http_chunked probe = {0};
    struct bytes run;

    if (!(c->x->request.flags & HTTP_CHUNKED))
        return c->x->request.content_length <= EXCHANGE_CHUNK_BODY_BYTES;
    /* A chunked body that came with its head is complete, or wrong. */
    while (rest.n > 0 && !probe.done) {
        int n = http_chunked_next(&probe, rest, &run);

        if (n < 0)
            return true;
        rest.p += n;
        rest.n -= (size_t)n;
    }
    return probe.done;
}

bool conn_stream_wants(const struct conn_set *set, const struct conn *c,
                       struct bytes rest)
{
    return atomic_load_explicit(&set->table->board->streams,
                                memory_order_relaxed) &&
           !is_short(c, rest);
}

static void complete(struct conn_set *set, struct conn *c)
{
    c->flags &= (uint16_t) ~(CONN_STREAM | CONN_EXPECT);
    exchange_body_done(set->table, c->x, EXCHANGE_BODY_COMPLETE);
    conn_deadline(set, c,
                  c->state == CONN_WAITING ? set->config->request_timeout_ms
                                           : set->config->send_timeout_ms);
}

static bool is_socket(struct conn_set *set, const struct conn *c)
{
    return conn_job(set, c->x)->is_socket;
}

/* Something that came could not yet be given to the interpreter. */
static bool holds(struct conn_set *set, const struct conn *c)
{
    const struct conn_job *job = conn_job(set, c->x);

    return job->is_socket && job->socket.raw_held;
}

/* Nothing of a response is out or on its way. */
static bool may_answer(struct conn_set *set, const struct conn *c)
{
    struct exchange_part part;
    const char *bytes;

    return c->state == CONN_WAITING && !(c->inflight & CONN_IN_OUTPUT) &&
           conn_job(set, c->x)->sent_bytes == 0 &&
           exchange_part_next(set->table, c->x, 0, &part, &bytes) == 0;
}

/*
 * The body will never be complete. That is answered here, if it can be: the
 * application would take its client for one who left. The exchange may be gone
 * after that.
 */
static void fail(struct conn_set *set, struct conn *c, enum http_error error)
{
    enum conn_state state = (enum conn_state)c->state;

    c->flags &= (uint16_t)~CONN_STREAM;
    if (may_answer(set, c)) {
        if (error)
            conn_refuse(set, c, error, NULL);
        else
            conn_answer(set, c, 408, "");
        return;
    }
    conn_body_give_up(set, c);
    conn_block_put(set, &c->stash);
    c->state = state; /* it may be in the middle of a send */
}

static bool over_limit(const struct conn_set *set, const struct conn *c,
                       uint64_t more)
{
    uint64_t limit = set->config->body_limit_bytes;

    return limit && more > limit - min_u64(limit, c->x->body_bytes);
}

/* Returns how much of the piece is used, or a negative enum http_error. */
static int64_t take_chunked(struct conn_set *set, struct conn *c,
                            struct bytes piece, char *to)
{
    struct http_chunked *chunked = &conn_job(set, c->x)->chunked;
    struct bytes run;
    int n = http_chunked_next(chunked, piece, &run);

    if (n < 0)
        return n;
    if (over_limit(set, c, run.n))
        return -HTTP_ERROR_BODY_LIMIT;
    memcpy(to, run.p, run.n);
    exchange_stream_wrote(stream_of(set, c), run.n);
    c->x->body_bytes += run.n;
    if (chunked->done)
        complete(set, c);
    return n;
}

static int64_t take_length(struct conn_set *set, struct conn *c,
                           struct bytes piece, char *to)
{
    struct conn_job *job = conn_job(set, c->x);

    piece.n = min_u64(piece.n, job->body_left);
    memcpy(to, piece.p, piece.n);
    exchange_stream_wrote(stream_of(set, c), piece.n);
    c->x->body_bytes += piece.n;
    job->body_left -= piece.n;
    if (job->body_left == 0)
        complete(set, c);
    return (int64_t)piece.n;
}

/*
 * Where the next bytes go, and how many. The interpreter may have let go: the
 * peer may not look at its answer before it has sent all of its body.
 */
static size_t room(struct conn_set *set, const struct conn *c, char **ret_to)
{
    struct conn_job *job = conn_job(set, c->x);
    size_t n = exchange_stream_room(&job->stream, ret_to);

    if (n > 0 || !exchange_is_done(c->x) || job->skipped > CONN_SKIP_BYTES)
        return n;
    job->skipped += exchange_stream_forget(&job->stream);
    return exchange_stream_room(&job->stream, ret_to);
}

/* Returns how much of data is used: less when the window is full. */
static size_t feed(struct conn_set *set, struct conn *c, struct bytes data)
{
    bool chunked = c->x->request.flags & HTTP_CHUNKED;
    size_t used = 0;

    if (is_socket(set, c))
        return conn_socket_feed(set, c, data);
    while (used < data.n && c->flags & CONN_STREAM) {
        struct bytes piece = {data.p + used, data.n - used};
        char *to;
        int64_t n;

        piece.n = min_u64(piece.n, room(set, c, &to));
        if (piece.n == 0)
            break;
        n = chunked ? take_chunked(set, c, piece, to)
                    : take_length(set, c, piece, to);
        if (n < 0) {
            fail(set, c, (enum http_error) - n);
            return data.n;
        }
        used += (size_t)n;
    }
    if (used > 0)
        exchange_attend(set->table, c->x);
    return used;
}

/*
 * The clock only runs against the peer while it could send: for the rate that
 * any body must have, or, where it gets its answer meanwhile, for some of it.
 */
static void watch(struct conn_set *set, struct conn *c, size_t came, bool again)
{
    if (!c->x)
        return;
    if (c->state == CONN_WAITING && is_socket(set, c)) {
        conn_deadline(set, c, conn_socket_wait(set, c));
        return;
    }
    if (!(c->flags & CONN_STREAM) || c->state != CONN_WAITING)
        return;
    if (c->flags & CONN_PAUSED)
        conn_deadline(set, c, set->config->request_timeout_ms);
    else if (again || conn_job(set, c->x)->begun)
        conn_body_clock(set, c);
    else
        conn_body_keep_pace(set, c, came);
}

static void pause(struct conn_set *set, struct conn *c)
{
    if (!(c->flags & CONN_STREAM) || c->flags & CONN_PAUSED ||
        !conn_ahead(set, c))
        return;
    c->flags |= CONN_PAUSED;
    if (c->inflight & CONN_IN(CONN_OP_RECV))
        ring_cancel(set->ring, conn_token(c, CONN_OP_RECV));
}

size_t conn_stream_start(struct conn_set *set, struct conn *c,
                         struct bytes rest)
{
    c->flags |= CONN_STREAM | CONN_EXPECT;
    conn_job(set, c->x)->skipped = 0;
    exchange_stream_begin(stream_of(set, c), set->table, c->x);
    if (!conn_job(set, c->x)->handed)
        conn_hand_over(set, c);
    else
        exchange_attend(set->table, c->x);
    rest.n = feed(set, c, rest);
    watch(set, c, 0, true);
    return rest.n;
}

void conn_stream_input(struct conn_set *set, struct conn *c, struct bytes data)
{
    size_t used = conn_ahead(set, c) ? 0 : feed(set, c, data);
    struct bytes rest = {data.p + used, data.n - used};

    if (!(c->flags & CONN_DISCARD) && c->flags & CONN_STREAM)
        conn_ahead_put(set, c, rest);
    else if (!(c->flags & CONN_DISCARD))
        conn_stash(set, c, rest);
    if (c->state == CONN_CLOSING || !c->x)
        return;
    pause(set, c);
    watch(set, c, data.n, false);
    if (unlikely(is_socket(set, c)))
        conn_respond(set, c);
}

/* True: all of the stash is used, and more could be. */
static bool feed_stash(struct conn_set *set, struct conn *c)
{
    size_t used;

    if (c->stash.len == 0 && !holds(set, c))
        return true;
    used = feed(set, c, conn_stashed(c));
    if (c->flags & CONN_DISCARD || !c->x)
        return false;
    conn_stash_drop(set, c, used);
    return c->flags & CONN_STREAM && c->stash.len == 0 && !holds(set, c);
}

void conn_stream_progress(struct conn_set *set, struct conn *c)
{
    bool was_paused = c->flags & CONN_PAUSED;

    exchange_stream_trim(stream_of(set, c));
    while (feed_stash(set, c) && conn_ahead_pull(set, c))
        ;
    if (!c->x || c->state == CONN_CLOSING)
        return;
    if (!(c->flags & (CONN_STREAM | CONN_DISCARD)))
        conn_ahead_settle(set, c);
    if (c->flags & CONN_PAUSED &&
        (!conn_ahead(set, c) || !(c->flags & CONN_STREAM))) {
        c->flags &= (uint16_t)~CONN_PAUSED;
        conn_receive(set, c);
    }
    if (c->flags & CONN_EOF && !conn_ahead(set, c) && !holds(set, c)) {
        if (unlikely(is_socket(set, c))) {
            conn_socket_gone(set, c);
            return;
        }
        if (c->flags & CONN_STREAM)
            fail(set, c, HTTP_ERROR_BODY_SHORT);
    }
    watch(set, c, 0, was_paused);
}

void conn_stream_end(struct conn_set *set, struct conn *c)
{
    if (unlikely(is_socket(set, c))) {
        if (!conn_ahead(set, c) && !holds(set, c))
            conn_socket_gone(set, c);
        return;
    }
    atomic_fetch_or(&c->x->flags, EXCHANGE_PEER_DONE);
    if (c->flags & CONN_STREAM && !conn_ahead(set, c))
        fail(set, c, HTTP_ERROR_BODY_SHORT);
    if (c->x)
        exchange_attend(set->table, c->x);
}

/* The interpreter with an event loop that runs the exchange, or NULL. */
static struct board_interp *loop_of(struct conn_set *set,
                                    const struct exchange *x)
{
    struct board_interp *taker = exchange_taker(set->table, x);

    if (!taker || exchange_is_done(x) || !atomic_load(&taker->by_doorbell))
        return NULL;
    return taker;
}

/* With the time that an exception gets to end what holds it up. */
static uint64_t loop_limit_ns(const struct conn_set *set)
{
    const struct conn_config *config = set->config;

    return ((uint64_t)config->request_timeout_ms + config->request_soft_ms) *
           NS_PER_MS;
}

/* A loop that beats by itself is stuck when it has not for so long. */
static bool has_beaten(struct conn_set *set, struct conn *c,
                       struct board_interp *interp)
{
    uint64_t limit = loop_limit_ns(set);
    uint64_t beat = atomic_load(&interp->beat_ns);
    uint64_t quiet = set->now_ns - min_u64(beat, set->now_ns);

    if (quiet >= limit)
        return false;
    conn_deadline(set, c, (uint32_t)((limit - quiet) / NS_PER_MS) + 1);
    return true;
}

void conn_stream_untaken(struct conn_set *set)
{
    const struct board *board = set->table->board;
    uint64_t limit = loop_limit_ns(set);
    uint32_t first = set->table->arena.worker * BOARD_INTERPS_PER_WORKER;
    uint32_t i;

    for (i = first; i < first + BOARD_INTERPS_PER_WORKER; i++) {
        struct board_interp *interp = board_interp(board, i);
        uint64_t late = board_loop_late_ns(interp, set->now_ns);
        uint64_t none = 0;

        if (!atomic_load(&interp->by_doorbell) ||
            !board_interp_serves(atomic_load(&interp->state)) ||
            late + LATE_ERROR_NS < limit ||
            !atomic_compare_exchange_strong(&interp->stuck_ns, &none,
                                            set->now_ns))
            continue;
        log_critical("WORKER TIMEOUT (pid:%d): it takes no requests",
                     (int)atomic_load(&interp->pid));
        board_wake_master(board);
    }
}

/*
 * With an event loop a request may take any time; what may not is one turn of
 * the loop. So it is rung, and has turned when we look again.
 */
bool conn_stream_timeout(struct conn_set *set, struct conn *c)
{
    struct conn_job *job = conn_job(set, c->x);
    struct board_interp *interp = loop_of(set, c->x);

    if (job->is_socket) {
        conn_socket_timeout(set, c);
        return true;
    }
    if (c->flags & CONN_STREAM && !(c->flags & CONN_PAUSED)) {
        stats_add(&set->stats->timeouts, 1);
        fail(set, c, HTTP_ERROR_NONE);
        return true;
    }
    if (!interp)
        return false;
    if (atomic_load(&interp->beats))
        return has_beaten(set, c, interp);
    if (job->probe_ns != 0 && atomic_load(&interp->beat_ns) < job->probe_ns)
        return false;
    job->probe_ns = set->now_ns;
    exchange_attend(set->table, c->x);
    conn_deadline(set, c, set->config->request_timeout_ms);
    return true;
}
