# SPDX-License-Identifier: MIT
"""A systemd that was started for a test, as process 1 of namespaces of its
own: this system's files with changes that go with it, units that the test
names and no others. It has the network of the tests.

Needs root, and a kernel that lets it mount; nothing outside is changed but
for a cgroup that is removed again."""

import os
import pathlib
import shutil
import signal
import subprocess

from client import wait_until
from masters import children

MANAGER = "/usr/lib/systemd/systemd"
CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
# What other units need, and no program of this system.
TARGETS = {
    "sysinit.target": "DefaultDependencies=no",
    "sockets.target": "",
    "basic.target": "Requires=sysinit.target sockets.target\n"
                    "After=sysinit.target sockets.target",
    "network.target": "",
    "shutdown.target": "DefaultDependencies=no",
    "umount.target": "DefaultDependencies=no",
    "exit.target": "DefaultDependencies=no\nSuccessAction=exit-force",
    "test.target": "Requires=basic.target\nAfter=basic.target",
}
# Where to mount it, what lies above, the program, and where it writes.
ENTER = r"""
set -eu
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
cp -a "$2/." "$1/upper/"
mount -t overlay overlay \
  -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t proc proc proc
mount --bind -o ro proc/sys proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero full random urandom tty; do
  touch "dev/$node"
  mount --bind "/dev/$node" "dev/$node"
done
mkdir dev/shm dev/pts
touch dev/kmsg
mount --bind "$4" dev/kmsg
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mkdir -p .old
pivot_root . .old
umount -l .old
exec env -i container=test PATH="$PATH" SYSTEMD_UNIT_PATH=/etc/test-units \
  "$3" --system --unit=test.target --log-target=kmsg --show-status=0
"""
UNSHARE = ["unshare", "--cgroup", "--mount", "--pid", "--uts", "--ipc",
           "--fork", "--kill-child", "--propagation", "private"]


class Unavailable(Exception):
    """Why there can be none here."""


def cgroup_home():
    for root in CGROUPS:
        if os.path.exists(root + "/cgroup.controllers") and (
                os.access(root, os.W_OK)):
            return pathlib.Path(root)
    raise Unavailable("no cgroups of version 2 that could be made")


def look():
    """Raises Unavailable with the reason."""
    if os.geteuid() != 0:
        raise Unavailable("not root")
    if not os.path.exists(MANAGER):
        raise Unavailable("no systemd is installed")
    cgroup_home()
    done = subprocess.run(UNSHARE + ["mount", "-t", "tmpfs", "none", "/mnt"],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise Unavailable("no namespaces: " + done.stderr.strip())


class System:
    """with System(tmp_path, upper) as system: system.ctl("start", ...)

    upper: a directory whose files lie above this system's. units: name ->
    text, or a path."""

    def __init__(self, directory, upper, units):
        self.directory = pathlib.Path(directory)
        self.upper = pathlib.Path(upper)
        self.log = self.directory / "console"
        self.units = {name: "[Unit]\n" + text + "\n"
                      for name, text in TARGETS.items()}
        self.units.update(units)
        self.cgroup = cgroup_home() / ("gcorn-systemd-%d" % os.getpid())
        self.process = None

    def __enter__(self):
        home = self.upper / "etc" / "test-units"
        for name, unit in self.units.items():
            path = home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(unit, pathlib.Path):
                shutil.copy(unit, path)
            else:
                path.write_text(unit)
        mount = self.directory / "mount"
        mount.mkdir()
        self.cgroup.mkdir()
        try:
            self.boot(mount)
        except BaseException:
            self.__exit__()
            raise
        return self

    def boot(self, mount):
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                UNSHARE + ["sh", "-c", ENTER, "sh", str(mount),
                           str(self.upper), MANAGER, str(self.log)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=lambda: (self.cgroup / "cgroup.procs").write_text(
                    str(os.getpid())))
        wait_until(self.is_up, 30, "systemd to boot; " + str(self.log))

    def is_up(self):
        assert self.process.poll() is None, self.log.read_text()
        return self.pid and self.run("systemctl", "is-active", "test.target",
                        check=False).stdout == "active\n"

    def __exit__(self, *exception):
        if self.process:
            # The other processes end with process 1.
            self.process.kill()
            self.process.wait(20)
        wait_until(self.swept, 20, "the end of " + str(self.cgroup))

    def swept(self):
        for folder, _, _ in os.walk(self.cgroup, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:
                return False
        return True

    @property
    def pid(self):
        """Of process 1, as we see it; unshare waits for it."""
        found = children(self.process.pid)
        return found[0] if found else 0

    def run(self, *command, check=True):
        done = subprocess.run(
            ["nsenter", "--target", str(self.pid), "--mount", "--pid",
             "--cgroup", "--uts", "--ipc", "--root", "--wd", *command],
            capture_output=True, text=True, timeout=60)
        assert not check or done.returncode == 0, (
            "%s: %s\n%s" % (command, done.stderr, self.log.read_text()))
        return done

    def ctl(self, *words, **kind):
        return self.run("systemctl", *words, **kind)

    def show(self, unit, name):
        return self.ctl("show", "--value", "-p", name, unit).stdout.strip()

    def path(self, inside):
        """The same file from out here."""
        return pathlib.Path("/proc/%d/root%s" % (self.pid, inside))

    def kill(self, unit, number=signal.SIGTERM):
        """To the main process."""
        self.run("kill", "-%d" % number, self.show(unit, "MainPID"))
