/* SPDX-License-Identifier: MIT */
/*
 * processor - what kind of CPU this is: generation, base clock, AVX-512.
 *
 * A hypervisor may invent all of it. It is reported as presented, and
 * `is_virtual` tells whoever grades that it proves nothing.
 */
#ifndef GCORN_TOPOLOGY_PROCESSOR_H
#define GCORN_TOPOLOGY_PROCESSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "topology/machine.h"

struct processor {
    char vendor[32];
    char model[96];
    int32_t family, model_number; /* -1: unknown */
    const char *generation;       /* NULL: not in our table */
    bool is_tier_generation;      /* Sapphire Rapids, Genoa or later */
    bool is_virtual;
    uint32_t base_mhz;       /* 0: unknown */
    const char *base_source; /* where base_mhz is from; never NULL */
    bool has_flags;          /* avx512 below is known */
    char avx512[96];         /* "F DQ BW VL VNNI", "" when there is none */
};

/*
 * Reads below @root; NULL when there is only the machine (an XML file or a
 * description), whose few names are then all that is known.
 */
void processor_read(const char *root, const struct machine *machine,
                    struct processor *ret_processor);

#endif
