/* SPDX-License-Identifier: MIT */
#include "topology/devices.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topology/sysfile.h"

#define SECTOR 512
/* LVM on RAID on partitions is three levels; more is no real machine. */
#define DEPTH_MAX 6

struct disk_search {
    const char *root;
    struct devices *devices;
    char boot[32]; /* the device under the root file system */
};

static bool has_prefix(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static int64_t block_number(const char *root, const char *disk,
                            const char *file)
{
    char path[PATH_MAX];
    int64_t value;

    snprintf(path, sizeof(path), "/sys/block/%s/%s", disk, file);
    return sysfile_number(root, path, &value) ? value : -1;
}

/* "16.0 GT/s PCIe" */
/*
 * The speed that was negotiated, which a bad riser makes less than it could be.
 */
static int32_t lane_speed(const char *root, const char *disk)
{
    char path[PATH_MAX], text[64];
    double gts;

    snprintf(path, sizeof(path), "/sys/block/%s/device/device/%s", disk,
             "current_link_speed");
    if (!sysfile_text(root, path, text, sizeof(text)) ||
        sscanf(text, "%lf GT/s", &gts) != 1)
        return -1;
    return (int32_t)(gts * 1000 + 0.5);
}

struct slave_search {
    const char *root;
    const char *wanted;
    int depth;
    bool found;
};

static bool stands_on(const char *root, const char *device, const char *disk,
                      int depth);

static void on_slave(const char *name, void *data)
{
    struct slave_search *search = data;

    search->found |= stands_on(search->root, name, search->wanted,
                               search->depth + 1);
}

/* A partition is named after its disk: sda1, nvme0n1p2. */
static bool is_part_of(const char *root, const char *device, const char *disk)
{
    char path[PATH_MAX];

    if (strcmp(device, disk) == 0)
        return true;
    snprintf(path, sizeof(path), "/sys/block/%s/%s", disk, device);
    return has_prefix(device, disk) && sysfile_exists(root, path);
}

/* Through partitions, LVM and RAID down to the disk. */
static bool stands_on(const char *root, const char *device, const char *disk,
                      int depth)
{
    struct slave_search search = {root, disk, depth, false};
    char path[PATH_MAX];

    if (depth > DEPTH_MAX)
        return false;
    if (is_part_of(root, device, disk))
        return true;
    snprintf(path, sizeof(path), "/sys/class/block/%s/slaves", device);
    sysfile_each(root, path, on_slave, &search);
    return search.found;
}

/* The line of "/" in mountinfo names the device as major:minor. */
static void find_boot(struct disk_search *search)
{
    char path[PATH_MAX], line[1024], number[32], point[256];
    FILE *file;

    snprintf(path, sizeof(path), "%s/proc/self/mountinfo", search->root);
    file = fopen(path, "re");
    if (!file)
        return;
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "%*s %*s %31s %*s %255s", number, point) != 2 ||
            strcmp(point, "/") != 0)
            continue;
        snprintf(path, sizeof(path), "/sys/dev/block/%s", number);
        sysfile_link_name(search->root, path, search->boot,
                          sizeof(search->boot));
    }
    fclose(file);
}

static void on_raid(const char *name, void *data)
{
    struct disk_search *search = data;
    struct devices *devices = search->devices;
    struct raid *raid = &devices->raids[devices->n_raids];
    char path[PATH_MAX];

    if (!has_prefix(name, "md") || devices->n_raids == RAIDS_MAX)
        return;
    snprintf(path, sizeof(path), "/sys/block/%s/md/level", name);
    if (!sysfile_text(search->root, path, raid->level, sizeof(raid->level)))
        return;
    devices->n_raids++;
    snprintf(raid->name, sizeof(raid->name), "%s", name);
    raid->members = (uint32_t)block_number(search->root, name, "md/raid_disks");
    raid->bytes = (uint64_t)block_number(search->root, name, "size") * SECTOR;
    raid->is_degraded = block_number(search->root, name, "md/degraded") > 0;
}

/* Not loops, RAM disks, device mappers or optical drives. */
static bool is_disk(const char *name)
{
    static const char *const prefixes[] = {"nvme", "sd", "vd",
                                           "xvd",  "hd", "mmcblk"};

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (has_prefix(name, prefixes[i]))
            return true;
    return false;
}

static void read_disk(const struct disk_search *search, const char *name,
                      struct disk *disk)
{
    const char *root = search->root;
    int64_t sectors = block_number(root, name, "size");
    int64_t node = block_number(root, name, "device/numa_node");

    if (node < 0)
        node = block_number(root, name, "device/device/numa_node");
    snprintf(disk->name, sizeof(disk->name), "%s", name);
    disk->bytes = sectors > 0 ? (uint64_t)sectors * SECTOR : 0;
    disk->is_nvme = has_prefix(name, "nvme");
    disk->is_rotational = (int8_t)block_number(root, name, "queue/rotational");
    disk->node = (int32_t)node;
    disk->pcie_mts = lane_speed(root, name);
    disk->pcie_width =
        (int32_t)block_number(root, name, "device/device/current_link_width");
    disk->is_boot = search->boot[0] && stands_on(root, search->boot, name, 0);
    for (uint32_t i = 0; i < search->devices->n_raids; i++)
        if (stands_on(root, search->devices->raids[i].name, name, 0))
            snprintf(disk->raid, sizeof(disk->raid), "%s",
                     search->devices->raids[i].name);
}

static void on_disk(const char *name, void *data)
{
    struct disk_search *search = data;
    struct devices *devices = search->devices;

    if (is_disk(name) && devices->n_disks < DISKS_MAX)
        read_disk(search, name, &devices->disks[devices->n_disks++]);
}

void devices_read_disks(const char *root, struct devices *devices)
{
    struct disk_search search = {.root = root, .devices = devices};

    find_boot(&search);
    sysfile_each(root, "/sys/block", on_raid, &search);
    sysfile_each(root, "/sys/block", on_disk, &search);
}
