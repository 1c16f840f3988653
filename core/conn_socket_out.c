/* SPDX-License-Identifier: MIT */
#include "conn_block.h"
#include "conn_close.h"
#include "conn_output.h"
#include "conn_set.h"
#include "conn_socket.h"
#include "conn_stream.h"
#include "exchange_part.h"
#include "exchange_progress.h"
#include "exchange_request.h"

#include <stdio.h>
#include <string.h>

/*
 * What the interpreter wrote becomes frames in a block that is sent at once.
 * Control frames go between them.
 */

/* Of the interpreter's bytes, in one go. */
#define SLICE_BYTES (64U << 10)
/* The lines of a handshake's answer but for those of the application. */
#define ACCEPT_MAX 512
/* What is longer is worth a large block. */
#define SMALL_BYTES 6144
#define LARGE_BYTES (128U << 10)

/* The application's lines follow. */
static size_t accept_lines(struct conn_set *set, struct conn *c, char *to)
{
    const struct ws_agreed *agreed = &conn_job(set, c->x)->socket.out.agreed;
    struct bytes key = exchange_field(&set->table->arena, c->x,
                                      BYTES("sec-websocket-key"));
    char accept[WS_ACCEPT_LEN];
    char answer[WS_ANSWER_MAX];
    size_t len = agreed->deflate ? ws_offer_answer(agreed, answer) : 0;
    int n;

    if (!ws_key_is_valid(key))
        return 0;
    ws_accept(key, accept);
    n = snprintf(to, ACCEPT_MAX,
                 "HTTP/1.1 101 Switching Protocols\r\nServer: gcorn\r\n"
                 "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Accept: %.*s\r\n%s%.*s%s",
                 WS_ACCEPT_LEN, accept,
                 len > 0 ? "Sec-WebSocket-Extensions: " : "", (int)len, answer,
                 len > 0 ? "\r\n" : "");
    must(n > 0 && n < ACCEPT_MAX);
    return (size_t)n;
}

/* The lines of the application, to be sent as they are. */
static void take_lines(struct conn *c, struct ws_out *out, struct bytes *in)
{
    struct conn_span *page = &c->page;
    size_t n = min_u64(min_u64(out->left, in->n), page->size - page->len);

    memcpy(page->at + page->len, in->p, n);
    page->len += (uint32_t)n;
    in->p += n;
    in->n -= n;
    out->left -= (uint32_t)n;
    if (out->left == 0)
        ws_out_noted(out);
}

/* The application closes. False: with what may not be sent. */
static bool take_close(struct conn_set *set, struct conn *c, struct bytes *in)
{
    struct conn_socket *socket = &conn_job(set, c->x)->socket;
    struct ws_out *out = &socket->out;
    size_t n = min_u64(out->left, in->n);
    struct bytes reason;

    if (n > sizeof(socket->reason) - socket->reason_len)
        return false;
    memcpy(socket->reason + socket->reason_len, in->p, n);
    socket->reason_len = (uint8_t)(socket->reason_len + n);
    in->p += n;
    in->n -= n;
    out->left -= (uint32_t)n;
    if (out->left > 0)
        return true;
    ws_out_noted(out);
    if (out->note.code != WS_NO_STATUS && !ws_code_is_valid(out->note.code))
        return false;
    reason = (struct bytes){socket->reason, socket->reason_len};
    /* Who failed does not wait for the client's word. */
    if (out->note.code == WS_INTERNAL_ERROR)
        conn_socket_shut(set, c, out->note.code, reason);
    else
        conn_socket_close(set, c, out->note.code, reason);
    return true;
}

static bool take_note(struct conn_set *set, struct conn *c, struct bytes *in)
{
    struct conn_socket *socket = &conn_job(set, c->x)->socket;

    if (socket->out.note.kind == WS_CLOSE)
        return take_close(set, c, in);
    if (socket->out.note.kind != EXCHANGE_NOTE_ACCEPT)
        return false;
    take_lines(c, &socket->out, in);
    return true;
}

/* The first note, when the page is empty. */
static bool begin_note(struct conn_set *set, struct conn *c)
{
    struct conn_job *job = conn_job(set, c->x);
    struct conn_span *page = &c->page;

    if (job->socket.out.note.kind != EXCHANGE_NOTE_ACCEPT)
        return true;
    if (job->begun || page->size - page->len < ACCEPT_MAX)
        return false;
    job->begun = true;
    page->len += (uint32_t)accept_lines(set, c, page->at + page->len);
    return page->len > 0;
}

/* Takes bytes of a part. False: nonsense. */
static bool take(struct conn_set *set, struct conn *c, struct bytes *in)
{
    struct conn_socket *socket = &conn_job(set, c->x)->socket;
    struct conn_span *page = &c->page;
    size_t made;

    if (ws_out_is_noting(&socket->out))
        return take_note(set, c, in);
    switch (ws_out_next(&set->zlib, &socket->out, in, page->at + page->len,
                        page->size - page->len, &made)) {
    case WS_OUT_MORE:
        page->len += (uint32_t)made;
        socket->sent += made;
        return true;
    case WS_OUT_NOTE:
        return begin_note(set, c) && take_note(set, c, in);
    case WS_OUT_BAD:
        break;
    }
    return false;
}

/* What is not yet taken of the next part. 1, 0 or -EBADMSG. */
static int next_part(struct conn_set *set, struct conn *c, struct bytes *ret)
{
    uint32_t off = conn_job(set, c->x)->socket.part_off;
    struct exchange_part part = {0};
    const char *bytes = NULL;
    int rc = exchange_part_next(set->table, c->x, conn_job(set, c->x)->parts,
                                &part, &bytes);

    *ret = (struct bytes){"", 0};
    if (rc <= 0)
        return rc;
    if (part.kind != EXCHANGE_PART_BYTES || off > part.len)
        return -EBADMSG;
    *ret = (struct bytes){bytes + off, part.len - off};
    return 1;
}

/* n bytes of the next part were taken, and there are so many left. */
static void passed(struct conn_set *set, struct conn *c, size_t n, size_t left)
{
    struct conn_job *job = conn_job(set, c->x);

    job->socket.part_off += (uint32_t)n;
    if (left > 0)
        return;
    job->socket.part_off = 0;
    job->socket.wrote = true;
    job->parts++;
}

/* Nothing of what the application says is sent behind a close frame. */
static int drop_parts(struct conn_set *set, struct conn *c)
{
    struct bytes rest;
    int rc;

    while ((rc = next_part(set, c, &rest)) > 0)
        passed(set, c, rest.n, 0);
    return rc;
}

/* Control frames, all of them or none. True when the way is free. */
static bool put_control(struct conn_set *set, struct conn *c)
{
    struct conn_socket *socket = &conn_job(set, c->x)->socket;
    struct conn_span *control = &socket->control;
    struct conn_span *page = &c->page;

    if (!ws_out_is_between(&socket->out) || !control->at)
        return true;
    if (page->size - page->len < control->len)
        return false;
    memcpy(page->at + page->len, control->at, control->len);
    page->len += control->len;
    conn_block_put(set, control);
    socket->close_sent = socket->close_queued;
    return true;
}

/* As far as there is something to be taken, and room. 0 or -errno. */
static int fill_page(struct conn_set *set, struct conn *c)
{
    struct conn_job *job = conn_job(set, c->x);
    size_t taken = 0;

    while (put_control(set, c) && !job->lost && taken < SLICE_BYTES &&
           c->page.size - c->page.len >= WS_OUT_ROOM_MIN) {
        struct bytes in;
        size_t before;
        int rc;

        if (job->socket.close_sent)
            return drop_parts(set, c);
        rc = next_part(set, c, &in);
        if (rc < 0 || (rc == 0 && !ws_out_is_pending(&job->socket.out)))
            return rc;
        before = in.n;
        if (!take(set, c, &in))
            return -EBADMSG;
        if (rc > 0)
            passed(set, c, before - in.n, in.n);
        taken += before - in.n;
    }
    if (taken >= SLICE_BYTES)
        exchange_again(set->table, c->x);
    return 0;
}

/* The interpreter is told once of all that was taken. */
static int fill(struct conn_set *set, struct conn *c)
{
    struct conn_job *job = conn_job(set, c->x);
    int rc = fill_page(set, c);

    if (rc == 0 && job->parts > 0)
        exchange_parts_sent(set->table, c->x, job->parts);
    job->parts = 0;
    return rc;
}

/* 1 when there is something to be made of, 0 or -EBADMSG. */
static int has_work(struct conn_set *set, struct conn *c, size_t *ret_size)
{
    struct conn_socket *socket = &conn_job(set, c->x)->socket;
    struct bytes in;
    int rc = next_part(set, c, &in);

    *ret_size = max_u64(in.n, socket->out.left) > SMALL_BYTES ? LARGE_BYTES : 1;
    if (rc == 0)
        rc = (socket->control.at && ws_out_is_between(&socket->out)) ||
             ws_out_is_pending(&socket->out);
    return rc;
}

static void keep_head(struct conn_set *set, const struct conn *c)
{
    struct conn_job *job = conn_job(set, c->x);

    if (likely(!set->log || job->kept > 0 ||
               !access_log_wants_response(set->log)))
        return;
    job->kept = (uint16_t)min_u64(c->page.len, CONN_KEPT_HEAD);
    memcpy(conn_kept_head(set, c->x), c->page.at, job->kept);
}

/* Nothing to send now. */
static void rest(struct conn_set *set, struct conn *c)
{
    struct conn_job *job = conn_job(set, c->x);
    struct conn_socket *socket = &job->socket;

    if (socket->close_sent && socket->close_heard) {
        conn_let_go(set, c, 0);
        conn_linger(set, c);
    } else if (!socket->close_sent && (job->lost || exchange_is_over(c->x))) {
        conn_close(set, c); /* in the middle of something */
    } else if (c->state == CONN_SENDING) {
        c->state = CONN_WAITING;
        conn_deadline(set, c, conn_socket_wait(set, c));
    }
}

void conn_socket_respond(struct conn_set *set, struct conn *c)
{
    size_t size = 1;
    int rc;

    if (!conn_job(set, c->x)->is_socket)
        conn_socket_begin(set, c);
    rc = has_work(set, c, &size);
    if (rc > 0) {
        conn_block_get(set, &c->page, size, true);
        rc = c->page.at ? fill(set, c) : -ENOMEM;
    }
    if (rc < 0) {
        log_error("A WebSocket cannot go on: %s", strerror(-rc));
        conn_close(set, c);
    } else if (c->page.len > 0 && c->state != CONN_CLOSING) {
        keep_head(set, c);
        conn_send_page(set, c, c->page.len);
    } else if (c->state != CONN_CLOSING) {
        conn_block_put(set, &c->page);
        rest(set, c);
    }
}

void conn_socket_sent(struct conn_set *set, struct conn *c)
{
    conn_block_put(set, &c->page);
    if (c->flags & CONN_STREAM)
        conn_stream_progress(set, c);
    conn_respond(set, c);
}
