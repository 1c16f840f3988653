/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as the start of a connection: what is said of the whole must be
 * what is said of it in pieces, and never later than needed.
 */
#include <stdlib.h>
#include <sys/socket.h>

#include "core/proxy.h"

struct parsed {
    int result;
    struct proxy_info info;
    size_t len;
};

/* The first n bytes, in a block of exactly that size. */
static struct parsed parse(enum proxy_mode mode, const uint8_t *data, size_t n)
{
    struct parsed parsed = {.len = 0};
    char *block = malloc(n ? n : 1);

    must(block);
    if (n)
        memcpy(block, data, n);
    parsed.result = proxy_parse(mode, (struct bytes){block, n}, &parsed.info,
                                &parsed.len);
    free(block);
    return parsed;
}

static void check(enum proxy_mode mode, const struct parsed *parsed, size_t n)
{
    const struct proxy_info *info = &parsed->info;

    must(parsed->result == 0 || parsed->result == -EAGAIN ||
         parsed->result == -EPROTO);
    if (parsed->result)
        return;
    must(parsed->len <= n && (parsed->len > 0 || !info->family));
    must(mode != PROXY_OFF || parsed->len == 0);
    must(!info->family || info->family == AF_INET || info->family == AF_INET6);
    must(info->family != AF_INET ||
         (ip_is_v4(&info->from) && ip_is_v4(&info->to)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct parsed whole;
    enum proxy_mode mode;

    if (size < 1)
        return 0;
    mode = (enum proxy_mode)(*data++ & 3);
    size--;
    whole = parse(mode, data, size);
    check(mode, &whole, size);
    for (size_t n = 0; n < size; n++) {
        struct parsed part = parse(mode, data, n);

        check(mode, &part, n);
        if (part.result == -EAGAIN)
            continue;
        /* Once it is decided, more bytes change nothing. */
        must(part.result == whole.result && part.len == whole.len);
        must(part.result ||
             memcmp(&part.info, &whole.info, sizeof(part.info)) == 0);
        break;
    }
    return 0;
}
