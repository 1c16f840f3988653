/* SPDX-License-Identifier: MIT */
#include "topology/devices.h"

#include <limits.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "topology/sysfile.h"

/* ARPHRD_ETHER, as /sys prints it. */
#define TYPE_ETHERNET 1

struct nic_search {
    const char *root;
    struct devices *devices;
    struct nic *nic;
};

/* A link that is down says -1, or fails to be read at all. */
static int32_t nic_number(const char *root, const char *nic, const char *file)
{
    char path[PATH_MAX];
    int64_t value;

    snprintf(path, sizeof(path), "/sys/class/net/%s/%s", nic, file);
    if (!sysfile_number(root, path, &value) || value < 0 || value > INT32_MAX)
        return -1;
    return (int32_t)value;
}

static void count_rx_queue(const char *name, void *data)
{
    int32_t *count = data;

    *count += strncmp(name, "rx-", 3) == 0;
}

static int32_t count_queues(const char *root, const char *nic)
{
    char path[PATH_MAX];
    int32_t count = 0;

    snprintf(path, sizeof(path), "/sys/class/net/%s/queues", nic);
    return sysfile_each(root, path, count_rx_queue, &count) ? count : -1;
}

static void on_irq(const char *name, void *data)
{
    struct nic_search *search = data;
    struct nic *nic = search->nic;
    char path[PATH_MAX], text[CPUS_TEXT];

    if (nic->n_irqs == NIC_IRQS_MAX)
        return;
    snprintf(path, sizeof(path), "/proc/irq/%s/smp_affinity_list", name);
    if (!sysfile_text(search->root, path, text, sizeof(text)) ||
        cpus_parse(text, &nic->irqs[nic->n_irqs].cpus) < 0)
        return;
    nic->irqs[nic->n_irqs++].irq = (uint32_t)strtoul(name, NULL, 10);
}

static void read_irqs(const char *root, struct nic *nic)
{
    /* A virtio device sits on the PCI device that has the interrupts. */
    static const char *const places[] = {"device/msi_irqs",
                                         "device/../msi_irqs"};
    struct nic_search search = {.root = root, .nic = nic};
    char path[PATH_MAX];

    nic->irqs = calloc(NIC_IRQS_MAX, sizeof(*nic->irqs));
    for (size_t i = 0; nic->irqs && nic->n_irqs == 0 && i < 2; i++) {
        snprintf(path, sizeof(path), "/sys/class/net/%s/%s", nic->name,
                 places[i]);
        sysfile_each(root, path, on_irq, &search);
    }
}

/* None of these questions needs root. A driver may refuse each of them. */
static bool ask(int fd, const struct nic *nic, void *command)
{
    struct ifreq request = {0};

    snprintf(request.ifr_name, sizeof(request.ifr_name), "%.*s", IFNAMSIZ - 1,
             nic->name);
    request.ifr_data = command;
    return ioctl(fd, SIOCETHTOOL, &request) == 0;
}

static int8_t ask_flag(int fd, const struct nic *nic, uint32_t command)
{
    struct ethtool_value value = {.cmd = command};

    return ask(fd, nic, &value) ? value.data != 0 : -1;
}

/* A combined queue both receives and sends. */
static void ask_queues(int fd, struct nic *nic)
{
    struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};

    if (!ask(fd, nic, &channels))
        return;
    nic->queues = (int32_t)(channels.combined_count + channels.rx_count);
    nic->queues_max = (int32_t)(channels.max_combined + channels.max_rx);
}

static void ask_rings(int fd, struct nic *nic)
{
    struct ethtool_ringparam ring = {.cmd = ETHTOOL_GRINGPARAM};

    if (!ask(fd, nic, &ring))
        return;
    nic->rx_ring = (int32_t)ring.rx_pending;
    nic->rx_ring_max = (int32_t)ring.rx_max_pending;
    nic->tx_ring = (int32_t)ring.tx_pending;
    nic->tx_ring_max = (int32_t)ring.tx_max_pending;
}

static void ask_driver(struct nic *nic)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return;
    ask_queues(fd, nic);
    ask_rings(fd, nic);
    nic->tso = ask_flag(fd, nic, ETHTOOL_GTSO);
    nic->gro = ask_flag(fd, nic, ETHTOOL_GGRO);
    close(fd);
}

/* Bridges, bonds and tunnels have no device; radios have a phy. */
static bool is_card(const char *root, const char *name)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "/sys/class/net/%s/device", name);
    if (!sysfile_exists(root, path))
        return false;
    snprintf(path, sizeof(path), "/sys/class/net/%s/phy80211", name);
    return !sysfile_exists(root, path) &&
           nic_number(root, name, "type") == TYPE_ETHERNET;
}

static void on_link(const char *name, void *data)
{
    struct nic_search *search = data;
    struct devices *devices = search->devices;
    struct nic *nic = &devices->nics[devices->n_nics];
    char path[PATH_MAX], text[32];

    if (devices->n_nics == NICS_MAX || !is_card(search->root, name))
        return;
    devices->n_nics++;
    snprintf(nic->name, sizeof(nic->name), "%s", name);
    snprintf(path, sizeof(path), "/sys/class/net/%s/device/driver", name);
    sysfile_link_name(search->root, path, nic->driver, sizeof(nic->driver));
    snprintf(path, sizeof(path), "/sys/class/net/%s/operstate", name);
    sysfile_text(search->root, path, text, sizeof(text));
    nic->is_up = strcmp(text, "up") == 0;
    nic->speed_mbps = nic_number(search->root, name, "speed");
    nic->node = nic_number(search->root, name, "device/numa_node");
    nic->queues = count_queues(search->root, name);
    nic->queues_max = nic->rx_ring = nic->rx_ring_max = -1;
    nic->tx_ring = nic->tx_ring_max = -1;
    nic->tso = nic->gro = -1;
    read_irqs(search->root, nic);
    if (search->root[0] == '\0')
        ask_driver(nic);
}

void devices_read_nics(const char *root, struct devices *devices)
{
    struct nic_search search = {.root = root, .devices = devices};

    sysfile_each(root, "/sys/class/net", on_link, &search);
}
