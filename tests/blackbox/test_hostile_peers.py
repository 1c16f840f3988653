# SPDX-License-Identifier: MIT
"""Peers that are slow, leave at the worst moment, or are too many."""

import resource
import threading
import time

import pytest

from client import Client, Truncated, request_bytes, wait_until
from hostile import (BACKENDS, FULL, GET, ended, open_connections,  # noqa
                     others, push, read_all, server, settles, size)
from load import Load

pytestmark = pytest.mark.gcorn
MB = 1 << 20


def drip(clients, data, rounds):
    """Each sends its next byte, about once a second when FULL."""
    for at in range(rounds):
        for client in clients:
            push(client, data[at:at + 1])
        yield at


# ---- slow senders

def test_slow_heads(server, others):
    data = request_bytes("/sleep?s=0", headers=[("X-Slow", "s" * 1000)])
    clients = [server.connect() for _ in range(size(100, 1000))]
    for _ in drip(clients, data, 5):
        others.more(20)
    assert not server.trace_lines("sleep")
    for client in clients:
        client.reset()


def test_slow_bodies(server, others):
    head = request_bytes("/sha256", "POST",
                         headers=[("Content-Length", "1000")])
    clients = [server.connect() for _ in range(size(100, 700))]
    for client in clients:
        push(client, head)
    for _ in drip(clients, b"b" * 5, 5):
        others.more(20)
    for client in clients:
        client.reset()


def test_idle_connections(server, others):
    clients = [server.connect() for _ in range(size(200, 1000))]
    for client in clients[::2]:
        client.send(GET)
        assert client.response().status == 200
    others.more(100)
    for client in clients:
        client.close()


# ---- slow readers

def resident(process):
    return process.memory("Rss")


@pytest.mark.parametrize("worker_class", [["--threads", "1"],
                                          ["--threads", "4"]],
                         ids=["sync", "gthread"])
@pytest.mark.parametrize("io", BACKENDS)
def test_slow_readers(start, release_command, io, worker_class):
    """64 connections take 1 byte a second of 10 MB each. Interpreters do not
    wait for them, and nobody's memory grows by what they asked for."""
    server = start("probe:app", "-w", "2", *worker_class, "--io", io,
                   command=release_command)
    count, length = size(64, 64), size(4 * MB, 10 * MB)
    with Load(server, connections=2) as load:
        load.more(200)
    server.get("/big?size=%d" % length)
    before = {p.pid: resident(p) for p in server.processes()}
    readers = [server.connect(receive_buffer=4096) for _ in range(count)]
    for reader in readers:
        reader.send(request_bytes("/big?size=%d" % length))
    with Load(server, connections=2) as load:
        end = time.monotonic() + size(1, 20)
        while time.monotonic() < end:
            for reader in readers:
                reader.buffer += reader.sock.recv(1)
            load.more(100)
    load.all_good()
    # Arena: 64 windows; worker: a block for each; nobody 64 * 10 MB.
    for process in server.processes():
        grown = resident(process) - before.get(process.pid, 0)
        assert grown < 24 * MB, (process, grown / MB)
    # What they asked for is all there for those who read on.
    reader = readers[0]
    reader.sock.setsockopt(1, 8, 1 << 20)  # SO_RCVBUF
    for other in readers[1:]:
        other.reset()
    assert reader.response().body == (bytes(range(256)) * 256 * (length // 65536 + 1))[:length]


@pytest.mark.parametrize("io", BACKENDS)
def test_slow_readers_of_files(start, io):
    server = start("probe:app", "-w", "2", "--io", io)
    length = 4 * MB
    readers = [server.connect(receive_buffer=4096) for _ in range(64)]
    for reader in readers:
        reader.send(request_bytes("/file?size=%d&cl=%d" % (length, length)))
    with Load(server, connections=2) as load:
        for reader in readers:
            reader.buffer += reader.sock.recv(1)
        load.more(200)
    load.all_good()
    for reader in readers[8:]:
        reader.reset()
    for reader in readers[:8]:
        assert len(reader.response().body) == length


@pytest.mark.parametrize("io", BACKENDS)
def test_slow_readers_of_endless_streams(start, io):
    """What they do not take goes to the spool first, then the application
    waits; when they leave, it is told."""
    server = start("probe:app", "-w", "2", "--threads", "4", "--io", io)
    readers = [server.connect(receive_buffer=4096) for _ in range(4)]
    for n, reader in enumerate(readers):
        reader.send(request_bytes("/endless?t=slow%d" % n))
        reader.buffer += reader.sock.recv(1)
    with Load(server, connections=2) as load:
        load.more(100)
    load.all_good()
    for n, reader in enumerate(readers):
        reader.reset()
        server.traced("slow%d" % n)


# ---- resets

def in_head(client):
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-")


def in_body(client):
    client.send(request_bytes("/sha256", "POST", headers=[
        ("Content-Length", "1000")]) + b"abc")


def in_large_body(client):
    client.send(request_bytes("/sha256", "POST", headers=[
        ("Content-Length", "100000000")]) + bytes(200_000))


def in_chunk(client):
    client.send(request_bytes("/sha256", "POST", headers=[
        ("Transfer-Encoding", "chunked")]) + b"5\r\nhel")


def before_100(client):
    client.send(request_bytes("/sha256", "POST", headers=[
        ("Content-Length", "5"), ("Expect", "100-continue")]))


def after_100(client):
    before_100(client)
    client.line()


def waiting(client):
    client.send(request_bytes("/sleep?s=0.02"))


def sending(client):
    client.send(request_bytes("/big?size=30000000"))
    client.sock.recv(1000)


def sending_chunks(client):
    client.send(request_bytes("/pieces?as=generator&n=2000"))
    client.sock.recv(1000)


def sending_file(client):
    client.send(request_bytes("/file?size=30000000&cl=30000000"))
    client.sock.recv(1000)


def lingering(client):
    client.send(b"nonsense\r\n\r\n")
    client.sock.recv(1000)


def idle(client):
    client.send(GET)
    client.response()


def pipelining(client):
    client.send(request_bytes("/sleep?s=0.02") + GET * 50)


def at_once(client):
    pass


@pytest.mark.parametrize("leave", ["reset", "close"])
@pytest.mark.parametrize("until", [
    at_once, in_head, in_body, in_large_body, in_chunk, before_100, after_100,
    waiting, sending, sending_chunks, sending_file, lingering, idle,
    pipelining], ids=lambda f: f.__name__)
def test_gone(server, others, until, leave):
    """Peers that leave while... ; none of them leaves anything behind."""
    for _ in range(size(8, 200)):
        clients = [server.connect() for _ in range(4)]
        for client in clients:
            until(client)
        for client in clients:
            getattr(client, leave)()
    others.more(10)


# ---- floods

@pytest.mark.parametrize("io", BACKENDS)
def test_more_connections_than_descriptors(start, io):
    """Those who are in are served; the others wait in the listening queue and
    get in when there is room. The worker neither spins nor ends."""
    few = 256

    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, few))

    server = start("probe:app", "-w", "1", "--io", io, "--keep-alive", "60",
                   "--header-timeout", "60", rlimit=limit)
    worker = server.workers()[0].pid
    first = server.connect()
    assert first.request("/").status == 200
    flood = [server.connect() for _ in range(few + size(100, 700))]
    server.wait_log("Accepting paused")
    for _ in range(20):
        assert first.request("/").status == 200
    for client in flood:
        client.reset()
    wait_until(lambda: server.answers(), 20, "service after the flood")
    assert first.request("/file?size=100&cl=100").status == 200
    assert [p.pid for p in server.workers()] == [worker]


def test_connections_come_and_go(server, others):
    """One thread connects and resets as fast as it can."""
    stop = threading.Event()

    def flood():
        while not stop.is_set():
            client = Client(server.address)
            client.reset()

    thread = threading.Thread(target=flood)
    thread.start()
    others.more(size(200, 5000))
    stop.set()
    thread.join()


# ---- all bodies are slow, and there are more of them than exchanges

@pytest.mark.parametrize("io", BACKENDS)
def test_more_slow_bodies_than_exchanges(start, io):
    """A worker has 1024 exchanges. Who takes one by sending slowly has to
    give it back when somebody needs it."""
    server = start("probe:app", "-w", "1", "--io", io, "--body-timeout", "60")
    head = request_bytes("/sha256", "POST",
                         headers=[("Content-Length", "1000")])
    slow = []
    for _ in range(1200):
        client = server.connect()
        client.send(head + b"b")
        slow.append(client)
    # Nobody is slow before a second has passed.
    wait_until(lambda: server.get("/").status == 200, 20, "room")
    statuses = [server.get("/").status for _ in range(50)]
    assert statuses.count(200) == 50, statuses
    for client in slow:
        client.reset()
    settles(server)
