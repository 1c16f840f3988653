# SPDX-License-Identifier: MIT
"""Linux guests with NUMA, without owning such a machine.

QEMU emulates the processors (no KVM, no root), Debian's cloud kernel sees
sockets, nodes, distances and devices as the profile describes them, and a
small initramfs runs a script and returns what it prints.
"""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

TOOLS = ["qemu-system-x86_64", "busybox", "cpio", "gzip", "ldd", "apt-get",
         "apt-cache", "dpkg-deb", "mke2fs"]
# Processors as Intel's: QEMU shows no hyperthreads on AMD's without KVM.
SMT = ["-cpu", "max,vendor=GenuineIntel"]
PLAIN = ["-cpu", "max"]


class Missing(Exception):
    """Something that is needed is not installed and cannot be fetched."""


def memory(name, size):
    return ["-object", f"memory-backend-ram,id={name},size={size}"]


def node(number, cpus=None, memdev=None):
    text = f"node,nodeid={number}"
    text += f",cpus={cpus}" if cpus else ""
    text += f",memdev={memdev}" if memdev else ""
    return ["-numa", text]


def distance(a, b, value):
    return ["-numa", f"dist,src={a},dst={b},val={value}"]


def two_nodes(first, second, cpus, smp, total, cpu=PLAIN):
    return [*cpu, "-m", total, "-smp", smp, *memory("m0", first),
            *memory("m1", second), *node(0, cpus[0], "m0"),
            *node(1, cpus[1], "m1"), *distance(0, 1, 21)]


def memory_less():
    """Four nodes, of which 1 and 3 have cores and no memory."""
    lengths = {(0, 1): 16, (0, 2): 16, (0, 3): 22,
               (1, 2): 22, (1, 3): 16, (2, 3): 16}
    return [*PLAIN, "-m", "2G",
            "-smp", "8,sockets=1,dies=4,cores=2,threads=1",
            *memory("m0", "1G"), *memory("m2", "1G"),
            *node(0, "0-1", "m0"), *node(1, "2-3"),
            *node(2, "4-5", "m2"), *node(3, "6-7"),
            *[part for pair, length in lengths.items()
              for part in distance(*pair, length)]]


def card_on_node_1():
    """Two nodes, with a card of several queues on the second one's bus."""
    return [*two_nodes("1G", "1G", ("0-3", "4-7"),
                       "8,sockets=2,cores=4,threads=1", "2G"),
            "-device", "pxb-pcie,id=pxb1,bus_nr=64,numa_node=1,bus=pcie.0",
            "-device", "pcie-root-port,id=rp1,bus=pxb1,chassis=2,slot=2",
            "-netdev", "user,id=n1,restrict=on",
            "-device", "vmxnet3,netdev=n1,bus=rp1"]


PROFILES = {
    "2n8c": two_nodes("1G", "1G", ("0-3", "4-7"),
                      "8,sockets=2,cores=4,threads=1", "2G"),
    "2n8c2t": two_nodes("1G", "1G", ("0-7", "8-15"),
                        "16,sockets=2,cores=4,threads=2", "2G", SMT),
    "asym": two_nodes("2G", "512M", ("0-3", "4-7"),
                      "8,sockets=2,cores=4,threads=1", "2560M"),
    "memless": memory_less(),
    "nic1": card_on_node_1(),
}

INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /run
/bin/busybox --install -s /bin 2>/dev/null
export PATH=/bin:/usr/bin:/sbin HOME=/root
mount -t proc proc /proc; mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs tmpfs /tmp; mount -t tmpfs tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for m in /lib/mods/*.ko; do [ -f $m ] && insmod $m 2>/dev/null; done
for n in lo eth0; do ip link set $n up 2>/dev/null; done
[ -b /dev/nvme0n1 ] && mkdir -p /mnt && mount -o ro /dev/nvme0n1 /mnt &&
  for d in proc sys dev tmp run; do mount -o rbind /$d /mnt/$d; done
echo GUEST_BEGIN
/payload; rc=$?
echo GUEST_END=$rc
sync; poweroff -f
"""


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True,
                          timeout=300, **more).stdout


def fetch_kernel(cache):
    """The kernel and its modules' folder, fetched once."""
    kernel, tree = cache / "vmlinuz", cache / "tree"
    if not kernel.exists():
        text = run("apt-cache", "depends", "linux-image-cloud-amd64")
        found = re.search(r"Depends: (linux-image-\S+)", text)
        if not found:
            raise Missing("no linux-image-cloud-amd64 among the packages")
        run("apt-get", "download", found[1], cwd=cache)
        package = next(cache.glob("linux-image-*.deb"))
        run("dpkg-deb", "-x", str(package), str(tree))
        shutil.copy(next((tree / "boot").glob("vmlinuz-*")), kernel)
    return kernel, next((tree / "lib/modules").iterdir())


def prepare():
    """Returns (kernel, modules); raises Missing with what to install."""
    lacking = [tool for tool in TOOLS if not shutil.which(tool)]
    if lacking:
        raise Missing(f"not installed: {' '.join(lacking)} (apt-get install "
                      "qemu-system-x86 busybox-static cpio)")
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME",
                                        pathlib.Path.home() / ".cache"))
    cache /= "gcorn-numa"
    cache.mkdir(parents=True, exist_ok=True)
    try:
        return fetch_kernel(cache)
    except (subprocess.SubprocessError, StopIteration) as error:
        raise Missing(f"cannot fetch a kernel: {error}") from error


def copy_program(root, program):
    """The program and the libraries it needs, at their own places."""
    (root / "usr/bin").mkdir(parents=True, exist_ok=True)
    shutil.copy(program, root / "usr/bin")
    for line in run("ldd", str(program)).splitlines():
        found = re.search(r"(/\S+) \(0x", line)
        if found:
            target = root / found[1].lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(found[1], target)


def build_initrd(work, modules, programs, payload):
    root = work / "root"
    for folder in ("bin", "lib/mods", "proc", "sys", "dev", "tmp"):
        (root / folder).mkdir(parents=True)
    shutil.copy(shutil.which("busybox"), root / "bin/busybox")
    for program in programs:
        copy_program(root, program)
    for module in modules.rglob("vmxnet3.ko"):
        shutil.copy(module, root / "lib/mods")
    for name, text in (("init", INIT),
                       ("payload", "#!/bin/sh\n" + payload)):
        (root / name).write_text(text)
        (root / name).chmod(0o755)
    archive = work / "initrd"
    run("sh", "-c", f"find . | cpio -o -H newc --quiet -R 0:0 | gzip -3 > "
                    f"{archive}", cwd=root)
    return archive


def libraries_of(folder):
    """What the programs and libraries below a folder are linked with."""
    found = set()
    for file in folder.rglob("*"):
        if file.is_symlink() or not file.is_file():
            continue
        if ".so" in file.name or os.access(file, os.X_OK):
            text = subprocess.run(["ldd", str(file)], capture_output=True,
                                  text=True, check=False).stdout
            found.update(re.findall(r"(/\S+) \(0x", text))
    return found


def build_image(image, files):
    """A root file system: {place in it: file or folder here}."""
    skip = shutil.ignore_patterns("test", "idlelib", "tkinter", "*.a",
                                  "site-packages", "dist-packages",
                                  "ensurepip", "__pycache__", "config-*")
    with tempfile.TemporaryDirectory(prefix="gcorn-image-") as folder:
        root = pathlib.Path(folder)
        for name in ("proc", "sys", "dev", "tmp", "run"):
            (root / name).mkdir()
        for place, source in files.items():
            target = root / place.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=skip, symlinks=True)
            else:
                shutil.copy(source, target)
        for library in libraries_of(root):
            target = root / library.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                shutil.copy(library, target)
        run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", folder,
            str(image), "256M")


def boot(profile, programs, payload, image=None, timeout=900):
    """
    Boots, runs the shell text @payload, returns (its status, output). An
    image is mounted on /mnt.
    """
    kernel, modules = prepare()
    with tempfile.TemporaryDirectory(prefix="gcorn-numa-") as folder:
        work = pathlib.Path(folder)
        initrd = build_initrd(work, modules, programs, payload)
        serial = work / "serial"
        disk = ["-drive",
                f"if=none,id=di,file={image},format=raw,readonly=on",
                "-device", "nvme,serial=gcorn,drive=di,bus=pcie.0"] if image else []
        # One thread emulates all processors: idle ones then cost nothing.
        done = subprocess.run(
            ["qemu-system-x86_64", "-machine", "q35",
             "-accel", "tcg,thread=single,tb-size=256", "-nodefaults",
             "-display", "none", "-no-reboot", *PROFILES[profile],
             "-kernel", str(kernel), "-initrd", str(initrd), "-append",
             "console=ttyS0 quiet loglevel=3 panic=-1 nokaslr tsc=unstable "
             "random.trust_cpu=on mitigations=off",
             "-serial", f"file:{serial}", *disk],
            timeout=timeout, capture_output=True, text=True, check=False)
        text = serial.read_text(errors="replace").replace("\r", "")
    found = re.search(r"GUEST_BEGIN\n(.*)GUEST_END=(\d+)", text, re.S)
    if not found:
        raise RuntimeError("the guest did not get to its end:\n" +
                           text[-2000:] + done.stderr[-2000:])
    return int(found[2]), found[1]
