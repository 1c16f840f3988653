/* SPDX-License-Identifier: MIT */
/*
 * channel - the host's end of its socket to the master: core/template.h.
 * Called with the GIL once Python has started, and then released in waits.
 */
#ifndef GCORN_PYTHON_CHANNEL_H
#define GCORN_PYTHON_CHANNEL_H

#include "host.h"

#include "core/template.h"

/*
 * Waits for the settings of this message (ASK, GO) and puts them in place of
 * host->settings; takes the board and the descriptors that come before. 0,
 * -EPIPE when there is no master any more, or -errno.
 */
int channel_settings(struct host *host, enum template_op op);

/* The next order: 1, 0 when there is no master any more, or -errno. */
int channel_order(const struct host *host, struct template_message *order);

/* A master that is gone is noticed by the next order's end of file. */
void channel_tell(const struct host *host, enum template_op op, int code);
void channel_tell_settings(const struct host *host, struct settings *settings,
                           enum template_op op);
#endif
