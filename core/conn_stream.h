/* SPDX-License-Identifier: MIT */
/*
 * conn_stream - a body that goes to an interpreter which already runs. For
 * conn*.c only.
 */
#ifndef GCORN_CORE_CONN_STREAM_H
#define GCORN_CORE_CONN_STREAM_H

#include "bytes.h"

struct conn;
struct conn_set;

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

/* Nobody took a request for as long as it may take: an event loop at home that
 * has not come round since is stuck, too. */
void conn_stream_untaken(struct conn_set *set);
#endif
