# SPDX-License-Identifier: MIT
"""processes - a server's processes: start, count their CPU and memory, stop.

A server is one or more commands; what counts is every process that descends
from them.
"""
import os
import signal
import subprocess
import time
from pathlib import Path


def parents():
    """The parent of every process there is."""
    table = {}
    for entry in Path('/proc').iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / 'stat').read_text()
        except OSError:
            continue
        # The name, in parentheses, may hold anything, parentheses too.
        table[int(entry.name)] = int(stat.rpartition(')')[2].split()[1])
    return table


def descendants(roots):
    table = parents()
    found = [pid for pid in roots if pid in table]
    for pid in found:
        found += [child for child, parent in table.items() if parent == pid]
    return found


def cpu_ns(pid):
    """CPU time of a process in nanoseconds, all its threads, ended ones too.

    The clock is the scheduler's own count (sum_exec_runtime), the same that
    /proc/PID/schedstat shows, but that file leaves out all threads save the
    first. The number of another process's clock is made from its pid as
    clock_getcpuclockid(3) does.
    """
    cpu_clock_sched = 2
    return time.clock_gettime_ns((~pid << 3) | cpu_clock_sched)


def pss_kib(pid):
    for line in Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines():
        if line.startswith('Pss:'):
            return int(line.split()[1])
    return 0


def cpu_numbers(text):
    """The set that a list such as 0-3,8 means."""
    numbers = set()
    for part in text.split(','):
        first, _, last = part.partition('-')
        numbers |= set(range(int(first), int(last or first) + 1))
    return numbers


def machine_busy_s(cpus):
    """Seconds that these CPUs worked for anybody, since boot."""
    names = {f'cpu{number}' for number in cpu_numbers(cpus)}
    ticks = 0
    for line in Path('/proc/stat').read_text().splitlines():
        name, *times = line.split()
        if name in names:
            # user nice system idle iowait irq softirq steal
            ticks += sum(map(int, times[:8])) - int(times[3]) - int(times[4])
    return ticks / os.sysconf('SC_CLK_TCK')


def go_first(pid='self'):
    """All of this process's session before anything else on the machine.

    Only where the kernel groups by session (autogroup); needs root.
    """
    autogroup = Path(f'/proc/{pid}/autogroup')
    if autogroup.exists():
        autogroup.write_text('-20')


class Group:
    """The processes of one server."""

    def __init__(self, commands, cpus, log, **more):
        self.log = log
        self.children = []
        for command in commands:
            self.children.append(subprocess.Popen(
                ['taskset', '-c', cpus, *command], stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                **more))
            if os.getpriority(os.PRIO_PROCESS, 0) < 0:
                go_first(self.children[-1].pid)

    def pids(self):
        return descendants([child.pid for child in self.children])

    def ended(self):
        return any(child.poll() is not None for child in self.children)

    def cpu(self):
        """Nanoseconds per process."""
        times = {}
        for pid in self.pids():
            try:
                times[pid] = cpu_ns(pid)
            except OSError:
                continue
        return times

    def memory_kib(self):
        total = 0
        for pid in self.pids():
            try:
                total += pss_kib(pid)
            except OSError:
                continue
        return total

    def stop(self):
        """Asks, waits at most 10 s, then ends what is still there."""
        everyone = self.pids()
        for child in self.children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 10
        for child in self.children:
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                pass
        roots = {child.pid for child in self.children}
        self.kill([pid for pid in everyone if pid not in roots])
        for child in self.children:
            child.kill()
            child.wait()

    def kill(self, pids):
        """Processes whose parent went first, unless they went with it."""
        sessions = {child.pid for child in self.children}
        for pid in pids:
            try:
                # A pid that was used again has another session.
                if os.getsid(pid) in sessions:
                    os.kill(pid, signal.SIGKILL)
            except OSError:
                continue


def cpu_between(before, after):
    """CPU nanoseconds spent; what started in between counts in full."""
    return sum(ns - before.get(pid, 0) for pid, ns in after.items())
