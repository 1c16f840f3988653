/* SPDX-License-Identifier: MIT */
/*
 * conn_local - is this request answered by the worker itself, without an
 * interpreter? For conn*.c only.
 *
 * The question is asked once for each request, when its head is complete and
 * what proxies say about it is known, before anything of it is copied. A kind
 * of request that workers answer is one conn_local_fn in the table of
 * conn_local.c, and what switches it on is tested in conn_has_local(): with
 * none of them on, a request pays for that test only.
 */
#ifndef GCORN_CORE_CONN_LOCAL_H
#define GCORN_CORE_CONN_LOCAL_H

#include "conn_set.h"

/*
 * Looks at set->request and set->fields; head is what their offsets count
 * from. Returns false when the request is not its own, having done nothing;
 * true when it has answered with conn_reply() or conn_refuse(), or closed.
 */
typedef bool conn_local_fn(struct conn_set *set, struct conn *c,
                           const char *head);

static inline bool conn_has_local(const struct conn_set *set)
{
    return set->config->local != 0;
}

/* True: it was answered. */
bool conn_local(struct conn_set *set, struct conn *c, const char *head);

/* The path of the request in set->request, as it was sent. */
static inline struct bytes conn_local_path(const struct conn_set *set,
                                           const char *head)
{
    return (struct bytes){head + set->request.path.off, set->request.path.len};
}
#endif
