/* SPDX-License-Identifier: MIT */
#include "conn_list.h"

#include "conn_set.h"
#include "exchange_request.h"

#include <string.h>

static enum conn_line_state state_of(const struct conn_set *set,
                                     const struct conn *c)
{
    bool is_socket =
        c->x && set->jobs[exchange_slot(&set->table->arena, c->x)].is_socket;

    switch ((enum conn_state)c->state) {
    case CONN_IDLE:
    case CONN_PARTING:
        return CONN_LINE_IDLE;
    case CONN_HEAD:
    case CONN_BODY:
        return CONN_LINE_RECEIVING;
    case CONN_WAITING:
        return is_socket ? CONN_LINE_SOCKET : CONN_LINE_WAITING;
    case CONN_SKIPPING:
        return CONN_LINE_RECEIVING;
    case CONN_SENDING:
        return is_socket ? CONN_LINE_SOCKET : CONN_LINE_SENDING;
    case CONN_LINGER:
    case CONN_CLOSING:
        return CONN_LINE_CLOSING;
    }
    return CONN_LINE_CLOSING;
}

static void target_copy(const struct conn_set *set, const struct conn *c,
                        struct conn_line *line)
{
    const char *head = c->x ? exchange_head(&set->table->arena, c->x) : NULL;
    struct bytes target = BYTES("");

    if (head)
        target = exchange_span(c->x, head, c->x->request.target.off,
                               c->x->request.target.len);
    line->target_len = (uint8_t)min_u64(target.n, sizeof(line->target));
    memcpy(line->target, target.p, line->target_len);
}

static uint64_t since_ms(const struct conn_set *set, uint64_t ns)
{
    return set->now_ns > ns ? (set->now_ns - ns) / NS_PER_MS : 0;
}

uint32_t conn_list(const struct conn_set *set, struct conn_line *lines,
                   uint32_t max)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < pool_slots(&set->conns) && count < max; i++) {
        const struct conn *c = pool_at(&set->conns, i);
        struct conn_line *line = &lines[count];

        if (!c || c->fd < 0)
            continue;
        *line = (struct conn_line){
            .peer = c->peer,
            .state = (uint8_t)state_of(set, c),
            .requests = c->state == CONN_LINGER ? 0 : c->requests,
            .age_ms = (uint32_t)set->now_ms - c->accepted_ms,
            .since_ms = c->arrived_ns != 0
                            ? since_ms(set, c->arrived_ns)
                            : (uint32_t)set->now_ms - c->accepted_ms,
        };
        target_copy(set, c, line);
        count++;
    }
    return count;
}

const char *conn_line_state_name(enum conn_line_state state)
{
    switch (state) {
    case CONN_LINE_IDLE:
        return "idle";
    case CONN_LINE_RECEIVING:
        return "receiving";
    case CONN_LINE_WAITING:
        return "waiting";
    case CONN_LINE_SENDING:
        return "sending";
    case CONN_LINE_SOCKET:
        return "websocket";
    case CONN_LINE_CLOSING:
        return "closing";
    }
    return "?";
}
