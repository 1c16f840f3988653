/* SPDX-License-Identifier: MIT */
#include "waits.h"

#include "core/exchange_writer.h"

/* Without the GIL. For a peer that is slow, data goes into the spool. */
static void sleep_for_room(struct exchange_writer *writer, struct bytes *data)
{
    if (data) {
        size_t n = exchange_spool(writer, *data);

        *data = (struct bytes){data->p + n, data->n - n};
        if (n > 0 && data->n == 0)
            return;
    }
    exchange_wait(writer);
}

static int thread_for_room(struct exchange_writer *writer, struct bytes *data)
{
    Py_BEGIN_ALLOW_THREADS sleep_for_room(writer, data);
    Py_END_ALLOW_THREADS return 0;
}

static int thread_for_body(struct exchange_writer *writer)
{
    Py_BEGIN_ALLOW_THREADS exchange_body_wait(writer);
    Py_END_ALLOW_THREADS return 0;
}

const struct waits waits_of_threads = {
    .for_room = thread_for_room,
    .for_body = thread_for_body,
    .flush = exchange_flush,
};
