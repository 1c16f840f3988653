/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as WebSocket frames: nothing outside is read or written, and the
 * pieces they come in make no difference.
 */
#include <stdlib.h>

#include "core/ws.h"

struct result {
    int code;
    size_t bytes;
    uint32_t messages;
    uint32_t controls;
};

static struct result hear(const uint8_t *data, size_t n, size_t piece)
{
    struct ws_parser parser = {.max_bytes = 1 << 20};
    struct result result = {0};
    size_t used = 0;

    while (used < n) {
        size_t part = min_u64(piece, n - used);
        char *from = malloc(part);
        char *to = malloc(piece);
        struct ws_event event;
        int rc;

        must(from && to);
        memcpy(from, data + used, part);
        rc = ws_next(&parser, (struct bytes){from, part}, to, piece, &event);
        free(from);
        free(to);
        if (rc < 0) {
            result.code = -rc;
            break;
        }
        must((size_t)rc <= part && event.bytes <= piece);
        must(rc > 0 || event.kind != WS_EVENT_NONE);
        used += (size_t)rc;
        result.bytes += event.bytes;
        result.messages += event.kind == WS_EVENT_DATA && event.last;
        result.controls += event.kind == WS_EVENT_CONTROL;
    }
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct result whole = hear(data, n, n ? n : 1);
    struct result bits = hear(data, n, 1);

    must(whole.code == bits.code && whole.messages == bits.messages &&
         whole.controls == bits.controls);
    must(whole.code || whole.bytes == bits.bytes);
    return 0;
}
