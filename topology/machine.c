/* SPDX-License-Identifier: MIT */
#include "topology/machine.h"

#include <errno.h>
#include <hwloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base.h"
#include "topology/machine_parts.h"

static const char *info_of(hwloc_obj_t obj, const char *name)
{
    const char *value = obj ? hwloc_obj_get_info_by_name(obj, name) : NULL;

    return value ? value : "";
}

static int32_t number_of(const char *text)
{
    char *end;
    long number = strtol(text, &end, 10);

    return end == text || number < 0 || number > INT32_MAX ? -1
                                                           : (int32_t)number;
}

/*
 * With one of these in the environment hwloc would describe another machine,
 * or with a bad value silently this one; sources are given by name only. The
 * children need them no more than we do.
 */
static void forget_environment(void)
{
    static const char *const names[] = {"HWLOC_XMLFILE",    "HWLOC_SYNTHETIC",
                                        "HWLOC_FSROOT",     "HWLOC_CPUID_PATH",
                                        "HWLOC_COMPONENTS", "HWLOC_THISSYSTEM"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        unsetenv(names[i]);
}

static int set_source(hwloc_topology_t topology,
                      const struct machine_source *source)
{
    int rc = 0;

    if (source->xml)
        rc = hwloc_topology_set_xml(topology, source->xml);
    else if (source->synthetic)
        rc = hwloc_topology_set_synthetic(topology, source->synthetic);
    return rc < 0 ? -(errno ? errno : EINVAL) : 0;
}

static void leave_out(hwloc_topology_t topology, const char *const *components)
{
    for (; *components; components++)
        hwloc_topology_set_components(
            topology, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, *components);
}

static int configure(hwloc_topology_t topology,
                     const struct machine_source *source)
{
    /*
     * Else it binds us to each CPU in turn, for CPUID, and back. Linux takes
     * that for our wish: should the cpuset grow later, we would not get more.
     */
    unsigned long flags = HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED |
                          HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING;

    /* By default hwloc drops all devices, also those in an XML file. */
    hwloc_topology_set_io_types_filter(topology,
                                       HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
    hwloc_topology_set_icache_types_filter(topology,
                                           HWLOC_TYPE_FILTER_KEEP_NONE);
    /*
     * The first few would start drivers of graphics cards; libpciaccess leaks
     * and tells nothing that /sys does not.
     */
    leave_out(topology, (const char *const[]){"opencl", "cuda", "nvml", "rsmi",
                                              "gl", "levelzero", "pci", NULL});
    /* CPUID speaks of the running system. */
    if (source->sysroot)
        leave_out(topology, (const char *const[]){"x86", NULL});
    if (hwloc_topology_set_flags(topology, flags) < 0)
        return -EINVAL;
    return set_source(topology, source);
}

/* hwloc takes another root directory from the environment only. */
static int load(hwloc_topology_t topology, const struct machine_source *source)
{
    int rc;

    if (source->sysroot && setenv("HWLOC_FSROOT", source->sysroot, 1) < 0)
        return -ENOMEM;
    errno = 0;
    rc = hwloc_topology_load(topology) < 0 ? -(errno ? errno : EINVAL) : 0;
    if (source->sysroot)
        unsetenv("HWLOC_FSROOT");
    return rc;
}

/*
 * A file has only names to go by: "eth0", "eno1", "enp4s0" and "em1" are
 * Ethernet, "ib0", "hsi0" and "wlp5s0" are not.
 */
static bool is_ethernet_name(const char *name)
{
    return strncmp(name, "en", 2) == 0 || strncmp(name, "eth", 3) == 0 ||
           strncmp(name, "em", 2) == 0;
}

/* The live system knows: type 1 is Ethernet, and radios have a phy80211. */
static bool is_ethernet_link(const char *name)
{
    char path[160];
    int type = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/sys/class/net/%s/phy80211", name);
    file = fopen(path, "re");
    if (file) {
        fclose(file);
        return false;
    }
    snprintf(path, sizeof(path), "/sys/class/net/%s/type", name);
    file = fopen(path, "re");
    if (!file)
        return is_ethernet_name(name);
    if (fscanf(file, "%d", &type) != 1)
        type = 0;
    fclose(file);
    return type == 1;
}

/* The node beside the device, or -1 when several or none are as near. */
static int32_t device_node(const struct machine_reading *r, hwloc_obj_t device)
{
    hwloc_obj_t near = hwloc_get_non_io_ancestor_obj(r->topology, device);
    const struct machine *m = r->machine;
    int32_t found = -1;

    for (uint32_t i = 0; near && i < m->n_nodes; i++) {
        if (m->nodes[i].special[0] ||
            !hwloc_bitmap_isset(near->nodeset, m->nodes[i].os_index))
            continue;
        /* Hanging from the whole machine means that nobody knows where. */
        if (found >= 0)
            return near->parent ? found : -1;
        found = (int32_t)i;
    }
    return found;
}

static bool device_kind(hwloc_obj_t obj, enum machine_device_kind *ret_kind)
{
    if (obj->attr->osdev.type == HWLOC_OBJ_OSDEV_NETWORK)
        *ret_kind = MACHINE_NET;
    else if (obj->attr->osdev.type == HWLOC_OBJ_OSDEV_BLOCK)
        *ret_kind = MACHINE_DISK;
    else if (obj->attr->osdev.type == HWLOC_OBJ_OSDEV_OPENFABRICS)
        *ret_kind = MACHINE_FABRIC;
    else
        return false;
    return true;
}

static void fill_device(struct machine_reading *r, hwloc_obj_t obj)
{
    struct machine *m = r->machine;
    struct machine_device *device = &m->devices[m->n_devices];

    if (!obj->name || !device_kind(obj, &device->kind))
        return;
    m->n_devices++;
    snprintf(device->name, sizeof(device->name), "%s", obj->name);
    device->node = device_node(r, obj);
    if (device->kind == MACHINE_NET)
        device->ethernet = m->is_this_system ? is_ethernet_link(device->name)
                                             : is_ethernet_name(device->name);
    if (device->ethernet && device->node >= 0)
        m->nodes[device->node].nics++;
}

static int read_devices(struct machine_reading *r)
{
    hwloc_obj_t obj = NULL;
    size_t count = 0;

    while ((obj = hwloc_get_next_osdev(r->topology, obj)))
        count++;
    r->machine->devices = calloc(count + 1, sizeof(*r->machine->devices));
    if (!r->machine->devices)
        return -ENOMEM;
    while ((obj = hwloc_get_next_osdev(r->topology, obj)))
        fill_device(r, obj);
    return 0;
}

static uint64_t read_meminfo(const char *root)
{
    unsigned long long kib = 0;
    char path[512], line[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/proc/meminfo", root);
    file = fopen(path, "re");
    if (!file)
        return 0;
    while (kib == 0 && fgets(line, sizeof(line), file))
        if (sscanf(line, "MemTotal: %llu kB", &kib) != 1)
            kib = 0;
    fclose(file);
    return kib * 1024;
}

/* cpu_set_t ends at 1024 CPUs; the kernel says EINVAL when it has more. */
static int read_affinity(struct cpus *ret_cpus)
{
    cpu_set_t *set = CPU_ALLOC(CPUS_MAX);
    struct cpus cpus = {0};
    int rc = 0;

    if (!set)
        return -ENOMEM;
    if (sched_getaffinity(0, CPU_ALLOC_SIZE(CPUS_MAX), set) < 0)
        rc = -errno;
    for (uint32_t i = 0; rc == 0 && i < CPUS_MAX; i++)
        if (CPU_ISSET_S(i, CPU_ALLOC_SIZE(CPUS_MAX), set))
            cpus_add(&cpus, i);
    CPU_FREE(set);
    if (rc == 0)
        *ret_cpus = cpus;
    return rc;
}

/*
 * The kernel's own word on which nodes we may use: hwloc overlooks a cpuset
 * whose cgroup is not mounted where we run.
 */
static void restrict_nodes(struct machine *m)
{
    struct cpus nodes;
    char line[4096];
    FILE *file = fopen("/proc/self/status", "re");

    if (!file)
        return;
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, "Mems_allowed_list:", 18) != 0 ||
            cpus_parse(line + 18, &nodes) < 0)
            continue;
        for (uint32_t i = 0; i < m->n_nodes; i++)
            m->nodes[i].allowed &= cpus_has(&nodes, m->nodes[i].os_index);
    }
    fclose(file);
}

static int read_sets(struct machine_reading *r)
{
    hwloc_obj_t root = hwloc_get_root_obj(r->topology);
    struct machine *m = r->machine;
    int rc = machine_cpus_of(root->cpuset, &m->online);

    if (rc == 0)
        rc = machine_cpus_of(hwloc_topology_get_allowed_cpuset(r->topology),
                             &m->allowed);
    if (rc < 0)
        return rc;
    cpus_and(&m->allowed, &m->online);
    m->affinity = m->online;
    return m->is_this_system ? read_affinity(&m->affinity) : 0;
}

static void read_packages(struct machine_reading *r)
{
    struct machine *m = r->machine;
    hwloc_obj_t package = NULL;
    struct cpus cpus;

    while ((package = hwloc_get_next_obj_by_type(r->topology, HWLOC_OBJ_PACKAGE,
                                                 package))) {
        m->packages++;
        if (machine_cpus_of(package->cpuset, &cpus) == 0)
            m->packages_usable += cpus_intersect(&cpus, &m->allowed) &&
                                  cpus_intersect(&cpus, &m->affinity);
    }
}

static void read_version(struct machine *m)
{
    unsigned v = hwloc_get_api_version();

    snprintf(m->hwloc, sizeof(m->hwloc), "%u.%u.%u", v >> 16 & 0xff,
             v >> 8 & 0xff, v & 0xff);
}

static void read_names(struct machine_reading *r)
{
    struct machine *m = r->machine;
    hwloc_obj_t obj = hwloc_get_next_obj_by_type(r->topology, HWLOC_OBJ_PACKAGE,
                                                 NULL);
    int kinds = hwloc_cpukinds_get_nr(r->topology, 0);

    if (!obj || !*info_of(obj, "CPUModel"))
        obj = hwloc_get_root_obj(r->topology);
    snprintf(m->cpu_vendor, sizeof(m->cpu_vendor), "%s",
             info_of(obj, "CPUVendor"));
    snprintf(m->cpu_model, sizeof(m->cpu_model), "%s",
             info_of(obj, "CPUModel"));
    m->cpu_family = number_of(info_of(obj, "CPUFamilyNumber"));
    m->cpu_model_number = number_of(info_of(obj, "CPUModelNumber"));
    m->n_kinds = kinds > 1 ? (uint32_t)kinds : 1;
}

static int fill(struct machine_reading *r)
{
    int rc = read_sets(r);

    if (rc == 0)
        rc = machine_read_nodes(r);
    if (rc == 0 && r->machine->is_this_system)
        restrict_nodes(r->machine);
    if (rc == 0)
        rc = machine_read_distances(r);
    if (rc == 0)
        rc = machine_read_cores(r);
    if (rc == 0)
        rc = machine_read_llcs(r);
    if (rc == 0)
        rc = read_devices(r);
    if (rc == 0) {
        read_packages(r);
        read_names(r);
        read_version(r->machine);
    }
    return rc;
}

static enum machine_origin origin_of(const struct machine_source *source)
{
    if (source->xml)
        return MACHINE_XML;
    if (source->synthetic)
        return MACHINE_SYNTHETIC;
    return source->sysroot ? MACHINE_SYSROOT : MACHINE_LIVE;
}

static int read_loaded(hwloc_topology_t topology,
                       const struct machine_source *source,
                       struct machine *machine)
{
    struct machine_reading r = {.topology = topology, .machine = machine};
    int rc;

    machine->origin = origin_of(source);
    machine->is_this_system = machine->origin == MACHINE_LIVE &&
                              hwloc_topology_is_thissystem(topology);
    if (machine->origin == MACHINE_SYSROOT || machine->is_this_system)
        machine->meminfo_bytes = read_meminfo(source->sysroot ? source->sysroot
                                                              : "");
    rc = fill(&r);
    free(r.core_objs);
    free(r.node_objs);
    return rc;
}

int machine_read(const struct machine_source *source,
                 struct machine **ret_machine)
{
    struct machine *machine = calloc(1, sizeof(*machine));
    hwloc_topology_t topology;
    int rc;

    if (!machine)
        return -ENOMEM;
    forget_environment();
    if (hwloc_topology_init(&topology) < 0) {
        free(machine);
        return -ENOMEM;
    }
    rc = configure(topology, source);
    if (rc == 0)
        rc = load(topology, source);
    if (rc == 0)
        rc = read_loaded(topology, source, machine);
    hwloc_topology_destroy(topology);
    if (rc < 0) {
        machine_free(machine);
        return rc;
    }
    *ret_machine = machine;
    return 0;
}

void machine_free(struct machine *machine)
{
    if (!machine)
        return;
    free(machine->cores);
    free(machine->llcs);
    free(machine->nodes);
    free(machine->devices);
    free(machine->distances);
    free(machine);
}
