/* SPDX-License-Identifier: MIT */
#include "ring_backend.h"

int ring_epoll_open(struct ring **ret_ring, const struct ring_config *config)
{
    (void)ret_ring;
    (void)config;
    return -ENOTSUP;
}
