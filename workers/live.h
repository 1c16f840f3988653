/* SPDX-License-Identifier: MIT */
/*
 * live - the settings as worker processes read them while they run: written
 * by the master when a reload has changed some, read by a worker after
 * BOARD_COMMAND_REOPEN. Shared memory that is mapped before the first fork.
 *
 * serial is odd while the master writes; what was read then is not used, and
 * the command comes again after the write.
 */
#ifndef GCORN_WORKERS_LIVE_H
#define GCORN_WORKERS_LIVE_H

#include "core/settings.h"
#include "workers/config.h"

struct live {
    _Atomic uint32_t serial; /* 0: as at the start. W: master */
    struct settings settings;
};

/* 0 or -ENOMEM. */
int live_new(struct live **ret_live);
void live_free(struct live *live);

/* Master. 0 or -errno: nothing changed. */
int live_set(struct live *live, const struct config *config,
             const struct config_input *input);

/*
 * Worker. True, and settings for config_done(), when there are newer ones than
 * those it has seen.
 */
bool live_take(const struct live *live, uint32_t *seen,
               struct config *ret_config);
#endif
