/* SPDX-License-Identifier: MIT */
/*
 * devices - network cards and disks: speed, queues, place, health.
 *
 * Only what hardware backs (also virtual hardware): no bridges, no loops.
 * Everything is readable without root. -1 is unknown wherever a value could
 * be 0; a driver that does not answer is unknown, never wrong.
 */
#ifndef GCORN_TOPOLOGY_DEVICES_H
#define GCORN_TOPOLOGY_DEVICES_H

#include <stdbool.h>
#include <stdint.h>

#include "topology/machine.h"

#define NICS_MAX 32
#define NIC_IRQS_MAX 128
#define DISKS_MAX 64
#define RAIDS_MAX 16

struct nic_irq {
    uint32_t irq;
    struct cpus cpus; /* where it may arrive */
};

struct nic {
    char name[32];
    char driver[32];
    bool is_up;
    int32_t speed_mbps;
    int32_t node; /* OS index */
    int32_t queues, queues_max;
    int32_t rx_ring, rx_ring_max, tx_ring, tx_ring_max;
    int8_t tso, gro; /* 1, 0 or -1 */
    uint32_t n_irqs;
    struct nic_irq *irqs;
};

struct disk {
    char name[32];
    uint64_t bytes;
    bool is_nvme;
    int8_t is_rotational;
    bool is_boot;     /* the root file system is on it */
    int32_t node;     /* OS index */
    int32_t pcie_mts; /* of a lane: 16000 is generation 4 */
    int32_t pcie_width;
    char raid[32]; /* the array it is a part of, or "" */
};

struct raid {
    char name[32];
    char level[16]; /* "raid10" */
    uint32_t members;
    uint64_t bytes;
    bool is_degraded;
};

struct devices {
    uint32_t n_nics, n_disks, n_raids;
    struct nic nics[NICS_MAX];
    struct disk disks[DISKS_MAX];
    struct raid raids[RAIDS_MAX];
};

/*
 * Reads below @root. Drivers are asked only on the running system, root "".
 * Returns 0 or -ENOMEM.
 */
int devices_read(const char *root, struct devices **ret_devices);
/* The same as far as the machine, read from a file, knows names and places. */
int devices_from_machine(const struct machine *machine,
                         struct devices **ret_devices);
void devices_free(struct devices *devices);

/* The PCI Express generation of a lane's speed, 0: unknown. */
int devices_pcie_generation(int32_t mts);

/* The two halves of devices_read(). */
void devices_read_nics(const char *root, struct devices *devices);
void devices_read_disks(const char *root, struct devices *devices);

#endif
