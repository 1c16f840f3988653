/* SPDX-License-Identifier: MIT */
/*
 * size - amounts of memory as operators write them: "300M", "2G", "1GiB".
 *
 * All units are binary, with and without the i: who plans memory counts pages.
 */
#ifndef GCORN_TOPOLOGY_SIZE_H
#define GCORN_TOPOLOGY_SIZE_H

#include <stdint.h>

/*
 * Digits, then nothing or one of K, M, G, T, followed by nothing, B or iB; in
 * any case. Returns 0, -EINVAL, or -ERANGE for what 64 bits do not hold.
 */
int size_parse(const char *text, uint64_t *ret_bytes);

#endif
