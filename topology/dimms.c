/* SPDX-License-Identifier: MIT */
/*
 * Memory modules. The firmware's table is a chain of structures, each a type, a
 * length, that many bytes and some strings; nothing in it is trusted. Without
 * root only the kernel's error detection driver tells about modules, and not
 * their speed.
 */
#include "topology/dimms.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base.h"
#include "topology/sysfile.h"

/* Structure types and offsets are those of the SMBIOS standard. */
enum {
    TYPE_ARRAY = 16,
    TYPE_DIMM = 17,
    TYPE_END = 127,
    ARRAY_ECC = 0x06,
    DIMM_TOTAL_WIDTH = 0x08,
    DIMM_DATA_WIDTH = 0x0a,
    DIMM_SIZE = 0x0c,
    DIMM_TYPE = 0x12,
    DIMM_DETAIL = 0x13,
    DIMM_SPEED = 0x15,
    DIMM_EXTENDED_SIZE = 0x1c,
    DIMM_CONFIGURED_SPEED = 0x20,
};

#define DMI_MAX ((size_t)1 << 20)
#define MIB (UINT64_C(1) << 20)

/* A structure of the table: a fixed part, then strings we do not need. */
struct structure {
    const uint8_t *data;
    size_t size;
};

static uint16_t word_at(struct structure s, size_t at)
{
    return at + 2 <= s.size ? (uint16_t)(s.data[at] | s.data[at + 1] << 8) : 0;
}

static uint64_t dword_at(struct structure s, size_t at)
{
    return (uint64_t)word_at(s, at) | (uint64_t)word_at(s, at + 2) << 16;
}

static uint64_t size_of(struct structure s)
{
    uint16_t size = word_at(s, DIMM_SIZE);

    if (size == 0 || size == 0xffff)
        return 0;
    if (size == 0x7fff)
        return (dword_at(s, DIMM_EXTENDED_SIZE) & 0x7fffffff) * MIB;
    /* The top bit says that the unit is KiB. */
    return size & 0x8000 ? (size & UINT64_C(0x7fff)) << 10 : size * MIB;
}

static const char *type_of(struct structure s)
{
    switch (DIMM_TYPE < s.size ? s.data[DIMM_TYPE] : 0) {
    case 0x18:
        return "DDR3";
    case 0x1a:
        return "DDR4";
    case 0x22:
        return "DDR5";
    default:
        return "";
    }
}

/* What they run at counts, not what they could. */
static uint32_t speed_of(struct structure s)
{
    uint16_t speed = word_at(s, DIMM_CONFIGURED_SPEED);

    if (speed == 0 || speed == 0xffff)
        speed = word_at(s, DIMM_SPEED);
    return speed == 0xffff ? 0 : speed;
}

/* Eight more wires than data: these carry the check bits. */
static int8_t ecc_of(struct structure s)
{
    uint16_t total = word_at(s, DIMM_TOTAL_WIDTH);
    uint16_t data = word_at(s, DIMM_DATA_WIDTH);

    if (total == 0 || data == 0 || total == 0xffff || data == 0xffff)
        return -1;
    return total > data;
}

static int8_t registered_of(struct structure s)
{
    uint16_t detail = word_at(s, DIMM_DETAIL);

    if (detail & 1 << 13)
        return 1;
    return detail & 1 << 14 ? 0 : -1;
}

static void add_dimm(struct dimms *dimms, struct structure s)
{
    struct dimm *dimm = &dimms->items[dimms->n];

    /* Empty slots are listed as well. */
    if (size_of(s) == 0 || dimms->n == DIMMS_MAX)
        return;
    dimms->n++;
    dimm->bytes = size_of(s);
    dimm->mts = speed_of(s);
    dimm->has_ecc = ecc_of(s);
    dimm->is_registered = registered_of(s);
    snprintf(dimm->type, sizeof(dimm->type), "%s", type_of(s));
}

/* Where the next structure begins: behind a pair of zeros. */
static size_t skip_strings(const uint8_t *data, size_t size, size_t at)
{
    while (at + 1 < size && (data[at] || data[at + 1]))
        at++;
    return at + 2;
}

void dimms_parse_dmi(const uint8_t *data, size_t size, struct dimms *dimms)
{
    int array_ecc = 0;
    size_t at = 0;

    while (at + 4 <= size) {
        struct structure s = {data + at, data[at + 1]};

        if (s.size < 4 || s.size > size - at || data[at] == TYPE_END)
            break;
        if (data[at] == TYPE_ARRAY && ARRAY_ECC < s.size)
            array_ecc = s.data[ARRAY_ECC];
        if (data[at] == TYPE_DIMM)
            add_dimm(dimms, s);
        at = skip_strings(data, size, at + s.size);
    }
    /* What the controller does counts more than the width of the modules. */
    for (uint32_t i = 0; i < dimms->n; i++)
        if (array_ecc >= 3 && array_ecc <= 6)
            dimms->items[i].has_ecc = array_ecc >= 5;
}

static bool read_dmi(const char *root, struct dimms *dimms)
{
    char path[PATH_MAX];
    uint8_t *data;
    FILE *file;

    snprintf(path, sizeof(path), "%s/sys/firmware/dmi/tables/DMI", root);
    file = fopen(path, "re");
    if (!file) {
        dimms->needs_root = errno == EACCES || errno == EPERM;
        return false;
    }
    data = malloc(DMI_MAX);
    if (data)
        dimms_parse_dmi(data, fread(data, 1, DMI_MAX, file), dimms);
    free(data);
    fclose(file);
    return dimms->n > 0;
}

struct edac {
    const char *root;
    const char *controller;
    struct dimms *dimms;
};

/* Modes are names like SECDED and S4ECD4ED; any but None corrects. */
static int8_t edac_ecc(const char *mode)
{
    if (!*mode || strcmp(mode, "Unknown") == 0)
        return -1;
    return strcmp(mode, "None") != 0;
}

static void on_edac_dimm(const char *name, void *data)
{
    struct edac *edac = data;
    struct dimm *dimm = &edac->dimms->items[edac->dimms->n];
    char path[PATH_MAX], text[64];
    const char *ddr;
    int64_t mib;

    if (strncmp(name, "dimm", 4) != 0 || edac->dimms->n == DIMMS_MAX)
        return;
    snprintf(path, sizeof(path), "%s/%s/size", edac->controller, name);
    if (!sysfile_number(edac->root, path, &mib) || mib <= 0)
        return;
    edac->dimms->n++;
    dimm->bytes = (uint64_t)mib * MIB;
    snprintf(path, sizeof(path), "%s/%s/dimm_mem_type", edac->controller, name);
    sysfile_text(edac->root, path, text, sizeof(text));
    dimm->is_registered = *text ? strncmp(text, "Registered", 10) == 0 : -1;
    ddr = strstr(text, "DDR");
    if (ddr)
        snprintf(dimm->type, sizeof(dimm->type), "%.4s", ddr);
    snprintf(path, sizeof(path), "%s/%s/dimm_edac_mode", edac->controller,
             name);
    sysfile_text(edac->root, path, text, sizeof(text));
    dimm->has_ecc = edac_ecc(text);
}

static void on_controller(const char *name, void *data)
{
    struct edac *edac = data;
    char path[PATH_MAX];

    if (strncmp(name, "mc", 2) != 0)
        return;
    snprintf(path, sizeof(path), "/sys/devices/system/edac/mc/%s", name);
    edac->controller = path;
    sysfile_each(edac->root, path, on_edac_dimm, edac);
    edac->controller = NULL;
}

void dimms_read(const char *root, struct dimms *ret_dimms)
{
    struct edac edac = {.root = root, .dimms = ret_dimms};

    *ret_dimms = (struct dimms){0};
    if (read_dmi(root, ret_dimms)) {
        ret_dimms->source = "dmi";
        return;
    }
    sysfile_each(root, "/sys/devices/system/edac/mc", on_controller, &edac);
    if (ret_dimms->n > 0)
        ret_dimms->source = "edac";
}
