# SPDX-License-Identifier: MIT
"""WebSockets of the class asgi, by a client that can also be rude."""

import contextlib
import os
import signal
import struct

import pytest

from client import wait_until

pytestmark = pytest.mark.gcorn

HELLO = (b"GET %s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
         b"Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
         b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n")
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Socket:
    def __init__(self, server, path="/", fields=""):
        self.connection = server.connect()
        self.connection.send(HELLO % (path.encode(), fields.encode()))
        self.head = self.connection.head()

    def __enter__(self):
        assert self.head.status == 101
        return self

    def __exit__(self, *exception):
        self.connection.close()

    def frame(self, opcode, data=b"", last=True, mask=b"\1\2\3\4"):
        if len(data) < 126:
            size = bytes([0x80 | len(data)])
        elif len(data) < 65536:
            size = struct.pack("!BH", 0x80 | 126, len(data))
        else:
            size = struct.pack("!BQ", 0x80 | 127, len(data))
        key = int.from_bytes((mask * (len(data) // 4 + 1))[:len(data)], "big")
        data = (int.from_bytes(data, "big") ^ key).to_bytes(len(data), "big")
        self.connection.send(bytes([opcode | (0x80 if last else 0)]) + size +
                             mask + data)

    def read(self):
        first, size = self.connection.exactly(2)
        assert first & 0x80 and not size & 0x80
        if size > 125:
            size = int.from_bytes(
                self.connection.exactly(2 if size == 126 else 8), "big")
        return first & 0x0f, self.connection.exactly(size)

    def closed(self):
        """The server's close frame, which is answered; the code it has."""
        opcode, data = self.read()
        assert opcode == CLOSE
        with contextlib.suppress(OSError):  # it may not listen any more
            self.frame(CLOSE, data)
        self.connection.ends()
        return int.from_bytes(data[:2], "big")


@pytest.fixture(scope="module", params=["uring", "epoll"])
def site(request, tmp_path_factory):
    from server import Server
    with Server("asgi_sockets:app", "-w", "1", "--websocket-max-message-size",
                "1000000", "--io", request.param,
                directory=tmp_path_factory.mktemp("ws")) as server:
        yield server


def test_handshake(site):
    with Socket(site, fields="Sec-WebSocket-Protocol: chat, other\r\n") as ws:
        assert ws.head.get("sec-websocket-accept") == (
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        assert ws.head.get("upgrade") == "websocket"
        assert ws.head.get("sec-websocket-protocol") == "chat"
        assert ws.head.get("x-accepted") == "yes"


@pytest.mark.parametrize("change,status", [
    ((b"Sec-WebSocket-Version: 13\r\n", b""), 400),
    ((b"Version: 13", b"Version: 8"), 426),
    ((b"Version: 13", b"Version: 13\r\nSec-WebSocket-Version: 13"), 400),
    ((b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhlIHNhbXBsZSBub25jZQ"), 400),
    ((b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhlIHNhbXBsZSBub25jZR=="), 101),
    ((b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b""), 400),
    ((b"GET", b"POST"), 400),
    ((b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\nx"), 400),
    ((b"HTTP/1.1", b"HTTP/1.0"), 200),  # RFC 9110 7.8: Upgrade is ignored
    ((b"Upgrade: websocket", b"Upgrade: other"), 200),
    ((b", Upgrade", b""), 200)])
def test_what_is_no_handshake(site, change, status):
    head = (HELLO % (b"/", b"")).replace(*change)
    with site.connect() as connection:
        connection.send(head)
        response = connection.head()
        assert response.status == status
        if status == 426:
            assert response.get("sec-websocket-version") == "13"
            assert response.get("upgrade") == "websocket"


def test_the_connection_outlives_a_bad_handshake(site):
    with site.connect() as connection:
        connection.send((HELLO % (b"/", b"")).replace(b": 13", b": 7"))
        assert connection.response().status == 426
        connection.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.response().status == 200


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 900000])
def test_messages(site, size):
    with Socket(site) as ws:
        data = os.urandom(size)
        ws.frame(BINARY, data)
        assert ws.read() == (BINARY, data)
        text = ("\u00e9" * (size // 2)).encode()
        ws.frame(TEXT, text)
        said = ws.read()
        while said[0] == PING:
            said = ws.read()
        assert said == (TEXT, text)


def test_fragments_and_pings(site):
    with Socket(site) as ws:
        ws.frame(TEXT, b"one ", last=False)
        ws.frame(PING, b"are you there")
        assert ws.read() == (PONG, b"are you there")
        ws.frame(PONG)
        ws.frame(0, b"message")
        assert ws.read() == (TEXT, b"one message")


def test_many_messages_without_waiting(site):
    with Socket(site) as ws:
        for n in range(1000):
            ws.frame(TEXT, b"%d" % n)
        for n in range(1000):
            assert ws.read() == (TEXT, b"%d" % n)


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
def test_the_client_closes(site, code):
    with Socket(site) as ws:
        ws.frame(CLOSE, struct.pack("!H", code) + b"why")
        assert ws.closed() == code
    site.traced("disconnect %d why" % code)


def test_the_client_is_lost(site):
    with Socket(site, "/lost") as ws:
        ws.connection.reset()
    site.traced("/lost disconnect 1006")


def test_the_application_closes(site):
    with Socket(site, "/close") as ws:
        assert ws.read() == (CLOSE, struct.pack("!H", 4001) + b"bye")
        ws.frame(TEXT, b"not heard any more")
        ws.frame(CLOSE, struct.pack("!H", 4001))
        ws.connection.ends()
    with Socket(site, "/return") as ws:
        assert ws.closed() == 1000
    with Socket(site, "/fail") as ws:
        assert ws.read() == (CLOSE, struct.pack("!H", 1011))
        ws.connection.sock.settimeout(6)  # it does not wait for our Close
        ws.connection.ends()


def test_denied(site):
    assert Socket(site, "/deny").head.status == 403
    ws = Socket(site, "/denial")
    assert ws.head.status == 401
    assert ws.head.get("x-why") == "because"


@pytest.mark.parametrize("opcode,data,code", [
    (3, b"", 1002), (11, b"", 1002), (0, b"x", 1002),
    (TEXT, b"\xff", 1007), (CLOSE, b"\x03", 1002), (CLOSE, b"\x03\xed", 1002),
    (BINARY, b"x" * 1000001, 1009)])
def test_what_is_wrong_closes(site, opcode, data, code):
    with Socket(site) as ws:
        ws.frame(opcode, data)
        assert ws.closed() == code


def test_a_client_that_does_not_mask(site):
    with Socket(site) as ws:
        ws.connection.send(b"\x81\x01a")
        assert ws.closed() == 1002


def test_a_reader_that_does_not_read_is_waited_for(site, tmp_path):
    """Echoes of messages that nobody takes: the server stops reading."""
    with Socket(site) as ws:
        ws.connection.sock.settimeout(1)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 2000:
                ws.frame(BINARY, b"z" * 100000)
                sent += 1
        assert sent < 2000


def test_a_silent_client_is_pinged_and_given_up(start):
    server = start("asgi_sockets:app", "-w", "1", "--ws-ping-interval", "1",
                   "--ws-ping-timeout", "1")
    with Socket(server) as ws:
        ws.frame(TEXT, b"here")
        assert ws.read() == (TEXT, b"here")
        assert ws.read()[0] == PING
        ws.frame(PONG)
        assert ws.read()[0] == PING
        assert ws.closed() == 1011
    server.traced("/ disconnect 1006")


def test_a_busy_application_does_not_keep_a_client_from_its_pong(site):
    """Frames are the worker's affair: the interpreter sleeps, GIL and all."""
    with Socket(site, "/sleep") as ws:
        ws.frame(TEXT, b"asleep for 2 s")
        ws.frame(PING, b"still there")
        assert ws.read() == (PONG, b"still there")
        ws.frame(CLOSE, struct.pack("!H", 1000))
        assert ws.closed() == 1000


def test_a_killed_interpreter_closes_its_websockets(start):
    server = start("asgi_sockets:app", "-w", "1")
    with Socket(server) as ws:
        ws.frame(TEXT, b"here")
        assert ws.read() == (TEXT, b"here")
        os.kill(server.interpreters()[0].pid, signal.SIGKILL)
        assert ws.closed() == 1011


def echoes(ws):
    ws.frame(TEXT, b"still there?")
    return ws.read() == (TEXT, b"still there?")


def test_a_killed_interpreter_closes_no_other_ones(start):
    server = start("asgi_sockets:app", "-w", "2")
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(server.connect())
        sockets = {}

        def both_have_some():
            ws = stack.enter_context(Socket(server))
            sockets.setdefault(int(ws.head.get("x-pid")), []).append(ws)
            return len(sockets) == 2

        wait_until(both_have_some)
        victim = min(sockets)
        os.kill(victim, signal.SIGKILL)
        assert {ws.closed() for ws in sockets.pop(victim)} == {1011}
        assert all(echoes(ws) for ws in sockets.popitem()[1])
        assert kept.request("/").status == 200


def test_max_requests_says_1012(start):
    server = start("asgi_sockets:app", "-w", "1", "--max-requests", "5")
    with Socket(server) as ws, server.connect() as kept:
        ws.frame(TEXT, b"here")
        assert ws.read() == (TEXT, b"here")
        for _ in range(5):
            assert kept.request("/").status == 200
        assert ws.closed() == 1012
        assert kept.request("/").status == 200
    with Socket(server) as ws:
        assert echoes(ws)


def test_what_came_before_a_reload_is_answered(start):
    server = start("asgi_sockets:app", "-w", "1")
    with Socket(server, "/slow") as ws:
        ws.frame(TEXT, b"wait for it")
        server.traced("slow")
        server.signal(signal.SIGHUP)
        assert ws.read() == (TEXT, b"wait for it")
        assert ws.closed() == 1012


def test_a_reload_says_1012(start):
    server = start("asgi_sockets:app", "-w", "1")
    with Socket(server, "/reloaded") as ws:
        server.signal(signal.SIGHUP)
        assert ws.closed() == 1012
    server.traced("/reloaded disconnect 1012")
    wait_until(lambda: len(server.interpreters()) == 1)
