# SPDX-License-Identifier: MIT
"""Builds a directory that looks like /sys and /proc of a server.

The machine: one EPYC 9354P (8 L3s of 4 cores, 2 threads each), 256 GiB of
DDR5 in 8 modules, two 25 GbE ports, an NVMe boot disk and a RAID 10 of four.
What a test wants different it says by keyword.
"""
import struct

CORES = 32
MODEL = "AMD EPYC 9354P 32-Core Processor"


class Tree:
    def __init__(self, root):
        self.root = root

    def put(self, path, text):
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, bytes):
            file.write_bytes(text)
        else:
            file.write_text(f"{text}\n")

    def link(self, path, target):
        link = self.root / path.lstrip("/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)


def mask(cpus):
    """The kernel's form: words of 32 bits, highest first."""
    bits = sum(1 << cpu for cpu in cpus)
    words = [f"{bits >> shift & 0xffffffff:08x}" for shift in (32, 0)]
    return ",".join(words)


def put_cpus(tree):
    base = "/sys/devices/system/cpu"
    everyone = range(2 * CORES)
    for name in ("online", "possible", "present"):
        tree.put(f"{base}/{name}", f"0-{2 * CORES - 1}")
    for cpu in everyone:
        core = cpu % CORES
        siblings = (core, core + CORES)
        cluster = [c + t for c in range(core // 4 * 4, core // 4 * 4 + 4)
                   for t in (0, CORES)]
        topology = f"{base}/cpu{cpu}/topology"
        tree.put(f"{topology}/core_id", core)
        tree.put(f"{topology}/physical_package_id", 0)
        for name in ("core_cpus", "thread_siblings"):
            tree.put(f"{topology}/{name}", mask(siblings))
        for name in ("package_cpus", "core_siblings"):
            tree.put(f"{topology}/{name}", mask(everyone))
        cache = f"{base}/cpu{cpu}/cache/index3"
        tree.put(f"{cache}/level", 3)
        tree.put(f"{cache}/type", "Unified")
        tree.put(f"{cache}/size", "32768K")
        tree.put(f"{cache}/shared_cpu_map", mask(cluster))
        tree.put(f"{base}/cpu{cpu}/acpi_cppc/nominal_freq", 3250)
    tree.put(f"{base}/cpu0/cpufreq/scaling_governor", "powersave")
    tree.put(f"{base}/cpu0/cpufreq/energy_performance_preference", "power")
    tree.put(f"{base}/cpufreq/boost", 0)
    for state, (name, latency, off) in enumerate(
            [("POLL", 0, 0), ("C1", 1, 0), ("C2", 100, 0), ("C3", 800, 1)]):
        idle = f"{base}/cpu0/cpuidle/state{state}"
        tree.put(f"{idle}/name", name)
        tree.put(f"{idle}/latency", latency)
        tree.put(f"{idle}/disable", off)
    tree.put(f"{base}/smt/control", "on")
    tree.put(f"{base}/isolated", "")


def put_proc(tree, hypervisor, hostname):
    flags = "fpu avx512f avx512dq avx512bw avx512vl avx512_vnni"
    if hypervisor:
        flags += " hypervisor"
    processors = [
        f"processor\t: {cpu}\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\n"
        f"model\t\t: 17\nmodel name\t: {MODEL}\nphysical id\t: 0\n"
        f"core id\t: {cpu % CORES}\nflags\t\t: {flags}\n"
        for cpu in range(2 * CORES)]
    tree.put("/proc/cpuinfo", "\n".join(processors))
    tree.put("/proc/meminfo", f"MemTotal:       {252 << 20} kB")
    tree.put("/proc/sys/kernel/hostname", hostname)
    tree.put("/proc/sys/kernel/osrelease", "6.12.9")
    tree.put("/proc/sys/net/core/somaxconn", 128)
    tree.put("/proc/sys/vm/swappiness", 1)
    tree.put("/proc/self/cgroup", "0::/web.slice/gcorn.service")
    tree.put("/proc/self/mountinfo",
             "25 1 259:2 / / rw - ext4 /dev/nvme0n1p2 rw\n"
             "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw")
    tree.put("/sys/class/dmi/id/sys_vendor",
             "QEMU" if hypervisor else "Supermicro")


def put_node(tree):
    base = "/sys/devices/system/node"
    tree.put(f"{base}/online", "0")
    tree.put(f"{base}/possible", "0")
    tree.put(f"{base}/node0/cpumap", mask(range(2 * CORES)))
    tree.put(f"{base}/node0/cpulist", f"0-{2 * CORES - 1}")
    tree.put(f"{base}/node0/meminfo",
             f"Node 0 MemTotal:       {252 << 20} kB")
    tree.put(f"{base}/node0/distance", "10")


def put_cgroup(tree, quota, memory_max):
    base = "/sys/fs/cgroup"
    tree.put(f"{base}/cgroup.controllers", "cpuset cpu io memory pids")
    tree.put(f"{base}/web.slice/cpu.max", f"{quota} 100000")
    tree.put(f"{base}/web.slice/gcorn.service/cpu.max", "max 100000")
    tree.put(f"{base}/web.slice/gcorn.service/memory.max", memory_max)


def put_nics(tree):
    for port in (0, 1):
        pci = f"/sys/devices/pci0000:00/0000:01:00.{port}"
        name = f"eth{port}"
        tree.put(f"{pci}/numa_node", 0)
        tree.put(f"{pci}/msi_irqs/{40 + port}", "msix")
        tree.put(f"/proc/irq/{40 + port}/smp_affinity_list", "0-63")
        tree.link(f"{pci}/driver", "../../../bus/pci/drivers/ice")
        net = f"/sys/class/net/{name}"
        tree.put(f"{net}/type", 1)
        tree.put(f"{net}/speed", 25000)
        tree.put(f"{net}/operstate", "up")
        tree.put(f"{net}/queues/rx-0/rps_cpus", "0")
        tree.link(f"{net}/device", f"../../../devices/pci0000:00/"
                                   f"0000:01:00.{port}")
    tree.put("/sys/class/net/lo/type", 772)


def put_disks(tree):
    for disk in range(5):
        block = f"/sys/block/nvme{disk}n1"
        size = 1000 if disk == 0 else 3840
        tree.put(f"{block}/size", size * 10**9 // 512)
        tree.put(f"{block}/queue/rotational", 0)
        tree.put(f"{block}/device/device/numa_node", 0)
        tree.put(f"{block}/device/device/current_link_speed",
                 "16.0 GT/s PCIe")
        tree.put(f"{block}/device/device/current_link_width", 4)
    tree.put("/sys/block/nvme0n1/nvme0n1p2/partition", 2)
    tree.link("/sys/dev/block/259:2", "../../block/nvme0n1/nvme0n1p2")
    tree.put("/sys/block/loop0/size", 8)
    tree.put("/sys/block/md127/size", 2 * 3840 * 10**9 // 512)
    tree.put("/sys/block/md127/md/level", "raid10")
    tree.put("/sys/block/md127/md/raid_disks", 4)
    tree.put("/sys/block/md127/md/degraded", 0)
    for disk in range(1, 5):
        tree.put(f"/sys/class/block/md127/slaves/nvme{disk}n1/size", 1)


def dmi(memory_type, speed):
    """The firmware's table: one array with multi-bit ECC, 8 modules."""
    array = bytearray(23)
    array[0:6] = struct.pack("<BBHBB", 16, 23, 0x1000, 3, 3)
    array[6] = 6
    table = bytes(array) + b"\0\0"
    for _ in range(8):
        module = bytearray(40)
        struct.pack_into("<BBH", module, 0, 17, 40, 0x1100)
        struct.pack_into("<HHH", module, 8, 80, 64, 0x7fff)
        module[0x12] = memory_type
        struct.pack_into("<HH", module, 0x13, 1 << 13, speed)
        struct.pack_into("<I", module, 0x1c, 32 << 10)
        struct.pack_into("<H", module, 0x20, speed)
        table += bytes(module) + b"DIMM A1\0\0"
    empty = bytearray(40)
    struct.pack_into("<BBH", empty, 0, 17, 40, 0x1200)
    return table + bytes(empty) + b"\0\0" + bytes([127, 4, 0, 0, 0, 0])


def build(root, *, hypervisor=False, hostname="web-03", memory_type=0x22,
          speed=4800, quota="max", memory_max="max"):
    tree = Tree(root)
    put_cpus(tree)
    put_proc(tree, hypervisor, hostname)
    put_node(tree)
    put_cgroup(tree, quota, memory_max)
    put_nics(tree)
    put_disks(tree)
    tree.put("/sys/firmware/dmi/tables/DMI", dmi(memory_type, speed))
    return tree
