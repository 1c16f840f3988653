/* SPDX-License-Identifier: MIT */
/*
 * control - what the control socket understands: gunicornc's protocol, with
 * Gunicorn's commands and some more.
 *
 *   4 bytes of length, big-endian; then JSON
 *   {"id": 1, "command": "worker add 2", "args": []}
 *   {"id": 1, "status": "ok", "data": {...}}
 *   {"id": 1, "status": "error", "error": "..."}
 *
 * Whoever may write to the socket's file may do everything: mode 0600. A
 * command is carried out at once or by a signal to ourselves, so that it is
 * the same as if it had come from outside. "reload wait" is answered when it
 * is known what became of the reload.
 */
#ifndef GCORN_WORKERS_CONTROL_H
#define GCORN_WORKERS_CONTROL_H

#include "workers/observer.h"

/* A gate_take_fn; context is the observer. */
int64_t control_take(void *context, struct gate_client *client,
                     struct bytes said);
#endif
