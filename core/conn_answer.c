/* SPDX-License-Identifier: MIT */
#include "conn_answer.h"

#include "conn_block.h"
#include "conn_close.h"
#include "conn_input.h"
#include "conn_late.h"
#include "conn_log.h"
#include "conn_output.h"
#include "conn_set.h"
#include "conn_static.h"

#include <string.h>

static const char *date_now(struct conn_set *set)
{
    time_t now = time(NULL);

    if ((uint64_t)now != set->date_s) {
        set->date_s = (uint64_t)now;
        http_date(set->date, now);
    }
    return set->date;
}

static struct bytes extra_of(int status)
{
    if (status == 503)
        return BYTES("Retry-After: 1\r\n");
    return BYTES("");
}

/* A response to HEAD ends with its head. */
static size_t head_end(const char *page, size_t len)
{
    const char *end = memmem(page, len, "\r\n\r\n", 4);

    return end ? (size_t)(end - page) + 4 : len;
}

/* "Connection: close" becomes the other. There is room: a page is small. */
static size_t say_keep_alive(char *page, size_t len)
{
    static const char close[] = "Connection: close";
    static const char alive[] = "Connection: keep-alive";
    size_t from = sizeof(close) - 1;
    size_t to = sizeof(alive) - 1;
    char *at = memmem(page, len, close, from);

    must(at);
    memmove(at + to, at + from, len - (size_t)(at + from - page));
    memcpy(at, alive, to);
    return len + to - from;
}

/* Nothing forbids another request on the connection. */
static bool keeps(const struct conn_set *set, const struct conn *c,
                  const struct http_request *request)
{
    return request->flags & HTTP_KEEP_ALIVE &&
           !(c->flags & (CONN_CLOSE | CONN_EXPECT)) && !set->drain_until_ns &&
           set->config->keepalive_ms != 0;
}

/* Nothing is wrong with the peer, and all it said has been read. */
static bool may_go_on(struct conn_set *set, const struct conn *c, int status,
                      const struct conn_question *q)
{
    if (status < 502 || status > 504 || !q->request ||
        !keeps(set, c, q->request))
        return false;
    if (c->x)
        return conn_job(set, c->x)->handed;
    return !http_has_body(q->request);
}

/* What the peer still sends is of no use when its answer is the last. */
static void settle_close(struct conn_set *set, struct conn *c)
{
    if (!(c->flags & CONN_CLOSE))
        return;
    conn_block_put(set, &c->stash);
    c->flags |= CONN_DISCARD | CONN_UNREAD;
    c->flags &= (uint16_t) ~(CONN_PAUSED | CONN_EXPECT);
}

/* Writes the page; returns its length. *ret_body is the body's. */
static size_t make_page(struct conn_set *set, struct conn *c, int status,
                        const char *text, const struct conn_question *q,
                        size_t *ret_body)
{
    char *page = c->page.at;
    int rc = http_error_response(page, c->page.size, status, extra_of(status),
                                 bytes_of(text), date_now(set));
    size_t len = (size_t)rc;
    size_t end;

    must(rc > 0);
    if (may_go_on(set, c, status, q))
        len = say_keep_alive(page, len);
    else
        c->flags |= CONN_CLOSE;
    end = head_end(page, len);
    if (q->request && q->request->method_id == HTTP_METHOD_HEAD)
        len = end;
    *ret_body = len - end;
    return len;
}

/* The exchange, if there is one, ends; q may point into it. */
static void answer(struct conn_set *set, struct conn *c, int status,
                   const char *text, const struct conn_question *q)
{
    struct access_entry entry = {.status = status};
    size_t len;

    conn_block_get(set, &c->page, 1, false);
    if (!c->page.at || c->inflight & (CONN_IN_OUTPUT | CONN_IN(CONN_OP_INTO))) {
        conn_close(set, c);
        return;
    }
    len = make_page(set, c, status, text, q, &entry.bytes);
    entry.duration_ns = set->now_ns - c->arrived_ns;
    conn_log_add(set, c, q, &entry);
    conn_count_status(set, status);
    if (c->x)
        conn_let_go(set, c, status == 504 ? EXCHANGE_OVERDUE : 0);
    settle_close(set, c);
    conn_send_page(set, c, len);
}

void conn_answer(struct conn_set *set, struct conn *c, int status,
                 const char *text)
{
    struct conn_question q = conn_question(set, c);

    answer(set, c, status, text, &q);
}

size_t conn_reply_make(struct conn_set *set, struct conn *c, const char *head,
                       const struct conn_reply *reply)
{
    struct conn_question q = {&set->request, head, set->fields};
    struct access_entry entry = {.status = reply->status};
    bool is_head = set->request.method_id == HTTP_METHOD_HEAD;
    size_t room = HTTP_REPLY_HEAD_MAX + reply->fields.n + reply->body.n;
    struct http_reply what = {reply->status, reply->fields, reply->length,
                              date_now(set), false};
    size_t len;

    conn_block_get(set, &c->page, room, false);
    if (!c->page.at) {
        conn_close(set, c);
        return 0;
    }
    if (http_has_body(&set->request) || !keeps(set, c, &set->request))
        c->flags |= CONN_CLOSE;
    what.keep_alive = !(c->flags & CONN_CLOSE);
    len = http_reply_head(c->page.at, &what);
    if (!is_head && reply->body.n > 0) {
        memcpy(c->page.at + len, reply->body.p, reply->body.n);
        len += reply->body.n;
    }
    entry.bytes = is_head ? 0 : reply->length;
    entry.duration_ns = set->now_ns - c->arrived_ns;
    if (reply->late && conn_log_fill(set, c, &q, &entry))
        conn_late_keep(reply->late, &entry);
    else if (!reply->quiet)
        conn_log_add(set, c, &q, &entry);
    conn_count_status(set, reply->status);
    settle_close(set, c);
    return len;
}

void conn_reply(struct conn_set *set, struct conn *c, const char *head,
                const struct conn_reply *reply)
{
    size_t len = conn_reply_make(set, c, head, reply);

    if (len > 0)
        conn_send_page(set, c, len);
}

void conn_reply_page(struct conn_set *set, struct conn *c, const char *head,
                     int status, struct bytes fields)
{
    static const char type[] = "Content-Type: text/html\r\n";
    struct conn_reply reply = {.status = status};
    char all[256];
    char page[512];
    int n = http_error_page(page, sizeof(page), status, BYTES(""));

    must(n > 0 && fields.n < sizeof(all) - sizeof(type));
    memcpy(all, type, sizeof(type) - 1);
    if (fields.n > 0)
        memcpy(all + sizeof(type) - 1, fields.p, fields.n);
    reply.fields = (struct bytes){all, sizeof(type) - 1 + fields.n};
    reply.body = (struct bytes){page, (size_t)n};
    reply.length = reply.body.n;
    conn_reply(set, c, head, &reply);
}

void conn_answered(struct conn_set *set, struct conn *c)
{
    if (unlikely(c->transfer) && conn_static_next(set, c))
        return;
    conn_block_put(set, &c->page);
    if (c->flags & CONN_CLOSE)
        conn_linger(set, c);
    else
        conn_next(set, c);
}

void conn_refuse(struct conn_set *set, struct conn *c, enum http_error error,
                 const char *head)
{
    struct conn_question q = {&set->request, head, set->fields};
    uint32_t dropped;

    if (c->x)
        q = conn_question(set, c);
    c->flags |= CONN_CLOSE;
    stats_add(&set->stats->bad_requests, 1);
    if (log_allow(&set->refuse_limit, &dropped))
        log_warning("Invalid request from ip=%.*s: %s%s", c->peer.addr_len,
                    c->peer.addr, http_error_text(error),
                    dropped ? " (and others)" : "");
    answer(set, c, http_error_status(error), http_error_text(error), &q);
}

/* Some bytes up to the next blank or the end. */
static struct http_span word(struct bytes line, uint32_t from)
{
    uint32_t to = from;

    while (to < line.n && line.p[to] != ' ')
        to++;
    return (struct http_span){from, to - from};
}

/* What a line that is no request line shows of itself in the access log. */
#define SHOWN_BYTES 1024

void conn_refuse_head(struct conn_set *set, struct conn *c,
                      enum http_error error, struct bytes data)
{
    struct http_request *request = &set->request;
    struct bytes line = {data.p, min_u64(data.n, SHOWN_BYTES)};
    uint32_t n = 0;

    while (n < line.n && line.p[n] != '\r' && line.p[n] != '\n')
        n++;
    line.n = n;
    *request = (struct http_request){.head_len = n};
    request->method = word(line, 0);
    n = (uint32_t)min_u64(request->method.len + 1, n);
    request->target = request->path = word(line, n);
    n = (uint32_t)min_u64(n + request->target.len + 1, line.n);
    request->version = (struct http_span){n, (uint32_t)line.n - n};
    conn_refuse(set, c, error, data.p);
}

void conn_shed(struct conn_set *set, struct conn *c, const char *head)
{
    struct conn_question q = {&set->request, head, set->fields};
    uint32_t dropped;

    stats_add(&set->stats->shed, 1);
    if (log_allow(&set->shed_limit, &dropped))
        log_warning("No room for more requests: answered 503 (%u in "
                    "progress, %u warnings dropped)",
                    set->handed, dropped);
    answer(set, c, 503, "", &q);
}
