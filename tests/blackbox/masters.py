# SPDX-License-Identifier: MIT
"""Masters that are not the test's own child: upgraded ones, daemons."""

import contextlib
import os
import pathlib
import signal

import client


def alive(pid):
    try:
        stat = pathlib.Path("/proc/%d/stat" % pid).read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def pid_in(path):
    """The number in a pid file; 0 while there is none."""
    try:
        return int(pathlib.Path(path).read_text())
    except (OSError, ValueError):
        return 0


def wait_pid(path, other=0):
    """The number in the file, once there is one that is not `other`."""
    return client.wait_until(
        lambda: pid_in(path) not in (0, other) and pid_in(path),
        what="a new pid in %s" % path)


def children(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        return []


def workers_of(master):
    """Pids of its I/O workers."""
    found = []
    for pid in children(master):
        try:
            title = pathlib.Path("/proc/%d/cmdline" % pid).read_text()
        except OSError:
            continue
        if "gcorn: worker" in title:
            found.append(pid)
    return found


def wait_gone(pid):
    client.wait_until(lambda: not alive(pid), what="the end of %d" % pid)


@contextlib.contextmanager
def ended(path):
    """Afterwards no master of this pid file, or of its .2, is left, but for
    those whose pids were added to the list: they are others' to stop."""
    spared = []
    try:
        yield spared
    finally:
        for name in str(path), str(path) + ".2":
            pid = pid_in(name)
            if pid and pid not in spared and alive(pid):
                os.kill(pid, signal.SIGKILL)
