/* SPDX-License-Identifier: MIT */
/*
 * trust - a list of addresses and networks whose word is believed, as in
 * forwarded_allow_ips. Pure but for the memory of the list, taken once.
 *
 * "*" is everyone. A network with bits set behind its prefix is an error, as
 * for Gunicorn: such a line does not say what its author meant. IPv4 mapped
 * into IPv6 is IPv4, for entries and for those who are looked up; an IPv6
 * network, even ::/0, holds no IPv4 address.
 */
#ifndef GCORN_CORE_TRUST_H
#define GCORN_CORE_TRUST_H

#include "ip.h"

struct trust_net {
    struct ip ip;
    uint8_t prefix; /* bits, of 128 */
};

/* All zero trusts nobody. */
struct trust {
    struct trust_net *nets;
    uint32_t count;
    bool everyone;
};

/*
 * "127.0.0.1, 10.0.0.0/8, ::1": separated by commas, blanks ignored. Returns 0;
 * -EINVAL with the culprit, a part of text, in *ret_bad; or -ENOMEM.
 */
int trust_parse(struct trust *trust, struct bytes text, struct bytes *ret_bad);
void trust_done(struct trust *trust);

bool trust_has(const struct trust *trust, const struct ip *ip);
#endif
