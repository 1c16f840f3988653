/* SPDX-License-Identifier: MIT */
#include "topology/tier.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define GB UINT64_C(1000000000)

/* The tier. Disk sizes are decimal, as they are sold. */
enum {
    NEED_CORES = 32,
    NEED_THREADS = 64,
    NEED_MHZ = 2800,
    NEED_L3_MIB = 128,
    NEED_RAM_GIB = 256,
    NEED_MTS = 4800,
    NEED_BOOT_GB = 1000,
    NEED_DATA_GB = 4000,
    NEED_IOPS = 500000,
    NEED_PORTS = 2,
    NEED_PORT_MBPS = 25000,
};

/* By the CPU's own flag, or by what the firmware calls itself. */
static bool is_guest(const struct tier_facts *f)
{
    return f->processor->is_virtual ||
           (strcmp(f->host->virt, "none") != 0 &&
            strcmp(f->host->virt, "unknown") != 0 && f->host->virt[0]);
}

/* A file of a machine says nothing about what runs on it. */
static bool is_here(const struct tier_facts *f)
{
    return f->machine->origin == MACHINE_LIVE ||
           f->machine->origin == MACHINE_SYSROOT;
}

/* More is not proved by what a hypervisor shows; less is. */
static void at_least(struct check *check, const struct tier_facts *f,
                     uint64_t found, uint64_t need)
{
    check_that(check, found >= need, CHECK_FAIL);
    if (is_guest(f) && found >= need)
        check->status = CHECK_UNKNOWN;
}

static void check_cores(const struct tier_facts *f, struct checks *checks)
{
    const struct machine *m = f->machine;
    uint32_t threads = cpus_count(&m->online);
    struct check *c = checks_add(checks, "tier", "cpu.cores", "physical cores");

    c->source = "hwloc";
    check_need(c, ">= %d", NEED_CORES);
    check_found(c, is_guest(f) ? "%u virtual" : "%u", m->n_cores);
    at_least(c, f, m->n_cores, NEED_CORES);
    c = checks_add(checks, "tier", "cpu.threads", "hardware threads");
    c->source = "hwloc";
    check_need(c, ">= %d", NEED_THREADS);
    check_found(c, is_guest(f) ? "%u virtual" : "%u", threads);
    at_least(c, f, threads, NEED_THREADS);
}

static void check_generation(const struct tier_facts *f, struct checks *checks)
{
    const struct processor *p = f->processor;
    struct check *c = checks_add(checks, "tier", "cpu.generation",
                                 "processor generation");

    c->source = "cpuid family and model";
    check_need(c, "Genoa, SPR or later");
    if (p->generation)
        check_found(c, "%s (%d/%d)", p->generation, p->family, p->model_number);
    else if (p->family >= 0)
        check_found(c, "not in our table (%d/%d)", p->family, p->model_number);
    else
        check_found(c, "not known");
    /* A hypervisor sets family and model as it likes. */
    if (p->generation && !is_guest(f))
        check_that(c, p->is_tier_generation, CHECK_FAIL);
}

static void check_clock(const struct tier_facts *f, struct checks *checks)
{
    const struct processor *p = f->processor;
    struct check *c = checks_add(checks, "tier", "cpu.base_clock",
                                 "base clock");

    c->source = p->base_source;
    check_need(c, ">= %d MHz", NEED_MHZ);
    if (p->base_mhz == 0)
        check_found(c, "not told by kernel or CPU");
    else
        check_found(c, "%u MHz", p->base_mhz);
    if (p->base_mhz && !is_guest(f))
        check_that(c, p->base_mhz >= NEED_MHZ, CHECK_FAIL);
}

static void check_l3(const struct tier_facts *f, struct checks *checks)
{
    uint64_t bytes = f->machine->l3_bytes;
    struct check *c = checks_add(checks, "tier", "cpu.l3", "L3 cache");

    c->source = "hwloc";
    check_need(c, ">= %d MiB", NEED_L3_MIB);
    check_found(c, "%" PRIu64 " MiB%s", bytes / MIB,
                is_guest(f) ? " as presented" : "");
    if (!is_guest(f) && bytes > 0)
        check_that(c, bytes >= NEED_L3_MIB * MIB, CHECK_FAIL);
}

static void check_avx512(const struct tier_facts *f, struct checks *checks)
{
    const struct processor *p = f->processor;
    struct check *c = checks_add(checks, "tier", "cpu.avx512", "AVX-512");

    c->source = "cpuinfo";
    check_need(c, "yes");
    if (!p->has_flags) {
        check_found(c, "not known");
        return;
    }
    check_found(c, "%s", p->avx512[0] ? p->avx512 : "no");
    /* Without the width and length extensions little code can use it. */
    check_that(c, strncmp(p->avx512, "F DQ BW VL", 10) == 0, CHECK_FAIL);
}

/* What the modules hold, of which the kernel gets a little less. */
static uint64_t installed(const struct dimms *dimms)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < dimms->n; i++)
        sum += dimms->items[i].bytes;
    return sum;
}

/* The larger: either of the two may not know about added memory. */
static uint64_t usable(const struct machine *machine)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < machine->n_nodes; i++)
        if (machine->nodes[i].special[0] == '\0')
            sum += machine->nodes[i].bytes;
    return sum > machine->meminfo_bytes ? sum : machine->meminfo_bytes;
}

static void check_ram(const struct tier_facts *f, struct checks *checks)
{
    uint64_t module_bytes = installed(f->dimms);
    uint64_t bytes = module_bytes ? module_bytes : usable(f->machine);
    /* The kernel keeps 2 to 4 % of what is installed for itself. */
    uint64_t need = NEED_RAM_GIB * GIB / 100 * (module_bytes ? 100 : 96);
    struct check *c = checks_add(checks, "tier", "mem.size", "memory");

    c->source = module_bytes ? f->dimms->source : "kernel";
    check_need(c, ">= %d GB", NEED_RAM_GIB);
    if (bytes == 0) {
        check_found(c, "not known");
        return;
    }
    check_found(c, "%.1f GiB %s", (double)bytes / (double)GIB,
                module_bytes ? "installed" : "usable");
    check_that(c, bytes >= need, CHECK_FAIL);
}

/* Says so in the line when they are not. */
static bool modules_known(const struct tier_facts *f, struct check *check)
{
    check->source = f->dimms->source ? f->dimms->source : "";
    if (f->dimms->n > 0 && !is_guest(f))
        return true;
    check_found(check,
                f->dimms->n ? "as the hypervisor presents them" : "not known");
    if (f->dimms->needs_root)
        check_remedy(check, "# run gcorn-topo as root to read the modules");
    return false;
}

static void check_modules(const struct tier_facts *f, struct checks *checks)
{
    const struct dimm *d = &f->dimms->items[0];
    struct check *c = checks_add(checks, "tier", "mem.type", "memory type");

    check_need(c, "DDR5 RDIMM");
    if (modules_known(f, c)) {
        check_found(c, "%s%s", d->type[0] ? d->type : "type not told",
                    d->is_registered == 1   ? " RDIMM"
                    : d->is_registered == 0 ? " unbuffered"
                                            : "");
        if (d->type[0] && d->is_registered >= 0)
            check_that(c, strcmp(d->type, "DDR5") == 0 && d->is_registered,
                       CHECK_FAIL);
    }
    c = checks_add(checks, "tier", "mem.ecc", "ECC");
    check_need(c, "yes");
    if (modules_known(f, c)) {
        check_found(c, d->has_ecc == 1 ? "yes"
                       : d->has_ecc    ? "not told"
                                       : "no");
        if (d->has_ecc >= 0)
            check_that(c, d->has_ecc, CHECK_FAIL);
    }
}

static void check_speed(const struct tier_facts *f, struct checks *checks)
{
    struct check *c = checks_add(checks, "tier", "mem.speed", "memory speed");
    uint32_t slowest = UINT32_MAX;

    check_need(c, ">= %d MT/s", NEED_MTS);
    if (!modules_known(f, c))
        return;
    /* The slowest module sets the pace of all. */
    for (uint32_t i = 0; i < f->dimms->n; i++)
        if (f->dimms->items[i].mts < slowest)
            slowest = f->dimms->items[i].mts;
    if (slowest == 0) {
        check_found(c, "not told");
        return;
    }
    check_found(c, "%u MT/s, %u modules", slowest, f->dimms->n);
    check_that(c, slowest >= NEED_MTS, CHECK_FAIL);
}

static const struct disk *boot_disk(const struct devices *devices)
{
    for (uint32_t i = 0; i < devices->n_disks; i++)
        if (devices->disks[i].is_boot)
            return &devices->disks[i];
    return NULL;
}

static void check_boot(const struct tier_facts *f, struct checks *checks)
{
    const struct disk *disk = boot_disk(f->devices);
    struct check *c = checks_add(checks, "tier", "disk.boot", "boot disk");
    int generation;

    c->source = "sysfs";
    check_need(c, "1 TB NVMe");
    if (!disk) {
        check_found(c, "not known");
        return;
    }
    generation = devices_pcie_generation(disk->pcie_mts);
    check_found(c, "%s, %" PRIu64 " GB%s", disk->name, disk->bytes / GB,
                disk->is_nvme ? " NVMe" : "");
    if (generation)
        check_found(c, "%s, %" PRIu64 " GB NVMe, PCIe %d.0 x%d", disk->name,
                    disk->bytes / GB, generation, disk->pcie_width);
    check_that(c, disk->is_nvme && disk->bytes >= NEED_BOOT_GB * GB,
               disk->is_nvme && disk->bytes >= NEED_BOOT_GB / 2 * GB
                   ? CHECK_WARN
                   : CHECK_FAIL);
}

/* The largest one holds the data. */
static const struct raid *data_raid(const struct devices *devices)
{
    const struct raid *best = NULL;

    for (uint32_t i = 0; i < devices->n_raids; i++)
        if (!best || devices->raids[i].bytes > best->bytes)
            best = &devices->raids[i];
    return best;
}

/* "4 x NVMe, PCIe 4.0", as slow as the slowest. */
static void describe_members(const struct devices *devices,
                             const struct raid *raid, char *text, size_t size)
{
    int generation = 0;
    bool all_nvme = true;

    for (uint32_t i = 0; i < devices->n_disks; i++) {
        const struct disk *disk = &devices->disks[i];
        int own = devices_pcie_generation(disk->pcie_mts);

        if (strcmp(disk->raid, raid->name) != 0)
            continue;
        all_nvme &= disk->is_nvme;
        if (generation == 0 || own < generation)
            generation = own;
    }
    if (all_nvme && generation > 0)
        snprintf(text, size, "%u x NVMe, PCIe %d.0", raid->members, generation);
    else
        snprintf(text, size, "%u members", raid->members);
}

static void check_data(const struct tier_facts *f, struct checks *checks)
{
    const struct raid *raid = data_raid(f->devices);
    struct check *c = checks_add(checks, "tier", "disk.data", "data disks");
    char members[64];

    c->source = "sysfs";
    check_need(c, "4 TB RAID 10");
    if (!raid) {
        /* A RAID controller shows its array as one plain disk. */
        check_found(c, "no software RAID");
        return;
    }
    describe_members(f->devices, raid, members, sizeof(members));
    check_found(c, "%s %s, %" PRIu64 " GB, %s%s", raid->name, raid->level,
                raid->bytes / GB, members,
                raid->is_degraded ? ", DEGRADED" : "");
    check_that(c,
               strcmp(raid->level, "raid10") == 0 && !raid->is_degraded &&
                   raid->bytes >= NEED_DATA_GB * GB,
               CHECK_FAIL);
}

static void check_iops(const struct tier_facts *f, struct checks *checks)
{
    struct check *c = checks_add(checks, "tier", "disk.iops",
                                 "random read IOPS");

    check_need(c, ">= %d", NEED_IOPS);
    if (f->random_read_iops == 0) {
        check_found(c, "not measured");
        if (f->machine->origin == MACHINE_LIVE)
            check_remedy(c, "gcorn-topo --bench-io DIR");
        return;
    }
    c->source = "measured";
    check_found(c, "%" PRIu64 " (4 KiB)", f->random_read_iops);
    check_that(c, f->random_read_iops >= NEED_IOPS, CHECK_FAIL);
}

static void check_ports(const struct tier_facts *f, struct checks *checks)
{
    struct check *c = checks_add(checks, "tier", "net.ports", "network");
    uint32_t fast = 0, untold = 0;
    int32_t best = -1;

    c->source = "sysfs";
    check_need(c, "%d x 25 GbE", NEED_PORTS);
    for (uint32_t i = 0; i < f->devices->n_nics; i++) {
        int32_t speed = f->devices->nics[i].speed_mbps;

        fast += speed >= NEED_PORT_MBPS;
        untold += speed <= 0;
        if (speed > best)
            best = speed;
    }
    if (best > 0)
        check_found(c, "%u port%s, fastest %d.%d Gb/s", f->devices->n_nics,
                    f->devices->n_nics == 1 ? "" : "s", best / 1000,
                    best % 1000 / 100);
    else
        check_found(c, "%u port%s, speed not told", f->devices->n_nics,
                    f->devices->n_nics == 1 ? "" : "s");
    /* A port that is down or virtual might be fast. */
    if (fast >= NEED_PORTS || fast + untold < NEED_PORTS)
        check_that(c, fast >= NEED_PORTS,
                   is_here(f) ? CHECK_FAIL : CHECK_UNKNOWN);
}

static void check_offload(const struct tier_facts *f, struct checks *checks)
{
    struct check *c = checks_add(checks, "tier", "net.tso", "TSO");

    c->source = "driver";
    check_need(c, "on");
    check_found(c, "not told");
    for (uint32_t i = 0; i < f->devices->n_nics; i++) {
        const struct nic *nic = &f->devices->nics[i];

        if (nic->tso < 0 || c->status == CHECK_FAIL)
            continue;
        check_found(c, "%s (%s)", nic->tso ? "on" : "off", nic->name);
        check_that(c, nic->tso, CHECK_FAIL);
        if (!nic->tso)
            check_remedy(c, "ethtool -K %s tso on", nic->name);
    }
}

/* Half of what the card has is enough to ride out a burst. */
static bool ring_is_short(const struct nic *nic)
{
    return nic->rx_ring > 0 && nic->rx_ring_max > 0 &&
           nic->rx_ring < nic->rx_ring_max / 2;
}

/* A queue for each worker, as far as the card has them. */
static bool queues_are_few(const struct tier_facts *f, const struct nic *nic)
{
    int32_t want = (int32_t)f->plan->n_workers;

    if (nic->queues_max < want)
        want = nic->queues_max;
    return nic->queues > 0 && nic->queues < want;
}

static void check_queues(const struct tier_facts *f, struct checks *checks)
{
    struct check *c = checks_add(checks, "tier", "net.queues",
                                 "NIC queues and rings");

    c->source = "driver";
    check_need(c, "tuned");
    check_found(c, "not told");
    for (uint32_t i = 0; i < f->devices->n_nics; i++) {
        const struct nic *nic = &f->devices->nics[i];
        bool poor = ring_is_short(nic) || queues_are_few(f, nic);

        if (nic->queues_max < 0 || nic->rx_ring_max < 0 ||
            c->status == CHECK_FAIL)
            continue;
        check_found(c, "%s: %d of %d queues, rx ring %d of %d", nic->name,
                    nic->queues, nic->queues_max, nic->rx_ring,
                    nic->rx_ring_max);
        check_that(c, !poor, CHECK_FAIL);
        if (ring_is_short(nic))
            check_remedy(c, "ethtool -G %s rx %d tx %d", nic->name,
                         nic->rx_ring_max, nic->tx_ring_max);
        else if (poor)
            check_remedy(c, "ethtool -L %s combined %d", nic->name,
                         nic->queues_max);
    }
}

void tier_check(const struct tier_facts *facts, struct checks *checks)
{
    check_cores(facts, checks);
    check_generation(facts, checks);
    check_clock(facts, checks);
    check_l3(facts, checks);
    check_avx512(facts, checks);
    check_ram(facts, checks);
    check_modules(facts, checks);
    check_speed(facts, checks);
    check_boot(facts, checks);
    check_data(facts, checks);
    check_iops(facts, checks);
    check_ports(facts, checks);
    check_offload(facts, checks);
    check_queues(facts, checks);
}
