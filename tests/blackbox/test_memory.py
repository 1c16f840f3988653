# SPDX-License-Identifier: MIT
"""Memory, measured on the release build: sanitizers have their own."""

import re

import pytest

from client import wait_until
from load import Load

pytestmark = [pytest.mark.gcorn, pytest.mark.release]
MB = 1 << 20


def private(process, but=r"/memfd:|/dev/shm|anon_inode|/dev/zero"):
    """Bytes of private memory outside the shared mappings."""
    total, counts = 0, False
    for line in process.read("smaps").splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            counts = not re.search(but, line)
        elif counts and line.startswith(("Private_Clean:", "Private_Dirty:")):
            total += int(line.split()[1]) * 1024
    return total


def proportional(server):
    return sum(p.memory("Pss") for p in server.processes())


def test_a_worker_is_small(start, release_command):
    server = start("probe:app", "-w", "2", command=release_command)
    with Load(server) as load:
        load.more(2000)
    for size in (100, 100_000, 3_000_000):
        server.get("/sha256", "POST", body=b"m" * size)
        server.get("/big?size=%d" % size)
    sizes = [private(worker) for worker in server.workers()]
    assert len(sizes) == 2
    assert max(sizes) < 4 * MB, sizes


def test_the_master_is_small(start, release_command):
    from server import Process
    server = start("probe:app", "-w", "2", command=release_command)
    assert private(Process(server.pid)) < 4 * MB


def test_ten_thousand_idle_connections(start, release_command):
    server = start("probe:app", "-w", "2", "--keep-alive", "300",
                   "--timeout", "300", command=release_command)
    for _ in range(200):
        server.get("/")
    before = proportional(server)
    clients = []
    for _ in range(10_000):
        client = server.connect(timeout=60)
        clients.append(client)
        assert client.request("/").status == 200
    after = proportional(server)
    assert after - before < 20 * MB, (before, after)
    for client in clients[::500]:
        assert client.request("/").status == 200
    for client in clients:
        client.close()
    wait_until(lambda: server.get("/").status == 200)


def test_no_growth_over_many_requests(start, release_command):
    """Memory is decided at start: after a warm-up nothing grows."""
    server = start("probe:app", "-w", "2", command=release_command)

    def turn():
        for target in ("/", "/pieces?as=generator&n=50", "/raises",
                       "/file?size=100000", "/environ", "/many-fields?n=50"
                       "&size=50"):
            with Load(server, target, connections=4) as load:
                load.more(400)
        for _ in range(10):
            server.get("/sha256", "POST", body=b"g" * 300_000)

    turn()
    turn()
    before = {p.pid: p.memory("Private_Dirty") for p in server.processes()}
    for _ in range(3):
        turn()
    for process in server.processes():
        grown = process.memory("Private_Dirty") - before.get(process.pid, 0)
        assert process.pid in before
        assert grown < 1 * MB, (process, before[process.pid], grown)
