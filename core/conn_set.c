/* SPDX-License-Identifier: MIT */
#include "conn_set.h"

#include "board_worker.h"
#include "conn_block.h"
#include "conn_file.h"
#include "conn_input.h"
#include "conn_late.h"
#include "conn_static.h"

#include <stdlib.h>
#include <sys/mman.h>

#define LARGE_COUNT 32
#define HUGE_COUNT 8
#define FILES_MAX 1024
#define TRANSFERS_MAX 4096
#define CONNECTIONS_MAX (1U << 20) /* the token has 24 bits for the slot */

static int pools_init(struct conn_set *set, uint32_t connections)
{
    int error = pool_init(&set->conns, connections, sizeof(struct conn));

    if (!error)
        error = pool_init(&set->files, FILES_MAX, sizeof(struct conn_file));
    if (!error)
        error = pool_init(&set->transfers, TRANSFERS_MAX,
                          sizeof(struct conn_transfer));
    if (!error)
        error = pool_init(&set->lates, TRANSFERS_MAX, sizeof(struct conn_late));
    if (!error)
        error = pool_init(&set->blocks[CONN_SMALL], connections,
                          CONN_SMALL_BYTES);
    if (!error)
        error = pool_init(&set->blocks[CONN_LARGE], LARGE_COUNT,
                          CONN_LARGE_BYTES);
    if (!error)
        error = pool_init(&set->blocks[CONN_HUGE], HUGE_COUNT, CONN_HUGE_BYTES);
    if (!error)
        error = ws_zlib_init(&set->zlib, connections);
    return error;
}

/* Untouched pages cost nothing, hence mappings and not calloc(). */
static void *map_zeroed(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return at == MAP_FAILED ? NULL : at;
}

static int set_init(struct conn_set *set, uint32_t connections)
{
    uint32_t slots = set->table->arena.slots;
    uint32_t fields = set->config->limits.fields;
    int error = pools_init(set, connections);

    if (error)
        return error;
    set->jobs_bytes = slots * sizeof(struct conn_job);
    set->jobs = map_zeroed(set->jobs_bytes);
    set->fields_max = fields && fields < CONN_FIELDS_MAX ? fields
                                                         : CONN_FIELDS_MAX;
    set->fields = calloc(CONN_FIELDS_MAX, sizeof(struct http_field));
    set->heads = map_zeroed(slots * sizeof(struct conn_head));
    if (!set->jobs || !set->heads || !set->fields)
        return -ENOMEM;
    for (uint32_t i = 0; i < BOARD_LISTENERS_MAX; i++)
        set->listener[i].fd = -1;
    conn_set_clock(set, now_ns());
    wheel_init(&set->wheel, set->now_ms);
    return 0;
}

int conn_set_new(struct conn_set **ret_set, const struct conn_config *config,
                 struct ring *ring, struct exchange_table *table,
                 struct access_log *log)
{
    struct conn_set *set;
    int error;

    if (config->connections_max == 0 ||
        config->connections_max > CONNECTIONS_MAX)
        return -EINVAL;
    set = calloc(1, sizeof(*set));
    if (!set)
        return -ENOMEM;
    set->config = config;
    set->ring = ring;
    set->table = table;
    set->log = config->access_log ? log : NULL;
    set->stats = &table->arena.header->stats;
    set->file_in_fd =
        board_worker(table->board, table->arena.worker)->file_in_fd;
    error = set_init(set, config->connections_max);
    if (!error)
        error =
            crowd_init(&set->crowd,
                       (struct crowd_place){config->crowd, table->arena.worker},
                       config->connections_max, config->address_max);
    if (!error && config->static_count > 0)
        error = static_site_new(&set->site, config->static_maps,
                                config->static_count);
    if (error)
        conn_set_free(set);
    else
        *ret_set = set;
    return error;
}

void conn_set_free(struct conn_set *set)
{
    pool_done(&set->conns);
    pool_done(&set->files);
    pool_done(&set->transfers);
    pool_done(&set->lates);
    ws_zlib_done(&set->zlib);
    static_site_free(set->site);
    crowd_done(&set->crowd);
    for (uint32_t kind = 0; kind < CONN_BLOCKS; kind++)
        pool_done(&set->blocks[kind]);
    if (set->jobs)
        munmap(set->jobs, set->jobs_bytes);
    if (set->heads)
        munmap(set->heads, set->table->arena.slots * sizeof(struct conn_head));
    free(set->fields);
    free(set);
}

void conn_set_clock(struct conn_set *set, uint64_t now)
{
    set->heard_ms = set->now_ms;
    set->now_ns = now;
    set->now_ms = now / NS_PER_MS;
}
