/* SPDX-License-Identifier: MIT */
/*
 * conn_set - all connections of a worker, the pools they live in and the moment
 * they live at. For conn*.c only: others have conn.h.
 */
#ifndef GCORN_CORE_CONN_SET_H
#define GCORN_CORE_CONN_SET_H

#include "board.h"
#include "conn.h"
#include "conn_block.h"
#include "conn_edge.h"
#include "conn_job.h"
#include "conn_state.h"
#include "log.h"
#include "pool.h"

struct conn_listener {
    int32_t fd; /* -1: none */
    uint16_t family;
    bool armed;
    bool uwsgi;
};

struct conn_set {
    const struct conn_config *config;
    struct ring *ring;
    struct exchange_table *table;
    struct access_log *log;
    struct stats *stats;
    uint64_t now_ns;
    uint64_t now_ms;
    uint64_t heard_ms; /* what came before this was an event by now */
    struct pool conns;
    struct pool blocks[CONN_BLOCKS];
    struct pool files;
    struct pool transfers;
    struct pool lates; /* as many */
    struct ws_zlib zlib;
    struct static_site *site; /* NULL: no static files */
    struct conn_job *jobs;    /* one for each slot of the arena */
    size_t jobs_bytes;
    struct conn_head *heads;     /* likewise */
    struct http_request request; /* being parsed */
    struct conn_edge edge;
    struct http_field *fields;
    uint32_t fields_max;
    uint32_t handed; /* exchanges handed over and not yet ended */
    struct wheel wheel;
    struct crowd crowd;
    struct conn *reaping;
    struct conn_listener listener[BOARD_LISTENERS_MAX];
    uint64_t accept_from_ns; /* paused until then; 0: not paused */
    uint64_t drain_until_ns; /* accepting ends; 0: not draining */
    uint64_t drain_stop_ns;  /* at the latest */
    bool accepting_over;
    bool accepting_full; /* said that no more connections fit */
    int32_t file_in_fd;
    uint64_t date_s;
    char date[HTTP_DATE_LEN];
    struct log_limit shed_limit;
    struct log_limit refuse_limit;
    struct log_limit accept_limit;
    struct log_limit crowd_limit;
    struct log_limit overdue_limit;
};

static inline struct conn_job *conn_job(struct conn_set *set,
                                        const struct exchange *x)
{
    return &set->jobs[exchange_slot(&set->table->arena, x)];
}

static inline char *conn_kept_head(struct conn_set *set,
                                   const struct exchange *x)
{
    return set->heads[exchange_slot(&set->table->arena, x)].bytes;
}

/* What is configured, or what there is room for. */
static inline uint64_t conn_body_limit(const struct conn_set *set)
{
    uint64_t limit = set->config->body_limit_bytes;

    if (limit == 0 || limit > EXCHANGE_SPOOL_FILE_BYTES)
        return EXCHANGE_SPOOL_FILE_BYTES;
    return limit;
}

/* 0: no deadline. */
static inline void conn_deadline(struct conn_set *set, struct conn *c,
                                 uint32_t ms)
{
    if (likely(ms != 0))
        wheel_add(&set->wheel, &c->timer, set->now_ms + ms);
    else
        wheel_remove(&set->wheel, &c->timer);
}
#endif
