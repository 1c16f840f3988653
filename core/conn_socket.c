/* SPDX-License-Identifier: MIT */
#include "conn_socket.h"

#include "conn_answer.h"
#include "conn_close.h"
#include "conn_log.h"
#include "conn_output.h"
#include "conn_set.h"
#include "exchange_request.h"

/* How long the client's close frame is waited for. */
#define CLOSE_MS 10000

/* The value of a field, of which there may be only one; NULL: none. */
struct find {
    struct bytes value;
    uint32_t count;
};

static struct find find(const struct conn_set *set, const char *head,
                        const char *name)
{
    struct find found = {0};
    uint32_t i;

    for (i = 0; i < set->request.field_count; i++) {
        const struct http_field *field = &set->fields[i];

        if (field->flags & (HTTP_FIELD_DROPPED | HTTP_FIELD_VARIABLE) ||
            !bytes_equal_nocase(
                (struct bytes){head + field->name_off, field->name_len},
                bytes_of(name)))
            continue;
        found.value = (struct bytes){head + field->value_off, field->value_len};
        found.count++;
    }
    return found;
}

bool conn_socket_refuses(struct conn_set *set, struct conn *c, const char *head)
{
    const struct http_request *request = &set->request;
    struct find version, key;

    if (request->flags & HTTP_GATEWAY ||
        !atomic_load_explicit(&set->table->board->streams,
                              memory_order_relaxed) ||
        !bytes_equal_nocase(find(set, head, "upgrade").value,
                            BYTES("websocket")))
        return false;
    version = find(set, head, "sec-websocket-version");
    key = find(set, head, "sec-websocket-key");
    if (version.count == 1 && !bytes_equal(version.value, BYTES("13"))) {
        conn_reply_page(set, c, head, 426,
                        BYTES("Upgrade: websocket\r\n"
                              "Sec-WebSocket-Version: 13\r\n"));
        return true;
    }
    if (version.count == 1 && key.count == 1 && ws_key_is_valid(key.value) &&
        request->method_id == HTTP_METHOD_GET && !http_has_body(request))
        return false;
    conn_reply_page(set, c, head, 400, BYTES(""));
    return true;
}

/* The first acceptable offer in any of the request's fields. */
static void agree(struct conn_set *set, struct conn *c)
{
    struct conn_socket *socket = &conn_job(set, c->x)->socket;
    struct ws_agreed *agreed = &socket->out.agreed;
    struct bytes offers;
    uint32_t at = 0;

    if (!set->config->socket_deflate)
        return;
    while (!agreed->deflate &&
           exchange_field_next(&set->table->arena, c->x,
                               BYTES("sec-websocket-extensions"), &at, &offers))
        ws_offer_choose(offers, agreed);
    if (!agreed->deflate || agreed->client_forgets)
        return;
    socket->window = ws_window_get(&set->zlib);
    agreed->client_forgets = !socket->window;
}

void conn_socket_begin(struct conn_set *set, struct conn *c)
{
    struct conn_job *job = conn_job(set, c->x);

    job->is_socket = true;
    job->socket = (struct conn_socket){
        .parser.max_bytes = set->config->socket_max,
        .heard_ms = set->now_ms,
    };
    agree(set, c);
    job->socket.parser.deflate = job->socket.out.agreed.deflate;
    c->flags |= CONN_CLOSE | CONN_UNREAD | CONN_STREAM;
    exchange_stream_begin(&job->stream, set->table, c->x);
}

bool conn_socket_control(struct conn_set *set, struct conn *c,
                         enum ws_opcode opcode, struct bytes payload)
{
    struct conn_span *control = &conn_job(set, c->x)->socket.control;
    size_t n;

    if (!control->at)
        conn_block_get(set, control, CONN_CONTROL_BYTES, false);
    if (!control->at ||
        control->size - control->len < WS_HEAD_MAX + payload.n) {
        conn_close(set, c);
        return false;
    }
    n = ws_head(control->at + control->len, opcode, payload.n);
    memcpy(control->at + control->len + n, payload.p, payload.n);
    control->len += (uint32_t)(n + payload.n);
    return true;
}

/* Nothing that comes now is looked at. */
static void stop(struct conn_set *set, struct conn *c)
{
    c->flags |= CONN_DISCARD;
    c->flags &= (uint16_t) ~(CONN_STREAM | CONN_PAUSED);
    conn_block_put(set, &c->stash);
}

void conn_socket_close(struct conn_set *set, struct conn *c, uint32_t code,
                       struct bytes reason)
{
    struct conn_socket *socket = &conn_job(set, c->x)->socket;
    char payload[WS_CONTROL_MAX];
    size_t n = 0;

    if (socket->close_queued)
        return;
    socket->close_queued = true;
    if (c->state == CONN_WAITING)
        conn_deadline(set, c, CLOSE_MS);
    if (code != WS_NO_STATUS) {
        payload[0] = (char)(code >> 8);
        payload[1] = (char)code;
        n = min_u64(reason.n, sizeof(payload) - 2);
        memcpy(payload + 2, reason.p, n);
        n += 2;
    }
    conn_socket_control(set, c, WS_CLOSE, (struct bytes){payload, n});
}

void conn_socket_shut(struct conn_set *set, struct conn *c, uint32_t code,
                      struct bytes reason)
{
    conn_job(set, c->x)->socket.close_heard = true;
    stop(set, c);
    conn_socket_close(set, c, code, reason);
}

/* What is left of ms that began then. */
static uint32_t left_of(const struct conn_set *set, uint64_t since, uint32_t ms)
{
    if (ms == 0)
        return 0;
    return set->now_ms >= since + ms ? 1 : (uint32_t)(since + ms - set->now_ms);
}

uint32_t conn_socket_wait(struct conn_set *set, const struct conn *c)
{
    const struct conn_socket *socket = &conn_job(set, c->x)->socket;

    if (socket->close_queued)
        return CLOSE_MS;
    if (socket->pinged_ms)
        return left_of(set, socket->pinged_ms,
                       set->config->socket_ping_timeout_ms);
    return left_of(set, socket->heard_ms, set->config->socket_ping_ms);
}

/* Its pong may be in what we do not read, because it is not taken from us. */
static bool is_held_up(struct conn_set *set, const struct conn *c)
{
    return c->flags & CONN_PAUSED || c->stash.len > 0 ||
           conn_job(set, c->x)->socket.raw_held;
}

static void ping(struct conn_set *set, struct conn *c)
{
    struct conn_socket *socket = &conn_job(set, c->x)->socket;

    socket->pinged_ms = set->now_ms;
    if (!socket->out.compresses)
        ws_out_drop(&set->zlib, &socket->out); /* idle: others may have it */
    conn_socket_control(set, c, WS_PING, BYTES(""));
    if (!socket->wrote)
        return;
    socket->wrote = false;
    socket->idle = true;
    atomic_fetch_or(&c->x->flags, EXCHANGE_IDLE);
    exchange_attend(set->table, c->x);
}

void conn_socket_timeout(struct conn_set *set, struct conn *c)
{
    struct conn_socket *socket = &conn_job(set, c->x)->socket;

    if (socket->close_queued) {
        conn_close(set, c);
        return;
    }
    if (is_held_up(set, c)) {
        socket->heard_ms = set->now_ms;
        socket->pinged_ms = 0;
        conn_deadline(set, c, set->config->socket_ping_ms);
        return;
    }
    if (!socket->pinged_ms) {
        ping(set, c);
    } else {
        stats_add(&set->stats->timeouts, 1);
        conn_socket_shut(set, c, WS_INTERNAL_ERROR,
                         BYTES("keepalive ping timeout"));
    }
    if (c->state == CONN_WAITING)
        conn_deadline(set, c, conn_socket_wait(set, c));
    conn_respond(set, c);
}

void conn_socket_gone(struct conn_set *set, struct conn *c)
{
    conn_let_go(set, c, 0);
    conn_close(set, c);
}

void conn_socket_lost(struct conn_set *set, struct conn *c)
{
    conn_job(set, c->x)->lost = true;
    stats_add(&set->stats->lost, 1);
    conn_socket_shut(set, c, WS_INTERNAL_ERROR, BYTES(""));
    conn_respond(set, c);
}

void conn_socket_drop(struct conn_set *set, struct conn *c)
{
    struct conn_socket *socket = &conn_job(set, c->x)->socket;

    if (socket->inflater)
        ws_inflate_end(&set->zlib, socket->inflater, NULL, 0);
    if (socket->window)
        ws_window_put(&set->zlib, socket->window);
    ws_out_drop(&set->zlib, &socket->out);
    conn_block_put(set, &socket->control);
    conn_account(set, c, socket->sent);
}
