/* SPDX-License-Identifier: MIT */
#include "quota.h"

#include <sys/random.h>

#include "signals.h"
#include "core/board_interp.h"

/* Interpreters of one age retire at other times. */
uint64_t quota_draw(const struct host *host)
{
    uint64_t limit = host_number(host, "max_requests", 0);
    uint64_t jitter = host_number(host, "max_requests_jitter", 0);
    uint64_t random = 0;

    if (limit == 0)
        return UINT64_MAX;
    if (getrandom(&random, sizeof(random), 0) < 0)
        random = now_ns();
    return limit + random % (jitter + 1);
}

/* The field has one writer at a time, who has the GIL. */
uint64_t quota_count(const struct host *host, struct board_interp *self,
                     uint64_t limit)
{
    uint64_t requests =
        atomic_load_explicit(&self->requests, memory_order_relaxed) + 1;

    atomic_store_explicit(&self->requests, requests, memory_order_relaxed);
    if (unlikely(requests >= limit) && signals_retire(host->board, self))
        log_info("Autorestarting worker after current request.");
    return requests;
}
