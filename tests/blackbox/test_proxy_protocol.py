# SPDX-License-Identifier: MIT
"""PROXY protocol: bytes on a socket, and HAProxy and nginx that send it."""

import socket
import struct

import pytest

from client import Client, request_bytes, wait_until
from proxies import Haproxy, NginxStream

LINE = b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 80\r\n"
MARK = b"\r\n\r\n\0\r\nQUIT\n"
SHOW = request_bytes("/environ")


def v2(body, command=0x21, family=0x11):
    return MARK + struct.pack("!BBH", command, family, len(body)) + body


def addresses(source, target, source_port=40000, target_port=80):
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    return (socket.inet_pton(family, source) + socket.inet_pton(family, target)
            + struct.pack("!HH", source_port, target_port))


FOUR = addresses("192.0.2.1", "192.0.2.2")
SIX = addresses("2001:db8::1", "2001:db8::2")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    from server import Server
    directory = tmp_path_factory.mktemp("proxy")
    with Server("probe:app", "-w", "1", "--threads", "4", "--proxy-protocol",
                "--access-logfile", directory / "access.log",
                directory=directory) as server:
        yield server


def ask(server, data, **kind):
    with Client(server.address, **kind) as client:
        client.send(data)
        return client.response()


def told(seen):
    return [seen.get("REMOTE_ADDR"), seen.get("REMOTE_PORT"),
            seen.get("PROXY_PROTOCOL"), seen.get("PROXY_ADDR"),
            seen.get("PROXY_PORT")]


@pytest.mark.parametrize("header, want", [
    (LINE, ["192.0.2.1", "40000", "TCP4", "192.0.2.2", "80"]),
    (b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n",
     ["2001:db8::1", "1", "TCP6", "2001:db8::2", "65535"]),
    (v2(FOUR), ["192.0.2.1", "40000", "TCP4", "192.0.2.2", "80"]),
    (v2(SIX, family=0x21),
     ["2001:db8::1", "40000", "TCP6", "2001:db8::2", "80"]),
    (v2(FOUR + b"\x04\0\x03abc" + b"\xe0\x10\0" + bytes(4096)),
     ["192.0.2.1", "40000", "TCP4", "192.0.2.2", "80"]),
])
def test_addresses(server, header, want):
    assert told(ask(server, header + SHOW).json) == want


@pytest.mark.parametrize("header", [
    b"", b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN a b c d\r\n",
    v2(FOUR, command=0x20), v2(b"", command=0x20, family=0),
    v2(b"", family=0), v2(bytes(216), family=0x31)])
def test_the_real_peer_counts(server, header):
    with Client(server.address) as client:
        port = client.sock.getsockname()[1]
        client.send(header + SHOW)
        seen = client.response().json
    assert told(seen) == ["127.0.0.1", str(port), None, None, None]


@pytest.mark.parametrize("header", [LINE, v2(FOUR), v2(FOUR + bytes(300))])
def test_in_pieces(server, header):
    with Client(server.address) as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in header + SHOW:
            client.send(bytes([byte]))
        assert client.response().json["REMOTE_ADDR"] == "192.0.2.1"


def test_holds_for_the_connection(server):
    with Client(server.address) as client:
        client.send(LINE)
        for _ in range(3):
            seen = client.request("/environ").json
            assert told(seen) == ["192.0.2.1", "40000", "TCP4", "192.0.2.2",
                                  "80"]
        client.send(SHOW * 5)
        for _ in range(5):
            assert client.response().json["PROXY_PORT"] == "80"


def test_only_once(server):
    with Client(server.address) as client:
        client.send(LINE + SHOW)
        assert client.response().status == 200
        client.send(LINE + SHOW)
        assert client.response().status == 400
        client.ends()
    assert ask(server, LINE + LINE + SHOW).status == 400


@pytest.mark.parametrize("header", [
    b"PROXY TCP4 256.0.2.1 192.0.2.2 40000 80\r\n",
    b"PROXY TCP6 192.0.2.1 192.0.2.2 40000 80\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 80\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 40000\r\n",
    b"PROXY " + b"x" * 200,
    v2(FOUR, command=0x22), v2(FOUR, family=0x12), v2(FOUR[:-1]),
    MARK + b"\x31"])
def test_broken(server, header):
    with Client(server.address) as client:
        client.send(header + SHOW)
        assert client.response().status == 400
        client.ends()


def test_strangers(start):
    server = start("probe:app", "-w", "1", "--proxy-protocol", "auto",
                   "--proxy-allow-from", "127.0.0.8/29")
    for header in (LINE, v2(FOUR), b"PROXY UNKNOWN\r\n", b"PROXY x\r\n",
                   v2(b"", command=0x20)):
        with Client(server.address) as client:
            client.send(header + SHOW)
            assert client.response().status == 403
            client.ends()
    seen = ask(server, SHOW).json
    assert seen["REMOTE_ADDR"] == "127.0.0.1"
    seen = ask(server, LINE + SHOW, source="127.0.0.9").json
    assert seen["REMOTE_ADDR"] == "192.0.2.1"


@pytest.mark.parametrize("mode, one, two", [
    ("off", 400, 400), ("v1", 200, 400), ("v2", 400, 200)])
def test_modes(start, mode, one, two):
    server = start("probe:app", "-w", "1", "--proxy-protocol", mode)
    assert ask(server, LINE + SHOW).status == one
    assert ask(server, v2(FOUR) + SHOW).status == two
    assert ask(server, SHOW).status == 200


def test_unix_socket(start, tmp_path):
    server = start("probe:app", "-w", "1", "--proxy-protocol",
                   bind="unix:%s" % (tmp_path / "socket"))
    seen = ask(server, LINE + SHOW).json
    assert told(seen) == ["192.0.2.1", "40000", "TCP4", "192.0.2.2", "80"]


def test_access_log_has_the_client(server):
    ask(server, b"PROXY TCP4 198.51.100.7 192.0.2.2 40000 80\r\n"
        + request_bytes("/?logged"))
    line = wait_until(lambda: [line for line in server.access_lines()
                               if "/?logged" in line], what="the line")[0]
    assert line.startswith("198.51.100.7 ")


def test_the_client_is_not_the_proxy(start):
    """Who speaks PROXY is trusted with that, the client with nothing."""
    server = start("probe:app", "-w", "1", "--proxy-protocol",
                   "--proxy-headers", "x-forwarded-for",
                   "--forwarded-allow-ips", "127.0.0.1,10.0.0.1")
    data = request_bytes("/environ", headers=[
        ("X-Forwarded-For", "203.0.113.5")])
    assert ask(server, LINE + data).json["REMOTE_ADDR"] == "192.0.2.1"
    inner = b"PROXY TCP4 10.0.0.1 192.0.2.2 40000 80\r\n"
    assert ask(server, inner + data).json["REMOTE_ADDR"] == "203.0.113.5"


def test_silence_after_the_header(start):
    """A health check connects, speaks PROXY and leaves: no line about it."""
    server = start("probe:app", "-w", "1", "--proxy-protocol")
    for header in (LINE, v2(b"", command=0x20), LINE[:9], v2(FOUR)[:20]):
        with Client(server.address) as client:
            client.send(header)
            client.finish()
            client.ends()
    assert "Invalid" not in server.log()
    assert server.get("/").status == 200


@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2"])
def test_haproxy(server, tmp_path, version):
    with Haproxy(tmp_path, "127.0.0.1:%d %s" % (server.address[1], version),
                 backend="http-reuse safe") as proxy:
        with proxy.connect() as client:
            port = client.sock.getsockname()[1]
            for _ in range(20):
                seen = client.request("/environ").json
                assert told(seen) == ["127.0.0.1", str(port), "TCP4",
                                      "127.0.0.1", str(proxy.address[1])]


def test_haproxy_tells_clients_apart(server, tmp_path):
    """In TCP mode every connection is one of HAProxy's with its header."""
    target = "127.0.0.1:%d send-proxy-v2" % server.address[1]
    with Haproxy(tmp_path, target, mode="tcp") as proxy:
        for source in ("127.0.0.3", "127.0.0.4"):
            with proxy.connect(source=source) as client:
                for _ in range(3):
                    seen = client.request("/environ").json
                    assert seen["REMOTE_ADDR"] == source


def test_haproxy_checks(server, tmp_path):
    target = "127.0.0.1:%d send-proxy-v2 check-send-proxy check inter 100" % (
        server.address[1])
    with Haproxy(tmp_path, target, backend="option httpchk GET /") as proxy:
        wait_until(lambda: proxy.get("/").status == 200, what="a good check")


def test_nginx(server, tmp_path):
    """nginx speaks version 1, from its stream module."""
    with NginxStream(tmp_path, "127.0.0.1:%d" % server.address[1]) as proxy:
        for source in ("127.0.0.3", "127.0.0.4"):
            with proxy.connect(source=source) as client:
                port = client.sock.getsockname()[1]
                for _ in range(3):
                    seen = client.request("/environ").json
                    assert told(seen) == [source, str(port), "TCP4",
                                          "127.0.0.1", str(proxy.address[1])]
