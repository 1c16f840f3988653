/* SPDX-License-Identifier: MIT */
/*
 * conn_steps - what the files of conn ask of each other. For conn*.c only.
 *
 * conn.c (events, deadlines, the end), conn_accept.c, conn_input.c (bytes to
 * requests), conn_body.c, conn_output.c (parts to bytes), conn_file.c (files
 * as parts), conn_answer.c (answers of the worker's own), conn_edge.c (proxies
 * and gateways), conn_block.c, conn_evict.c (who has to leave).
 *
 * A step may end in conn_close(), after which the connection stays valid until
 * the end of the turn: look at its state before going on.
 */
#ifndef GCORN_CORE_CONN_STEPS_H
#define GCORN_CORE_CONN_STEPS_H

#include "conn_state.h"

/* conn_block.c: a block of at least size bytes; a smaller one when there is
 * no such and less is acceptable. at is NULL when there is none. */
void conn_block_get(struct conn_set *set, struct conn_span *span, size_t size,
                    bool less);
void conn_block_put(struct conn_set *set, struct conn_span *span);

/* conn_accept.c */
void conn_on_accept(struct conn_set *set, uint32_t index, int result);
void conn_accept_turn(struct conn_set *set);
uint64_t conn_accept_due(const struct conn_set *set);
/* How long a connection may be silent between two requests. */
uint32_t conn_idle_ms(const struct conn_set *set);

/* conn_edge.c: whom to believe, when a connection starts; ip is NULL for a Unix
 * socket. */
void conn_edge_open(struct conn_set *set, struct conn *c, const struct ip *ip);
/* Takes a PROXY protocol header off the front of the connection's first bytes;
 * with CONN_PREFACE still set more of it has to come. */
enum http_error conn_edge_preface(struct conn_set *set, struct conn *c,
                                  struct bytes *data);
/* As http_parse(). */
int conn_edge_uwsgi(struct conn_set *set, const struct conn *c,
                    struct bytes data);

/* A request of which a proxy or gateway may have something to say. */
static inline bool conn_is_edged(const struct conn_set *set,
                                 const struct conn *c)
{
    return set->request.flags & (HTTP_FORWARDED | HTTP_GATEWAY) ||
           c->flags & CONN_PROXIED;
}

/* What it says goes to set->edge; then, with the request, to the exchange. */
enum http_error conn_edge_head(struct conn_set *set, struct conn *c,
                               const char *head);
void conn_edge_fill(struct conn_set *set, struct exchange *x, char *head,
                    struct http_field *fields);

/* conn.c: receives what the state wants, unless it does already. */
void conn_receive(struct conn_set *set, struct conn *c);
/* Ends everything in flight; the rest happens at the end of the turn. */
void conn_close(struct conn_set *set, struct conn *c);
void conn_linger(struct conn_set *set, struct conn *c);
/* The exchange is nobody's concern here any more: freed or cancelled. */
void conn_let_go(struct conn_set *set, struct conn *c, uint32_t flags);

/* conn_input.c */
void conn_input(struct conn_set *set, struct conn *c, struct bytes data);
/* After a response: the next request is in the stash, or none is. */
void conn_next(struct conn_set *set, struct conn *c);
/* Puts bytes behind those in the stash; closes when there is no room. */
void conn_stash(struct conn_set *set, struct conn *c, struct bytes data);
/* Takes bytes off the front; an empty stash goes back to its pool. */
void conn_stash_drop(struct conn_set *set, struct conn *c, size_t n);

/* conn_body.c: the exchange has just got its head; rest follows it. Returns
 * how much of the rest belonged to the body. */
size_t conn_body_start(struct conn_set *set, struct conn *c, struct bytes rest);
size_t conn_body_feed(struct conn_set *set, struct conn *c, struct bytes data);
void conn_body_wanted(struct conn_set *set, struct conn *c);
/* It will never be complete, says the peer or the clock. */
void conn_body_failed(struct conn_set *set, struct conn *c);
/* It is not wanted any more, or cannot be had, by an interpreter that runs. */
void conn_body_give_up(struct conn_set *set, struct conn *c);
/* It is better received in large pieces. */
bool conn_body_is_large(struct conn_set *set, const struct conn *c);

/* conn_evict.c: takes its exchange from the request whose body comes most
 * slowly (408), for one that is complete. False: there is no more room yet. */
bool conn_evict(struct conn_set *set);
/* READING -> READY. */
void conn_hand_over(struct conn_set *set, struct conn *c);

/* conn_stream.c: the body goes to an interpreter that already runs. */
bool conn_stream_wants(const struct conn_set *set, const struct conn *c,
                       struct bytes rest);
/* As conn_body_start(). */
size_t conn_stream_start(struct conn_set *set, struct conn *c,
                         struct bytes rest);
/* With CONN_STREAM: more bytes; some were read by the interpreter. */
void conn_stream_input(struct conn_set *set, struct conn *c, struct bytes data);
void conn_stream_progress(struct conn_set *set, struct conn *c);
/* The peer closed its side while the exchange is run. */
void conn_stream_end(struct conn_set *set, struct conn *c);
/* True when the end of a wait was dealt with: an event loop may take longer. */
bool conn_stream_timeout(struct conn_set *set, struct conn *c);

/* conn_skip.c: the rest of the body of an exchange that is over may be read for
 * the sake of the next request, up to so much. */
#define CONN_SKIP_BYTES (1U << 20)
bool conn_skip_may(struct conn_set *set, const struct conn *c);
/* Lets go of the exchange; ends in conn_next(), or otherwise. */
void conn_skip_start(struct conn_set *set, struct conn *c);
void conn_skip_input(struct conn_set *set, struct conn *c, struct bytes data);
void conn_skip_timeout(struct conn_set *set, struct conn *c);

/* Nobody took a request for as long as it may take: an event loop at home that
 * has not come round since is stuck, too. */
void conn_stream_untaken(struct conn_set *set);

/* conn_output.c: sends what the interpreter published, and after the last of
 * it ends the exchange. */
void conn_respond(struct conn_set *set, struct conn *c);
/* So many bytes of its page, which is an answer of our own or frames. */
void conn_send_page(struct conn_set *set, struct conn *c, size_t len);
/* The exchange in statistics and access log. */
void conn_account(struct conn_set *set, struct conn *c, uint64_t bytes);
void conn_on_sent(struct conn_set *set, struct conn *c, int result);

/* conn_file.c: 1 when it is being read, 0 when it is empty, or -errno. */
int conn_file_start(struct conn_set *set, struct conn *c,
                    const struct exchange_part *part);
/* A piece was sent; false when it was the last. */
bool conn_file_next(struct conn_set *set, struct conn *c);
void conn_on_read(struct conn_set *set, struct conn *c, int result);
void conn_files_receive(struct conn_set *set);
void conn_files_drop(struct conn_set *set, struct conn_job *job);

/* conn_static.c: a conn_local_fn, and the file on its way after that. */
bool conn_static(struct conn_set *set, struct conn *c, const char *head);
void conn_static_on_read(struct conn_set *set, struct conn *c, int result);
/* A piece was sent; false when it was the last. */
bool conn_static_next(struct conn_set *set, struct conn *c);
void conn_static_drop(struct conn_set *set, struct conn *c);

/*
 * conn_answer.c: answers without an interpreter. They end the connection,
 * unless it is the server's fault (502, 503, 504) and all was read.
 */
void conn_answer(struct conn_set *set, struct conn *c, int status,
                 const char *text);
void conn_answered(struct conn_set *set, struct conn *c);
/* A response of the worker's own to the request in set->request, which has no
 * exchange yet. Keeps the connection alive if the request may and has no body.
 * What follows the body, up to length, is the caller's to send. */
struct conn_reply {
    int status;
    struct bytes fields;    /* whole lines, each with its CRLF */
    struct bytes body;      /* copied; left out for HEAD */
    uint64_t length;        /* Content-Length; body.n, or more */
    bool quiet;             /* not in the access log */
    struct conn_late *late; /* keeps the line until a transfer ends */
};
void conn_reply(struct conn_set *set, struct conn *c, const char *head,
                const struct conn_reply *reply);
/* The same, but leaves the sending of c->page, too, to the caller. Returns its
 * length; 0: there was no room, and the connection was closed. */
size_t conn_reply_make(struct conn_set *set, struct conn *c, const char *head,
                       const struct conn_reply *reply);
/* With the small HTML page that belongs to the status. */
void conn_reply_page(struct conn_set *set, struct conn *c, const char *head,
                     int status, struct bytes fields);
/* With an exchange, or for the request in set->request with this head. */
void conn_refuse(struct conn_set *set, struct conn *c, enum http_error error,
                 const char *head);
/* For bytes that are no head. */
void conn_refuse_head(struct conn_set *set, struct conn *c,
                      enum http_error error, struct bytes data);
/* No exchange is free for the request in set->request. */
void conn_shed(struct conn_set *set, struct conn *c, const char *head);
void conn_overdue(struct conn_set *set, struct conn *c);
/* A line of the access log for the connection's exchange. */
void conn_log(struct conn_set *set, struct conn *c, int status, uint64_t bytes);
/* The same, and counted, for one that ends before its response was sent. */
void conn_log_cut(struct conn_set *set, struct conn *c);
void conn_count_status(struct conn_set *set, int status);
#endif
