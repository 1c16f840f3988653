# SPDX-License-Identifier: MIT
"""What the tests of hostile clients share.

Each attack is made on both ring backends, and while it lasts others must be
served: that is what the fixture `others` is about. $GCORN_HOSTILE=full makes
the attacks as large as the promises are; without it they are small enough for
every run.
"""

import os
import pathlib
import selectors
import time

import pytest

import client
from load import Load
from server import Server

FULL = os.environ.get("GCORN_HOSTILE") == "full"
BACKENDS = ["uring", "epoll"]
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LISTEN = "0A"


def size(small, full):
    return full if FULL else small


@pytest.fixture(scope="module", params=BACKENDS)
def server(request, tmp_path_factory):
    """probe:app, shared by the tests of a file; no connection may be left."""
    directory = tmp_path_factory.mktemp("hostile-" + request.param)
    with Server("probe:app", "-w", "2", "--threads", "2", "--io",
                request.param, "--header-timeout", "3", "--body-timeout", "3",
                directory=directory) as running:
        yield running
        settles(running)


@pytest.fixture
def others(server):
    """Polite clients all the time; what they get must be right, and the end
    of the attack must let go of everything."""
    with Load(server, connections=2) as load:
        yield load
        load.more(20)
    load.all_good()


def inodes(process):
    directory = pathlib.Path("/proc/%d/fd" % process.pid)
    found = set()
    for name in os.listdir(directory):
        try:
            found.add(os.readlink(directory / name))
        except OSError:
            pass
    return found


def open_connections(server):
    """Connections that workers still hold a descriptor of."""
    port = "%04X" % server.address[1]
    held = set().union(*map(inodes, server.workers()))
    count = 0
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        column = line.split()
        count += (column[1].endswith(":" + port) and column[3] != LISTEN
                  and "socket:[%s]" % column[9] in held)
    return count


def settles(server, seconds=30):
    client.wait_until(lambda: open_connections(server) == 0, seconds,
                      "the end of all connections")


def read_all(clients, seconds=30):
    """Reads everybody to the end; returns what each got. Those that are still
    open after the time are an error."""
    selector = selectors.DefaultSelector()
    got = {c: b"" for c in clients}
    for c in clients:
        c.sock.setblocking(False)
        selector.register(c.sock, selectors.EVENT_READ, c)
    end = time.monotonic() + seconds
    left = len(clients)
    while left:
        assert time.monotonic() < end, "%d connections stay open" % left
        for key, _ in selector.select(0.5):
            try:
                data = key.fileobj.recv(65536)
            except OSError:
                data = b""
            got[key.data] += data
            if not data:
                selector.unregister(key.fileobj)
                left -= 1
    return [got[c] for c in clients]


def push(connection, data):
    """Sends as much as the server takes; True if it was all."""
    try:
        connection.send(data)
        return True
    except OSError:
        return False


def ended(connection):
    """All until the server closes, however it does."""
    got, connection.buffer = connection.buffer, b""
    try:
        while data := connection.sock.recv(65536):
            got += data
    except ConnectionError:
        pass
    return got
