/* SPDX-License-Identifier: MIT */
#include "conn_skip.h"

#include "conn_block.h"
#include "conn_close.h"
#include "conn_input.h"
#include "conn_receive.h"
#include "conn_set.h"

/* In c->page, which has no other use meanwhile. */
struct skip {
    uint64_t left; /* of a body that is not chunked */
    uint64_t seen;
    struct http_chunked chunked;
    bool is_chunked;
};

bool conn_skip_may(struct conn_set *set, const struct conn *c)
{
    const struct conn_job *job = conn_job(set, c->x);
    bool chunked = c->x->request.flags & HTTP_CHUNKED;

    return c->flags & CONN_STREAM &&
           !(c->flags & (CONN_CLOSE | CONN_EOF | CONN_DISCARD)) &&
           exchange_spill_left(&job->spill) == 0 &&
           (chunked ||
            job->body_left <= CONN_SKIP_BYTES + (uint64_t)c->stash.len);
}

/* Returns how much of data is used, or a negative enum http_error. */
static int64_t take(struct skip *skip, struct bytes data)
{
    struct bytes run;
    size_t used = 0;

    if (!skip->is_chunked) {
        used = min_u64(skip->left, data.n);
        skip->left -= used;
    }
    while (skip->is_chunked && used < data.n && !skip->chunked.done) {
        struct bytes piece = {data.p + used, data.n - used};
        int n = http_chunked_next(&skip->chunked, piece, &run);

        if (n < 0)
            return n;
        used += (size_t)n;
    }
    skip->seen += used;
    return (int64_t)used;
}

static bool is_done(const struct skip *skip)
{
    return skip->is_chunked ? skip->chunked.done : skip->left == 0;
}

/* Its answer was the last thing said. */
static void give_up(struct conn_set *set, struct conn *c)
{
    conn_block_put(set, &c->page);
    conn_linger(set, c);
}

void conn_skip_input(struct conn_set *set, struct conn *c, struct bytes data)
{
    struct skip *skip = (struct skip *)(void *)c->page.at;
    int64_t used = take(skip, data);

    if (used < 0 || skip->seen > CONN_SKIP_BYTES) {
        give_up(set, c);
        return;
    }
    if (!is_done(skip))
        return;
    conn_block_put(set, &c->page);
    data.p += used;
    data.n -= (size_t)used;
    conn_stash(set, c, data);
    if (c->state != CONN_CLOSING)
        conn_next(set, c);
}

void conn_skip_timeout(struct conn_set *set, struct conn *c)
{
    stats_add(&set->stats->timeouts, 1);
    give_up(set, c);
}

void conn_skip_start(struct conn_set *set, struct conn *c)
{
    const struct conn_job *job = conn_job(set, c->x);
    struct conn_span stash = c->stash;
    struct bytes stashed = conn_stashed(c);
    struct skip *skip;

    conn_block_get(set, &c->page, sizeof(*skip), false);
    if (!c->page.at) {
        conn_close(set, c);
        return;
    }
    skip = (struct skip *)(void *)c->page.at;
    *skip = (struct skip){
        .left = job->body_left,
        .chunked = job->chunked,
        .is_chunked = c->x->request.flags & HTTP_CHUNKED,
    };
    conn_let_go(set, c, 0);
    c->state = CONN_SKIPPING;
    c->flags &= (uint16_t) ~(CONN_STREAM | CONN_EXPECT | CONN_PAUSED);
    conn_deadline(set, c, set->config->linger_ms);
    c->stash = (struct conn_span){0};
    conn_skip_input(set, c, stashed);
    conn_block_put(set, &stash);
    conn_receive(set, c);
}
