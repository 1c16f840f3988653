/* SPDX-License-Identifier: MIT */
/*
 * control_socket - the file of the control socket: made, never taken from a
 * master that lives, removed at the end.
 */
#ifndef GCORN_WORKERS_CONTROL_SOCKET_H
#define GCORN_WORKERS_CONTROL_SOCKET_H

#include "workers/observer.h"

/*
 * Listens at the path of the settings; when another server does, at one beside
 * it that has our pid in its name, until the other is gone. Returns 0, or
 * -EINVAL with a message.
 */
int control_socket_open(struct control_socket *control,
                        const struct config *config,
                        struct config_error *error);

/* Takes the wanted path when it has become free. */
void control_socket_settle(struct control_socket *control, uint64_t now);

void control_socket_close(struct control_socket *control);
#endif
