/* SPDX-License-Identifier: MIT */
#include "conn_health.h"

#include "conn_answer.h"
#include "conn_local.h"
#include "conn_set.h"
#include "health.h"

static enum health health_now(const struct conn_set *set)
{
    /* Its own end is decided by the worker; the board hears of it later. */
    if (set->drain_until_ns)
        return HEALTH_DRAINING;
    return health_of(set->table->board, set->now_ns,
                     set->config->ready_window_ms * NS_PER_MS);
}

static bool asks_for(struct bytes path, struct bytes wanted)
{
    return wanted.n > 0 && bytes_equal(path, wanted);
}

bool conn_health(struct conn_set *set, struct conn *c, const char *head)
{
    struct bytes path = conn_local_path(set, head);
    struct conn_reply reply = {
        .status = 200,
        .fields = BYTES("Content-Type: text/plain\r\n"
                        "Cache-Control: no-store\r\n"),
        .body = BYTES("ok\n"),
        .quiet = !set->config->health_log,
    };

    if (set->request.method_id != HTTP_METHOD_GET &&
        set->request.method_id != HTTP_METHOD_HEAD)
        return false;
    if (asks_for(path, set->config->ready_path)) {
        enum health health = health_now(set);

        reply.status = health == HEALTH_READY ? 200 : 503;
        reply.body = bytes_of(health_text(health));
    } else if (!asks_for(path, set->config->health_path)) {
        return false;
    }
    reply.length = reply.body.n;
    conn_reply(set, c, head, &reply);
    return true;
}
