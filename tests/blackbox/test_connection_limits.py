# SPDX-License-Identifier: MIT
"""Limits: connections of one address, and of all; what a head may have."""

import contextlib
import os
import signal

import pytest

from client import Client, Closed, Truncated, request_bytes, wait_until

pytestmark = pytest.mark.gcorn
IO = ("uring", "epoll")


def is_served(connection):
    try:
        return connection.request("/").status == 200
    except (Closed, Truncated, OSError):
        return False


def places(server):
    """How many of 30 connections are let in."""
    with contextlib.ExitStack() as stack:
        try:
            return sum(is_served(stack.enter_context(server.connect()))
                       for _ in range(30))
        except OSError:
            return 0


@pytest.mark.parametrize("io", IO)
def test_connections_of_one_address(start, io):
    server = start("probe:app", "-w", "1", "--io", io, "--keep-alive", "60",
                   "--limit-address-connections", "5",
                   "--forwarded-allow-ips", "10.0.0.1", ready=None)
    server.wait_log("Listening at")
    held = []
    wait_until(lambda: server.answers(), 20, "the application")
    for _ in range(5):
        wait_until(lambda: held.append(server.connect()) or
                   is_served(held[-1]), 10, "a place")
    held = [c for c in held if is_served(c)]
    assert len(held) == 5
    with server.connect() as more:
        assert not is_served(more)
    # Others are not concerned, and a place that is free is free.
    with Client(server.address, source="127.0.0.2") as other:
        assert is_served(other)
    held.pop().close()
    wait_until(lambda: is_served(Client(server.address)), 10, "a place")
    assert all(is_served(connection) for connection in held)
    server.wait_log("Connection from ip=127.0.0.1 closed: it has 5 already")


def test_all_workers_count_together(start):
    """And the connections of one that died are not counted any more."""
    server = start("probe:app", "-w", "3", "--keep-alive", "60",
                   "--limit-address-connections", "6",
                   "--forwarded-allow-ips", "10.0.0.1", ready=None)
    wait_until(lambda: server.answers(), 20, "the application")
    wait_until(lambda: places(server) == 6, 10, "six places")
    for worker in server.workers():
        os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: len(server.workers()) == 3 and places(server) == 6, 20,
               "the places again")


@pytest.mark.parametrize("io", IO)
def test_proxies_have_any_number(start, io):
    server = start("probe:app", "-w", "1", "--io", io, "--keep-alive", "60",
                   "--limit-address-connections", "2")
    held = [server.connect() for _ in range(20)]
    assert all(is_served(connection) for connection in held)


@pytest.mark.parametrize("io", IO)
def test_all_connections(start, io):
    """The rest waits in the queue of the socket, and is served after that."""
    server = start("probe:app", "-w", "1", "--io", io, "--keep-alive", "60",
                   "--worker-connections", "10")
    held = [server.connect() for _ in range(10)]
    assert all(is_served(connection) for connection in held)
    late = [server.connect() for _ in range(5)]
    for connection in late:
        connection.send(request_bytes("/"))
    server.wait_log("Accepting paused: 10 connections are open")
    assert all(is_served(connection) for connection in held)
    for connection in held[:5]:
        connection.close()
    assert [c.response().status for c in late] == [200] * 5


def test_no_limit_is_capped(start):
    server = start("probe:app", "-w", "1", "--limit-request-line", "20000",
                   "--limit-request-fields", "1000",
                   "--limit-request-field_size", "40000")
    assert server.get("/environ?" + "q" * 19000).status == 200
    assert server.get("/environ?" + "q" * 20000).status == 414
    many = [("X-%d" % n, "v") for n in range(990)]
    assert server.get("/environ", headers=many).json["HTTP_X_989"] == "v"
    assert server.get("/environ", headers=many + many[:20]).status == 431
    long = "l" * 39000
    assert server.get("/environ", headers=[("X-Long", long)]).json[
        "HTTP_X_LONG"] == long
    assert server.get("/environ", headers=[
        ("X-Long", long), ("X-More", long)]).status == 431
