# SPDX-License-Identifier: MIT
"""Slow and silent clients cost memory, never an interpreter."""

import selectors
import time

import pytest

from client import Client, request_bytes

pytestmark = pytest.mark.gcorn
SLOW = 1000


@pytest.fixture
def server(start):
    return start("probe:app", "-w", "2", "--keep-alive", "5",
                 "--header-timeout", "10", "--body-timeout", "10")


@pytest.fixture
def hasty(start):
    return start("probe:app", "-w", "2", "--keep-alive", "1",
                 "--header-timeout", "2", "--body-timeout", "2")


def drip(clients, data, rounds):
    """Each client sends its next byte, as a bad telephone line would."""
    for at in range(rounds):
        for client in clients:
            try:
                client.send(data[at:at + 1])
            except OSError:
                pass
        yield at


def test_a_thousand_at_one_byte_a_second(server):
    """While they drip their heads, others are served at once."""
    data = request_bytes("/sleep?s=0", headers=[("X-Slow", "s" * 1000)])
    slow = [server.connect() for _ in range(SLOW)]
    for _ in drip(slow, data, 4):
        end = time.monotonic() + 1
        while time.monotonic() < end:
            assert server.get("/").body == b"hello"
    assert not server.trace_lines("sleep")
    for client in slow:
        client.close()
    assert server.get("/").body == b"hello"


def test_a_thousand_slow_bodies(server):
    data = request_bytes("/sha256", "POST",
                         headers=[("Content-Length", "1000")])
    slow = [server.connect() for _ in range(SLOW)]
    for client in slow:
        client.send(data)
    served = 0
    for _ in drip(slow, b"b" * 3, 3):
        for _ in range(50):
            served += server.get("/").status == 200
    # Exchanges are bounded: some may be told to come back, never all.
    assert served > 0
    for client in slow:
        client.close()
    assert all(server.get("/").status == 200 for _ in range(10))


def test_readers_that_do_not_read(server):
    """Twenty clients ask for much and read nothing: the two interpreters
    wait for the window, and go on when the clients have gone."""
    clients = [server.connect(receive_buffer=4096) for _ in range(20)]
    for client in clients:
        client.send(b"GET /big?size=50000000 HTTP/1.1\r\nHost: a\r\n\r\n")
    for client in clients:
        client.reset()
    assert server.get("/").body == b"hello"


def closed_by_server(clients, seconds):
    """How many the server closes (or answers and closes) in this time."""
    selector = selectors.DefaultSelector()
    for client in clients:
        client.sock.setblocking(False)
        selector.register(client.sock, selectors.EVENT_READ)
    left, end = len(clients), time.monotonic() + seconds
    while left and time.monotonic() < end:
        for key, _ in selector.select(0.5):
            try:
                if key.fileobj.recv(65536):
                    continue
            except BlockingIOError:
                continue
            except OSError:
                pass
            selector.unregister(key.fileobj)
            left -= 1
    return len(clients) - left


def test_silent_connections_are_closed(hasty):
    clients = [hasty.connect() for _ in range(100)]
    assert closed_by_server(clients, 30) == 100


def test_heads_that_never_end_are_closed(hasty):
    clients = [hasty.connect() for _ in range(100)]
    for client in clients:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-")
    assert closed_by_server(clients, 30) == 100


def test_bodies_that_stop_are_closed(hasty):
    clients = [hasty.connect() for _ in range(50)]
    for client in clients:
        client.send(request_bytes("/sha256", "POST", headers=[
            ("Content-Length", "1000")]) + b"abc")
    assert closed_by_server(clients, 30) == 50


def test_a_large_body_that_stops_is_answered(hasty):
    """It is received into memory that the answer must not take away."""
    with hasty.connect() as client:
        client.send(request_bytes("/sha256", "POST", headers=[
            ("Content-Length", "3000000")]) + bytes(200_000))
        response = client.response()
        assert response.status == 408 and response.closes


def test_bodies_that_come_too_slowly_are_closed(hasty):
    """One byte in half a second is progress, but no 500 bytes a second."""
    clients = [hasty.connect() for _ in range(10)]
    for client in clients:
        client.send(request_bytes("/sha256", "POST", headers=[
            ("Content-Length", "50000")]) + b"abc")
    selector = selectors.DefaultSelector()
    for client in clients:
        selector.register(client.sock, selectors.EVENT_READ)
    for _ in range(60):
        for client in clients:
            try:
                client.send(b"x")
            except OSError:
                pass
        if selector.select(0.5):
            break
    response = clients[0].response()
    assert response.status == 408 and response.closes


def test_bodies_that_come_fast_enough_may_take_long(hasty):
    with hasty.connect() as client:
        client.send(request_bytes("/sha256", "POST", headers=[
            ("Content-Length", "24000")]))
        for _ in range(12):
            client.send(b"x" * 2000)
            time.sleep(0.4)
        assert client.response().status == 200


def test_one_client_resets_after_the_other(hasty):
    for turn in range(300):
        client = Client(hasty.address)
        client.send(request_bytes("/")[:turn % 30])
        if turn % 2:
            client.reset()
        else:
            client.close()
    assert hasty.get("/").body == b"hello"
