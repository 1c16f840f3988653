/* SPDX-License-Identifier: MIT */
#include "ip.h"

#include <arpa/inet.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

struct ip ip_from_v4(const void *four)
{
    struct ip ip;

    memcpy(ip.byte, mapped, sizeof(mapped));
    memcpy(ip.byte + sizeof(mapped), four, 4);
    return ip;
}

struct ip ip_from_v6(const void *sixteen)
{
    struct ip ip;

    memcpy(ip.byte, sixteen, sizeof(ip.byte));
    return ip;
}

bool ip_is_v4(const struct ip *ip)
{
    return memcmp(ip->byte, mapped, sizeof(mapped)) == 0;
}

bool ip_equal(const struct ip *a, const struct ip *b)
{
    return memcmp(a->byte, b->byte, sizeof(a->byte)) == 0;
}

/* inet_pton() is strict, but wants a NUL, and would stop at one inside. */
int ip_parse(struct bytes text, struct ip *ret_ip)
{
    char copy[IP_TEXT_MAX];
    struct in6_addr six;
    struct in_addr four;

    if (text.n == 0 || text.n >= sizeof(copy) || memchr(text.p, 0, text.n))
        return -EINVAL;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    if (inet_pton(AF_INET, copy, &four) == 1)
        *ret_ip = ip_from_v4(&four);
    else if (inet_pton(AF_INET6, copy, &six) == 1)
        *ret_ip = ip_from_v6(&six);
    else
        return -EINVAL;
    return 0;
}

int ip_parse_port(struct bytes text, uint16_t *ret_port)
{
    uint32_t port = 0;

    if (text.n == 0 || text.n > 5 || (text.n > 1 && text.p[0] == '0'))
        return -EINVAL;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return -EINVAL;
        port = port * 10 + (uint32_t)(text.p[i] - '0');
    }
    if (port > UINT16_MAX)
        return -EINVAL;
    *ret_port = (uint16_t)port;
    return 0;
}

size_t ip_format(const struct ip *ip, int family, char text[IP_TEXT_MAX])
{
    const void *from = ip->byte;

    if (family == AF_INET)
        from = ip->byte + sizeof(mapped);
    must(inet_ntop(family, from, text, IP_TEXT_MAX));
    return strlen(text);
}
