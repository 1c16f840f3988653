# SPDX-License-Identifier: MIT
"""Makes cgroups with limits, of version 1 or 2, as far as this system lets
us; removes them again."""

import os
import pathlib

ROOT = pathlib.Path("/sys/fs/cgroup")


class Unavailable(Exception):
    """Why there can be none here."""


class Cgroup:
    """with Cgroup(1) as cgroup: cgroup.cpus(1.5) ..."""

    def __init__(self, version, controllers=("cpu", "memory")):
        self.version = version
        self.controllers = controllers
        self.name = "gcorn-test-%d" % os.getpid()
        self.folders = {}

    def home(self, controller):
        """Below which we may make one."""
        if self.version == 2:
            for root in (ROOT, ROOT / "unified"):
                listed = root / "cgroup.controllers"
                if listed.exists() and controller in listed.read_text():
                    self.delegate(root, controller)
                    return root
            raise Unavailable("version 2 has no %s controller" % controller)
        root = ROOT / controller
        if not (root / "cgroup.procs").exists():
            raise Unavailable("version 1 has no %s controller" % controller)
        return root / self.path_now(controller)

    @staticmethod
    def delegate(root, controller):
        try:
            (root / "cgroup.subtree_control").write_text("+" + controller)
        except OSError as error:
            raise Unavailable("cannot delegate %s: %s" % (controller, error))

    @staticmethod
    def path_now(controller):
        for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
            _, names, path = line.split(":", 2)
            if controller in names.split(","):
                return path.lstrip("/")
        return ""

    def __enter__(self):
        try:
            for controller in self.controllers:
                folder = self.home(controller) / self.name
                folder.mkdir(exist_ok=True)
                self.folders[controller] = folder
        except OSError as error:
            self.__exit__()
            raise Unavailable(str(error))
        except Unavailable:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception):
        for folder in set(self.folders.values()):
            try:
                folder.rmdir()
            except OSError:
                pass

    def cpus(self, cpus):
        folder = self.folders["cpu"]
        if self.version == 2:
            (folder / "cpu.max").write_text("%d 100000" % (cpus * 100000))
        else:
            (folder / "cpu.cfs_period_us").write_text("100000")
            (folder / "cpu.cfs_quota_us").write_text(
                "%d" % (cpus * 100000))

    def memory(self, mib):
        name = "memory.max" if self.version == 2 else "memory.limit_in_bytes"
        (self.folders["memory"] / name).write_text(str(mib << 20))

    def cpuset(self, cpus):
        """A list of CPUs, with the memory that the parent has."""
        folder = self.folders["cpuset"]
        for name, text in (("mems", self.inherited("mems")),
                           ("cpus", ",".join(map(str, cpus)))):
            (folder / ("cpuset." + name)).write_text(text)

    def inherited(self, name):
        folder = self.folders["cpuset"].parent
        for file in ("cpuset.%s.effective" % name, "cpuset." + name):
            if (folder / file).exists():
                return (folder / file).read_text().strip()
        raise Unavailable("no cpuset.%s" % name)

    def enter(self):
        """In the child, before it becomes another program."""
        for folder in set(self.folders.values()):
            (folder / "cgroup.procs").write_text(str(os.getpid()))

    def killed(self):
        """Processes that the kernel killed for memory."""
        folder = self.folders["memory"]
        name = ("memory.events" if self.version == 2
                else "memory.oom_control")
        for line in (folder / name).read_text().splitlines():
            key, value = line.split()
            if key == "oom_kill":
                return int(value)
        return 0
