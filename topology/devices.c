/* SPDX-License-Identifier: MIT */
#include "topology/devices.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base.h"

int devices_read(const char *root, struct devices **ret_devices)
{
    struct devices *devices = calloc(1, sizeof(*devices));

    if (!devices)
        return -ENOMEM;
    devices_read_nics(root, devices);
    devices_read_disks(root, devices);
    *ret_devices = devices;
    return 0;
}

static int32_t os_index(const struct machine *machine, int32_t node)
{
    return node < 0 ? -1 : (int32_t)machine->nodes[node].os_index;
}

/* A file of a machine knows names and places, nothing more. */
static void add_nic(struct devices *devices, const char *name, int32_t node)
{
    if (devices->n_nics == NICS_MAX)
        return;
    devices->nics[devices->n_nics++] = (struct nic){
        .speed_mbps = -1,
        .node = node,
        .queues = -1,
        .queues_max = -1,
        .rx_ring = -1,
        .rx_ring_max = -1,
        .tx_ring = -1,
        .tx_ring_max = -1,
        .tso = -1,
        .gro = -1,
    };
    snprintf(devices->nics[devices->n_nics - 1].name,
             sizeof(devices->nics[0].name), "%s", name);
}

static void add_disk(struct devices *devices, const char *name, int32_t node)
{
    if (devices->n_disks == DISKS_MAX)
        return;
    devices->disks[devices->n_disks++] = (struct disk){
        .node = node,
        .is_nvme = strncmp(name, "nvme", 4) == 0,
        .is_rotational = -1,
        .pcie_mts = -1,
        .pcie_width = -1,
    };
    snprintf(devices->disks[devices->n_disks - 1].name,
             sizeof(devices->disks[0].name), "%s", name);
}

int devices_from_machine(const struct machine *machine,
                         struct devices **ret_devices)
{
    struct devices *devices = calloc(1, sizeof(*devices));

    if (!devices)
        return -ENOMEM;
    for (uint32_t i = 0; i < machine->n_devices; i++) {
        const struct machine_device *d = &machine->devices[i];

        if (d->kind == MACHINE_NET && d->ethernet)
            add_nic(devices, d->name, os_index(machine, d->node));
        if (d->kind == MACHINE_DISK)
            add_disk(devices, d->name, os_index(machine, d->node));
    }
    *ret_devices = devices;
    return 0;
}

void devices_free(struct devices *devices)
{
    if (!devices)
        return;
    for (uint32_t i = 0; i < devices->n_nics; i++)
        free(devices->nics[i].irqs);
    free(devices);
}

int devices_pcie_generation(int32_t mts)
{
    static const int32_t speeds[] = {2500, 5000, 8000, 16000, 32000, 64000};

    for (size_t i = 0; i < ARRAY_SIZE(speeds); i++)
        if (mts == speeds[i])
            return (int)i + 1;
    return 0;
}
