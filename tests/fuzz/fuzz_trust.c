/* SPDX-License-Identifier: MIT */
/*
 * Any text as a list of trusted addresses, and the rest as an address: what is
 * taken must hold its own networks, and those be the same written out again.
 */
#include <stdlib.h>
#include <sys/socket.h>

#include "core/trust.h"

static void check_net(const struct trust *trust, const struct trust_net *net)
{
    char text[IP_TEXT_MAX];
    struct ip back;
    int family = ip_is_v4(&net->ip) ? AF_INET : AF_INET6;

    must(net->prefix <= 128 && (family == AF_INET6 || net->prefix >= 96));
    must(trust_has(trust, &net->ip));
    must(ip_format(&net->ip, family, text) < IP_TEXT_MAX);
    must(ip_parse(bytes_of(text), &back) == 0);
    must(ip_equal(&back, &net->ip));
}

static void check_list(struct bytes text, const struct ip *ip)
{
    struct bytes bad = {NULL, 0};
    struct trust trust;
    int err = trust_parse(&trust, text, &bad);

    if (err) {
        must(err == -EINVAL && bad.n > 0);
        must(bad.p >= text.p && bad.p + bad.n <= text.p + text.n);
        must(!trust.nets && !trust.everyone);
        return;
    }
    for (uint32_t i = 0; i < trust.count; i++)
        check_net(&trust, &trust.nets[i]);
    trust_has(&trust, ip);
    trust.everyone = true;
    must(trust_has(&trust, ip));
    trust_done(&trust);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *list;
    struct ip ip;

    if (size < sizeof(ip))
        return 0;
    ip = ip_from_v6(data);
    size -= sizeof(ip);
    list = malloc(size ? size : 1);
    must(list);
    if (size)
        memcpy(list, data + sizeof(ip), size);
    check_list((struct bytes){list, size}, &ip);
    free(list);
    return 0;
}
