/* SPDX-License-Identifier: MIT */
/*
 * dimms - the memory modules: from the firmware's table (root only), else
 * from the kernel's error detection driver, else unknown.
 */
#ifndef GCORN_TOPOLOGY_DIMMS_H
#define GCORN_TOPOLOGY_DIMMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIMMS_MAX 128

struct dimm {
    char type[8];                  /* "DDR5"; "": unknown */
    uint64_t bytes;                /* 0: unknown */
    uint32_t mts;                  /* 0: unknown */
    int8_t is_registered, has_ecc; /* 1, 0, or -1: unknown */
};

struct dimms {
    const char *source; /* "dmi", "edac"; NULL: nothing could be read */
    bool needs_root;    /* the table is there and we may not read it */
    uint32_t n;
    struct dimm items[DIMMS_MAX];
};

/* Pure: what the firmware's table @data of @size bytes says. */
void dimms_parse_dmi(const uint8_t *data, size_t size, struct dimms *dimms);

/* Reads below @root ("": the running system). */
void dimms_read(const char *root, struct dimms *ret_dimms);

#endif
