# SPDX-License-Identifier: MIT
"""Inside a guest, beside the server: one step for each argument.

settle         wait until it serves, and each worker has its interpreter
load=N         N requests, a connection each
load           the same behind the following steps, until they are done
write=FILE=T   as echo would
workers=N      wait until there are so many, with an interpreter each
signal=NAME    to the master
migrate=A-B    move the interpreters' pages from one node to another
said=A_B       wait until the log has these words
pinned=LIST    wait until workers are bound to these CPUs, one to each
renewed        wait until interpreters that were shown are gone
show           names, CPUs, huge pages and memory maps of the processes
"""
import ctypes
import os
import pathlib
import signal
import socket
import sys
import threading
import time

PROC = pathlib.Path("/proc")
KINDS = ("gcorn: worker ", "gcorn: interpreter ", "gcorn: template ")
PATIENCE = 120
LOG = pathlib.Path("/tmp/log")
MIGRATE_PAGES = 256
ADDRESS = ("127.0.0.1", 8000)


def read(path):
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def processes():
    for folder in PROC.glob("[0-9]*"):
        name = read(folder / "cmdline").replace("\0", " ").strip()
        if name.startswith(KINDS):
            yield folder, name


def status(folder, key):
    for line in read(folder / "status").splitlines():
        if line.startswith(key + ":"):
            return line.split()[1]
    return ""


def cpus_of(folder):
    return status(folder, "Cpus_allowed_list")


def parse(text):
    ends = [part.partition("-") for part in text.split(",") if part]
    return {cpu for first, _, last in ends
            for cpu in range(int(first), int(last or first) + 1)}


def wait(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"no {what}: {[name for _, name in processes()]}")
        time.sleep(0.1)


def is_open():
    try:
        with socket.create_connection(ADDRESS, timeout=60):
            return True
    except OSError:
        return False


def settle():
    seen, since = None, 0

    def is_settled():
        nonlocal seen, since
        count = counts()
        if count != seen or count[0] != count[1] or count[0] == 0:
            seen, since = count, time.monotonic()
        return time.monotonic() - since > 1

    # A trial run has such processes, too, but not the port.
    wait(is_open, "port")
    wait(is_settled, "rest")


def ask():
    with socket.create_connection(ADDRESS, timeout=60) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while part := sock.recv(65536):
            answer += part
    if b" 200 " not in answer[:20]:
        print("LOST", answer[:200], flush=True)


class Load(threading.Thread):
    def __init__(self):
        super().__init__()
        self.over = False
        self.count = 0

    def run(self):
        while not self.over:
            try:
                ask()
            except OSError as error:
                print("LOST", error, flush=True)
            self.count += 1


def pinned(cpus):
    def is_pinned():
        found = [parse(cpus_of(folder)) for folder, name in processes()
                 if name.startswith(KINDS[0])]
        return sorted(found, key=list) == [{cpu} for cpu in sorted(cpus)]

    wait(is_pinned, f"binding to {cpus}")


def counts():
    names = [name for _, name in processes()]
    return [sum(name.startswith(kind) for name in names)
            for kind in KINDS[:2]]


def interpreters():
    return {folder.name for folder, name in processes()
            if name.startswith(KINDS[1])}


def show():
    for folder, name in processes():
        print(f"PROCESS {name}|{cpus_of(folder)}|"
              f"{status(folder, 'THP_enabled')}")
        print(read(folder / "numa_maps"), end="")
    print("@@@", flush=True)


class Steps:
    """A method for each of them, with the text behind the sign."""

    def __init__(self):
        self.behind = None
        self.shown = set()

    def settle(self, _):
        settle()

    def show(self, _):
        self.shown = interpreters()
        show()

    def load(self, count):
        if not count:
            self.behind = Load()
            self.behind.start()
        for _ in range(int(count or 0)):
            ask()

    def write(self, value):
        file, _, text = value.partition("=")
        pathlib.Path(file).write_text(text)

    def workers(self, count):
        wait(lambda: counts() == [int(count)] * 2, f"{count} workers")

    def signal(self, name):
        for folder in PROC.glob("[0-9]*"):
            if read(folder / "cmdline").startswith("gcorn: master"):
                os.kill(int(folder.name), getattr(signal, "SIG" + name))

    def migrate(self, value):
        sets = [ctypes.byref(ctypes.c_ulong(1 << int(node)))
                for node in value.split("-")]
        for pid in interpreters():
            ctypes.CDLL(None).syscall(MIGRATE_PAGES, int(pid), 64, *sets)

    def said(self, words):
        text = words.replace("_", " ")
        wait(lambda: text in read(LOG), repr(text))

    def pinned(self, cpus):
        pinned(parse(cpus))

    def renewed(self, _):
        wait(lambda: not self.shown & interpreters(), "new interpreters")

    def end(self):
        if self.behind:
            self.behind.over = True
            self.behind.join()
            print(f"SERVED {self.behind.count}", flush=True)


def main():
    steps = Steps()
    os.sched_setaffinity(0, range(os.cpu_count()))
    for argument in sys.argv[1:]:
        verb, _, value = argument.partition("=")
        getattr(steps, verb)(value)
    steps.end()


main()
