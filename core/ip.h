/* SPDX-License-Identifier: MIT */
/*
 * ip - an IPv4 or IPv6 address as 16 bytes, from text and to text. Pure.
 *
 * An IPv4 address is kept as the IPv6 address it is mapped to
 * (::ffff:192.0.2.1), so that a peer is the same whichever socket it came by.
 */
#ifndef GCORN_CORE_IP_H
#define GCORN_CORE_IP_H

#include "base.h"
#include "bytes.h"

#define IP_TEXT_MAX 46 /* INET6_ADDRSTRLEN: the longest text and a NUL */

struct ip {
    uint8_t byte[16];
};

/* Four bytes in network order, as in struct in_addr. */
struct ip ip_from_v4(const void *four);
/* Sixteen bytes, as in struct in6_addr. */
struct ip ip_from_v6(const void *sixteen);

/* IPv4, or IPv6 that stands for IPv4. */
bool ip_is_v4(const struct ip *ip);

bool ip_equal(const struct ip *a, const struct ip *b);

/* "192.0.2.1" or "2001:db8::1"; no brackets, no zone. 0, or -EINVAL. */
int ip_parse(struct bytes text, struct ip *ret_ip);

/* Decimal, without sign and leading zeros. 0, or -EINVAL. */
int ip_parse_port(struct bytes text, uint16_t *ret_port);

/*
 * Writes the text and a NUL; returns its length. The family is how to write
 * an IPv4 address: "192.0.2.1" for AF_INET, "::ffff:192.0.2.1" for AF_INET6.
 */
size_t ip_format(const struct ip *ip, int family, char text[IP_TEXT_MAX]);
#endif
