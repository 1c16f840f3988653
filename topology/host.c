/* SPDX-License-Identifier: MIT */
#include "topology/host.h"

#include <stdio.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#include "core/base.h"
#include "topology/sysfile.h"

static void found(struct host *host, const char *sign)
{
    host->container = true;
    snprintf(host->container_reason, sizeof(host->container_reason), "%s",
             sign);
}

/*
 * The first namespaces of a kernel have fixed numbers. A file system made
 * for a container can also be the root of a plain machine.
 */
static bool has_first_namespaces(void)
{
    char pid[64], cgroup[64];

    return sysfile_link_name("", "/proc/self/ns/pid", pid, sizeof(pid)) &&
           sysfile_link_name("", "/proc/self/ns/cgroup", cgroup,
                             sizeof(cgroup)) &&
           strcmp(pid, "pid:[4026531836]") == 0 &&
           strcmp(cgroup, "cgroup:[4026531835]") == 0;
}

static void find_container(const char *root, struct host *host)
{
    static const char *const files[] = {"/.dockerenv", "/run/.containerenv",
                                        "/run/systemd/container"};
    static const char *const words[] = {"/docker",    "/kubepods", "/lxc",
                                        "containerd", "/libpod",   "/ecs/"};
    char text[4096];

    if (root[0] == '\0' && has_first_namespaces())
        return;
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        if (sysfile_exists(root, files[i]))
            return found(host, files[i]);
    /* Without a file the cgroup's path often names who made it. */
    sysfile_text(root, "/proc/self/cgroup", text, sizeof(text));
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strstr(text, words[i]))
            return found(host, words[i]);
}

struct sign {
    const char *word;
    const char *virt;
};

static const char *match(const char *text, const struct sign *signs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strstr(text, signs[i].word))
            return signs[i].virt;
    return NULL;
}

#if defined(__x86_64__) || defined(__i386__)
static const char *virt_by_cpuid(void)
{
    static const struct sign signs[] = {{"KVMKVMKVM", "kvm"},
                                        {"TCGTCGTCGTCG", "qemu"},
                                        {"VMwareVMware", "vmware"},
                                        {"XenVMMXenVMM", "xen"},
                                        {"Microsoft Hv", "hyperv"}};
    unsigned eax, regs[4] = {0};

    __cpuid(1, eax, regs[0], regs[1], regs[2]);
    if (!(regs[1] >> 31 & 1))
        return "none";
    memset(regs, 0, sizeof(regs));
    __cpuid(0x40000000, eax, regs[0], regs[1], regs[2]);
    return match((const char *)regs, signs, ARRAY_SIZE(signs));
}
#else
static const char *virt_by_cpuid(void)
{
    return NULL;
}
#endif

static bool has_hypervisor_flag(const char *root)
{
    char text[8192];

    sysfile_text(root, "/proc/cpuinfo", text, sizeof(text));
    return strstr(text, " hypervisor") != NULL;
}

/*
 * Firmware names the product; cloud machines of bare metal have such a name
 * too, so it counts only where the CPU admits to a hypervisor.
 */
static const char *virt_by_firmware(const char *root)
{
    static const struct sign signs[] = {
        {"VMware", "vmware"},    {"Xen", "xen"},
        {"Microsoft", "hyperv"}, {"QEMU", "kvm"},
        {"Google", "kvm"},       {"Amazon EC2", "kvm"},
        {"OpenStack", "kvm"},    {"KVM", "kvm"},
        {"DigitalOcean", "kvm"}, {"VirtualBox", "virtualbox"}};
    char text[256];
    const char *virt = NULL;

    if (sysfile_text(root, "/sys/class/dmi/id/sys_vendor", text, sizeof(text)))
        virt = match(text, signs, ARRAY_SIZE(signs));
    if (!virt && sysfile_text(root, "/sys/class/dmi/id/product_name", text,
                              sizeof(text)))
        virt = match(text, signs, ARRAY_SIZE(signs));
    return virt;
}

/*
 * Firecracker is KVM without firmware tables. Its ACPI tables carry its name,
 * for root; its disks and cards are on the command line where it has no PCI.
 */
static bool is_firecracker(const char *root)
{
    char text[2048];

    if (sysfile_exists(root, "/sys/class/dmi/id/sys_vendor"))
        return false;
    memset(text, 0, 32);
    sysfile_text(root, "/sys/firmware/acpi/tables/FACP", text, sizeof(text));
    if (memcmp(text + 10, "FIRECK", 6) == 0)
        return true;
    sysfile_text(root, "/proc/cmdline", text, sizeof(text));
    return strstr(text, "virtio_mmio.device") || strstr(text, "pci=off");
}

static const char *find_virt(const char *root)
{
    const char *virt = root[0] ? NULL : virt_by_cpuid();
    bool guest = has_hypervisor_flag(root);

    if (virt && strcmp(virt, "none") == 0 && !guest)
        return virt;
    if (sysfile_exists(root, "/sys/hypervisor/type"))
        return "xen";
    if (is_firecracker(root) && guest)
        return "firecracker";
    if (virt && strcmp(virt, "none") != 0)
        return virt;
    virt = guest ? virt_by_firmware(root) : NULL;
    if (virt)
        return virt;
    /* ARM has no such flag: absence of a sign proves nothing there. */
    return !guest && sysfile_exists(root, "/sys/class/dmi/id/sys_vendor")
               ? "none"
               : "unknown";
}

void host_read(const char *root, struct host *ret_host)
{
    struct host host = {0};

    sysfile_text(root, "/proc/sys/kernel/hostname", host.name,
                 sizeof(host.name));
    sysfile_text(root, "/proc/sys/kernel/osrelease", host.kernel,
                 sizeof(host.kernel));
    snprintf(host.virt, sizeof(host.virt), "%s", find_virt(root));
    find_container(root, &host);
    *ret_host = host;
}
