/* SPDX-License-Identifier: MIT */
#include "gauges.h"

#include "interp.h"
#include "observer.h"

/* As often as Gunicorn's master looks. */
#define BACKLOG_NS NS_PER_S

static int64_t backlog(const struct master *master)
{
    int64_t sum = 0;

    for (uint32_t i = 0; i < master->listener_count; i++)
        for (uint32_t slot = 0; slot < master->board->worker_slots; slot++) {
            int64_t waiting = observer_listen_queue(&master->listeners[i],
                                                    slot);

            sum += waiting > 0 ? waiting : 0;
        }
    return sum;
}

void gauges_settle(struct master *master)
{
    struct logs *logs = &master->logs;
    uint32_t workers = interp_alive(master);

    if (!logs->remote.has_statsd)
        return;
    if (workers != logs->workers_told) {
        logs->workers_told = workers;
        statsd_add(&logs->remote.statsd, "workers", workers, "g");
    }
    if (master->config->enable_backlog_metric) {
        if (master->now >= logs->backlog_ns) {
            logs->backlog_ns = master->now + BACKLOG_NS;
            statsd_add(&logs->remote.statsd, "backlog", backlog(master), "h");
        }
        master_wake_at(master, logs->backlog_ns);
    }
    statsd_flush(&logs->remote.statsd);
}
