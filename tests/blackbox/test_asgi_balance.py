# SPDX-License-Identifier: MIT
"""The class asgi: who gets the next request, and what it costs to wait."""

import collections

import pytest
from prometheus_client.parser import text_string_to_metric_families

import client
from client import wait_until
from server import free_port

pytestmark = pytest.mark.gcorn


@pytest.fixture
def held(tmp_path):
    """held(server, n): n requests that last until the test is over; pids of
    the interpreters that run them when `held.let_go()` was called."""
    class Held:
        def __init__(self):
            self.go = tmp_path / "go"
            self.connections = []

        def __call__(self, server, count):
            for _ in range(count):
                connection = server.connect()
                connection.send(b"GET /hold?%s HTTP/1.1\r\nHost: x\r\n\r\n"
                                % str(self.go).encode())
                self.connections.append(connection)

        def let_go(self):
            self.go.touch()
            return collections.Counter(connection.response().text
                                       for connection in self.connections)

    held = Held()
    yield held
    for connection in held.connections:
        connection.close()


def test_the_one_with_the_fewest_in_flight_gets_the_next(start, held):
    server = start("asgi_app:app", "-w", "2")
    for count in range(1, 41):
        held(server, 1)
        wait_until(lambda: len(server.trace_lines("held")) == count)
    pids = held.let_go()
    assert sum(pids.values()) == 40
    # The worker's own may have an eighth more than the other.
    assert max(pids.values()) <= 23


def test_no_request_waits_for_a_loop_that_is_stuck(start):
    server = start("asgi_app:app", "-w", "2")
    with server.connect() as stuck:
        stuck.send(b"GET /blocking?8 HTTP/1.1\r\nHost: x\r\n\r\n")
        server.traced("blocking")
        # Whoever the kernel gave the connection to.
        pids = {server.get("/").json["pid"] for _ in range(30)}
        assert len(pids) == 1
        stuck.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            stuck.sock.recv(1)  # they were not after it


def test_one_takes_no_more_than_worker_connections(start, held):
    server = start("asgi_app:app", "-w", "1", "--worker-connections", "4")
    held(server, 6)
    wait_until(lambda: len(server.trace_lines("held")) >= 4)
    held.go.touch()
    for connection in held.connections:
        # Four were there; each that leaves lets another in.
        assert connection.response().status == 200
        connection.close()
    assert len(server.trace_lines("held")) == 6


def lag_of(address):
    text = client.get(address, "/metrics").text
    (family,) = [f for f in text_string_to_metric_families(text)
                 if f.name == "gcorn_loop_lag_seconds"]
    return [sample.value for sample in family.samples]


def test_the_lag_of_loops_is_told(start):
    port = free_port()
    server = start("asgi_app:app", "-w", "1", "--admin-bind",
                   "127.0.0.1:%d" % port)
    address = ("127.0.0.1", port)
    (lag,) = lag_of(address)
    assert 0 <= lag < 5
    with server.connect() as stuck:
        stuck.send(b"GET /blocking?3 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: lag_of(address)[0] > 0.5)
        assert stuck.response().status == 200
    (worker,) = client.get(address, "/status.json").json["workers"]
    assert worker["loop_lag"] >= 0


def test_nobody_polls_while_nothing_happens(start):
    """Neither with idle connections nor with a request that waits."""
    server = start("asgi_app:app", "-w", "2")
    processes = server.interpreters() + server.workers()

    def ns():
        return sum(int(open("/proc/%d/schedstat" % process.pid).read()
                       .split()[0]) for process in processes)

    with server.connect() as idle, server.connect() as waiting:
        assert idle.request("/").status == 200
        waiting.send(b"GET /until_gone HTTP/1.1\r\nHost: x\r\n\r\n")
        waiting.head()
        waiting.chunk()
        waiting.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            waiting.sock.recv(1)  # what was going on has ended
        before = ns()
        waiting.sock.settimeout(2)
        with pytest.raises(TimeoutError):
            waiting.sock.recv(1)
        # A loop that polls, even once in 100 us, takes some 20 times that.
        assert ns() - before < 20_000_000
