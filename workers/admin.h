/* SPDX-License-Identifier: MIT */
/*
 * admin - HTTP on the admin address: /livez, /readyz, /metrics, /status.json.
 * A gate_take_fn whose context is the observer. Changes nothing, so it needs
 * no password; it tells a lot, so it belongs on an address that only those may
 * reach who should.
 */
#ifndef GCORN_WORKERS_ADMIN_H
#define GCORN_WORKERS_ADMIN_H

#include "workers/observer.h"

int64_t admin_take(void *context, struct gate_client *client,
                   struct bytes said);
#endif
