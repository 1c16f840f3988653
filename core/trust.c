/* SPDX-License-Identifier: MIT */
#include "trust.h"

#include <stdlib.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Takes what is before the next comma off the front, without its blanks. */
static struct bytes next_entry(struct bytes *rest)
{
    const char *comma = memchr(rest->p, ',', rest->n);
    size_t n = comma ? (size_t)(comma - rest->p) : rest->n;
    struct bytes entry = {rest->p, n};

    n += comma != NULL;
    rest->p += n;
    rest->n -= n;
    while (entry.n > 0 && is_blank(entry.p[0])) {
        entry.p++;
        entry.n--;
    }
    while (entry.n > 0 && is_blank(entry.p[entry.n - 1]))
        entry.n--;
    return entry;
}

/* Of the bits from prefix on, none is set in ip. */
static bool ends_at(const struct ip *ip, uint32_t prefix)
{
    uint32_t at = prefix / 8;

    if (at < 16 && ip->byte[at] & (0xff >> prefix % 8))
        return false;
    for (at++; at < 16; at++) {
        if (ip->byte[at])
            return false;
    }
    return true;
}

/* 255.255.0.0 is 16: ones, then zeros. */
static int mask_parse(struct bytes text, uint16_t *ret_bits)
{
    struct ip mask;
    uint16_t bits = 0;

    if (ip_parse(text, &mask) != 0 || !ip_is_v4(&mask))
        return -EINVAL;
    while (bits < 32 && mask.byte[12 + bits / 8] & (0x80 >> bits % 8))
        bits++;
    if (!ends_at(&mask, 96U + bits))
        return -EINVAL;
    *ret_bits = bits;
    return 0;
}

static int net_parse(struct bytes text, struct trust_net *ret_net)
{
    const char *slash = memchr(text.p, '/', text.n);
    struct bytes ip = {text.p, slash ? (size_t)(slash - text.p) : text.n};
    bool dotted = !memchr(ip.p, ':', ip.n);
    uint16_t bits = dotted ? 32 : 128;
    struct trust_net net;

    if (ip_parse(ip, &net.ip) != 0)
        return -EINVAL;
    if (slash) {
        struct bytes width = {slash + 1, text.n - ip.n - 1};
        uint16_t most = bits;

        if (ip_parse_port(width, &bits) != 0 &&
            (!dotted || mask_parse(width, &bits) != 0))
            return -EINVAL;
        if (bits > most)
            return -EINVAL;
    }
    net.prefix = (uint8_t)(dotted ? bits + 96 : bits);
    if (!ends_at(&net.ip, net.prefix))
        return -EINVAL;
    *ret_net = net;
    return 0;
}

static int entries_parse(struct trust *trust, struct bytes text,
                         struct bytes *ret_bad)
{
    while (text.n > 0) {
        struct bytes entry = next_entry(&text);

        if (entry.n == 0)
            continue;
        if (entry.n == 1 && entry.p[0] == '*') {
            trust->everyone = true;
        } else if (net_parse(entry, &trust->nets[trust->count]) == 0) {
            trust->count++;
        } else {
            *ret_bad = entry;
            return -EINVAL;
        }
    }
    return 0;
}

int trust_parse(struct trust *trust, struct bytes text, struct bytes *ret_bad)
{
    size_t most = 1;
    int err;

    for (size_t i = 0; i < text.n; i++)
        most += text.p[i] == ',';
    *trust = (struct trust){.nets = calloc(most, sizeof(*trust->nets))};
    if (!trust->nets)
        return -ENOMEM;
    err = entries_parse(trust, text, ret_bad);
    if (err)
        trust_done(trust);
    return err;
}

void trust_done(struct trust *trust)
{
    free(trust->nets);
    *trust = (struct trust){0};
}

static bool net_has(const struct trust_net *net, const struct ip *ip)
{
    uint32_t whole = net->prefix / 8;
    uint32_t rest = net->prefix % 8;

    if (ip_is_v4(&net->ip) != ip_is_v4(ip) ||
        memcmp(net->ip.byte, ip->byte, whole) != 0)
        return false;
    return rest == 0 ||
           ((net->ip.byte[whole] ^ ip->byte[whole]) >> (8 - rest)) == 0;
}

bool trust_has(const struct trust *trust, const struct ip *ip)
{
    if (trust->everyone)
        return true;
    for (uint32_t i = 0; i < trust->count; i++) {
        if (net_has(&trust->nets[i], ip))
            return true;
    }
    return false;
}
