/* SPDX-License-Identifier: MIT */
#include "topology/processor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#include "core/base.h"
#include "topology/sysfile.h"

/* The first processor's paragraph; flags alone take some 2 KiB. */
#define CPUINFO_SIZE 8192

/* Server parts; what is missing here is unknown, not too old. */
struct generation {
    const char *vendor;
    int32_t family, first, last; /* model numbers */
    const char *name;
    bool is_tier;
};

static const struct generation generations[] = {
    {"GenuineIntel", 6, 63, 63, "Haswell", false},
    {"GenuineIntel", 6, 79, 79, "Broadwell", false},
    {"GenuineIntel", 6, 85, 85, "Skylake or Cascade Lake", false},
    {"GenuineIntel", 6, 106, 108, "Ice Lake", false},
    {"GenuineIntel", 6, 143, 143, "Sapphire Rapids", true},
    {"GenuineIntel", 6, 207, 207, "Emerald Rapids", true},
    {"GenuineIntel", 6, 173, 174, "Granite Rapids", true},
    {"AuthenticAMD", 23, 0x01, 0x0f, "Naples", false},
    {"AuthenticAMD", 23, 0x30, 0x3f, "Rome", false},
    {"AuthenticAMD", 25, 0x00, 0x0f, "Milan", false},
    {"AuthenticAMD", 25, 0x10, 0x1f, "Genoa", true},
    {"AuthenticAMD", 25, 0xa0, 0xaf, "Bergamo or Siena", true},
    {"AuthenticAMD", 26, 0x00, 0x1f, "Turin", true},
};

/* By numbers: names are what a hypervisor likes them to be. */
static void find_generation(struct processor *p)
{
    for (size_t i = 0; i < ARRAY_SIZE(generations); i++) {
        const struct generation *g = &generations[i];

        if (strcmp(p->vendor, g->vendor) != 0 || p->family != g->family ||
            p->model_number < g->first || p->model_number > g->last)
            continue;
        p->generation = g->name;
        p->is_tier_generation = g->is_tier;
        return;
    }
}

/* "key<blanks>: value" at the start of a line; "" when it is not there. */
static void cpuinfo_value(const char *text, const char *key, char *value,
                          size_t size)
{
    size_t n = strlen(key);

    value[0] = '\0';
    for (const char *p = text; p; p = strchr(p, '\n')) {
        p += *p == '\n';
        if (strncmp(p, key, n) != 0 || !strchr(" \t:", p[n]))
            continue;
        p = strchr(p, ':');
        if (!p)
            return;
        p += strspn(p, ": \t");
        snprintf(value, size, "%.*s", (int)strcspn(p, "\n"), p);
        return;
    }
}

static int32_t number_or(const char *text, int32_t otherwise)
{
    char *end;
    long value = strtol(text, &end, 10);

    return end == text ? otherwise : (int32_t)value;
}

/* A flag shows only what CPU and kernel both support. */
static void find_avx512(struct processor *p, const char *flags)
{
    static const struct {
        const char *flag;
        const char *name;
    } parts[] = {{" avx512f ", "F"},        {" avx512dq ", "DQ"},
                 {" avx512bw ", "BW"},      {" avx512vl ", "VL"},
                 {" avx512_vnni ", "VNNI"}, {" avx512_bf16 ", "BF16"}};
    size_t used = 0;

    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        if (strstr(flags, parts[i].flag))
            used += (size_t)snprintf(p->avx512 + used, sizeof(p->avx512) - used,
                                     "%s%s", used ? " " : "", parts[i].name);
}

static void read_cpuinfo(const char *root, struct processor *p)
{
    char text[CPUINFO_SIZE], value[CPUINFO_SIZE], flags[CPUINFO_SIZE + 2];

    if (!sysfile_text(root, "/proc/cpuinfo", text, sizeof(text)))
        return;
    cpuinfo_value(text, "vendor_id", p->vendor, sizeof(p->vendor));
    cpuinfo_value(text, "model name", p->model, sizeof(p->model));
    cpuinfo_value(text, "cpu family", value, sizeof(value));
    p->family = number_or(value, -1);
    cpuinfo_value(text, "model", value, sizeof(value));
    p->model_number = number_or(value, -1);
    cpuinfo_value(text, "flags", value, sizeof(value));
    snprintf(flags, sizeof(flags), " %s ", value);
    p->has_flags = value[0] != '\0';
    p->is_virtual = strstr(flags, " hypervisor ") != NULL;
    find_avx512(p, flags);
}

/* Returns 0 where the leaf is missing, as on AMD and in most guests. */
static uint32_t cpuid_base_mhz(void)
{
#if defined(__x86_64__) || defined(__i386__)
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;

    if (__get_cpuid(0x16, &eax, &ebx, &ecx, &edx))
        return eax & 0xffff;
#endif
    return 0;
}

/* Intel's names end in "@ 2.80GHz". */
static uint32_t name_base_mhz(const char *model)
{
    const char *at = strstr(model, "@ ");
    double ghz;

    if (!at || sscanf(at, "@ %lfGHz", &ghz) != 1)
        return 0;
    return (uint32_t)(ghz * 1000 + 0.5);
}

static bool take_clock(struct processor *p, int64_t mhz, const char *source)
{
    if (mhz <= 0 || mhz > 100000)
        return false;
    p->base_mhz = (uint32_t)mhz;
    p->base_source = source;
    return true;
}

static void read_base_clock(const char *root, struct processor *p)
{
    static const char cpufreq[] =
        "/sys/devices/system/cpu/cpu0/cpufreq/base_frequency";
    static const char cppc[] =
        "/sys/devices/system/cpu/cpu0/acpi_cppc/nominal_freq";
    int64_t value;

    if (root && sysfile_number(root, cpufreq, &value) &&
        take_clock(p, value / 1000, "cpufreq"))
        return;
    if (root && sysfile_number(root, cppc, &value) &&
        take_clock(p, value, "acpi_cppc"))
        return;
    if (root && root[0] == '\0' && take_clock(p, cpuid_base_mhz(), "cpuid"))
        return;
    take_clock(p, name_base_mhz(p->model), "model name");
}

/* The CPU pads its name with blanks. */
static void trim(char *text)
{
    size_t n = strlen(text);

    while (n > 0 && text[n - 1] == ' ')
        text[--n] = '\0';
}

void processor_read(const char *root, const struct machine *machine,
                    struct processor *ret_processor)
{
    struct processor p = {.family = machine->cpu_family,
                          .model_number = machine->cpu_model_number,
                          .base_source = "unknown"};

    snprintf(p.vendor, sizeof(p.vendor), "%s", machine->cpu_vendor);
    snprintf(p.model, sizeof(p.model), "%s", machine->cpu_model);
    if (root)
        read_cpuinfo(root, &p);
    read_base_clock(root, &p);
    find_generation(&p);
    trim(p.model);
    *ret_processor = p;
}
