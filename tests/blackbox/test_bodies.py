# SPDX-License-Identifier: MIT
"""Request bodies: small, chunked, spooled, enormous, cut off."""

import hashlib
import os
import time

import pytest

from client import Closed, chunked_bytes, request_bytes

MB = 1 << 20


def pattern(size):
    block = bytes(range(251)) * 40
    return (block * (size // len(block) + 1))[:size]


def check(response, data):
    assert response.status == 200
    assert response.json["size"] == len(data)
    assert response.json["sha256"] == hashlib.sha256(data).hexdigest()


# Around every size at which the server may change its mind about where a
# body lives: receive buffers, chunks, memory spool, file spool.
@pytest.mark.parametrize("size", [
    0, 1, 100, 4095, 4096, 8191, 8192, 8193, 16383, 16384, 16385, 65535,
    65536, 65537, 131072, MB - 1, MB, MB + 1, 5 * MB])
def test_content_length(probe, size):
    data = pattern(size)
    check(probe.get("/sha256", "POST", body=data), data)


@pytest.mark.parametrize("size", [1, 5, 1000, 8192, 16384, 65536, 65537,
                                  MB, MB + 1, 5 * MB])
@pytest.mark.parametrize("piece", [777, 16384, 300_000])
def test_chunked(probe, size, piece):
    data = pattern(size)
    if size // piece > 2000:
        pytest.skip("many pieces tell no more than some")
    pieces = [data[at:at + piece] for at in range(0, size, piece)]
    check(probe.get("/sha256", "POST", body=chunked_bytes(pieces),
                    headers=[("Transfer-Encoding", "chunked")]), data)


def test_chunked_one_byte_at_a_time(probe):
    data = pattern(300)
    pieces = [data[at:at + 1] for at in range(300)]
    body = chunked_bytes(pieces, trailers=[("X-Trailer", "t")])
    with probe.connect() as client:
        client.sock.setsockopt(6, 1, 1)
        client.send(request_bytes("/sha256", "POST", headers=[
            ("Transfer-Encoding", "chunked")]))
        for byte in body:
            client.send(bytes([byte]))
        check(client.response(), data)
        client.stays()


def test_chunk_extensions_and_trailers_are_not_the_body(probe):
    with probe.connect() as client:
        client.send(request_bytes("/echo", "POST", headers=[
            ("Transfer-Encoding", "chunked")]))
        client.send(b"3;name=value\r\nabc\r\n03 ;x=\"y;z\"\r\ndef\r\n"
                    b"0\r\nX-Trailer: t\r\n\r\n")
        assert client.response().body == b"abcdef"
        client.stays()


@pytest.mark.parametrize("bad", [
    b"x\r\nabc\r\n0\r\n\r\n", b"-3\r\nabc\r\n0\r\n\r\n",
    b"3\r\nabcd\r\n0\r\n\r\n", b"3\nabc\r\n0\r\n\r\n",
    b"0x3\r\nabc\r\n0\r\n\r\n", b"\r\nabc\r\n0\r\n\r\n",
    b"fffffffffffffffffff\r\nabc\r\n", b"3\r\nabcXX0\r\n\r\n",
    b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n"])
@pytest.mark.gcorn
def test_bad_chunks_are_refused(probe, bad):
    with probe.connect() as client:
        client.send(request_bytes("/echo", "POST", headers=[
            ("Transfer-Encoding", "chunked")]) + bad)
        response = client.response()
        assert response.status == 400
        client.ends()
    assert probe.get("/").status == 200


def test_100_megabytes(probe):
    size = 100 * MB
    block = pattern(MB)
    digest = hashlib.sha256()
    with probe.connect(timeout=120) as client:
        client.send(request_bytes("/sha256", "POST", headers=[
            ("Content-Length", str(size))]))
        for _ in range(100):
            client.send(block)
            digest.update(block)
        response = client.response()
        assert response.json["size"] == size
        assert response.json["sha256"] == digest.hexdigest()
        client.stays()


def test_many_large_bodies_at_once(probe):
    """More spools than interpreters, and each body is its own."""
    clients = [probe.connect(timeout=120) for _ in range(12)]
    bodies = [bytes([i]) * (2 * MB + i) for i in range(12)]
    for client, body in zip(clients, bodies):
        client.send(request_bytes("/sha256", "POST", headers=[
            ("Content-Length", str(len(body)))]))
    for part in range(5):
        for client, body in zip(clients, bodies):
            step = len(body) // 4
            client.send(body[part * step:(part + 1) * step])
    for client, body in zip(clients, bodies):
        check(client.response(), body)
        client.close()


def test_20_megabytes_echoed(probe):
    """Up and down through bounded memory."""
    data = pattern(20 * MB)
    response = probe.get("/echo", "POST", body=data)
    assert hashlib.sha256(response.body).digest() == hashlib.sha256(
        data).digest()


@pytest.mark.gcorn
@pytest.mark.parametrize("size", [10, 100_000, 3 * MB])
def test_a_body_that_nobody_read_does_not_hurt_the_next(probe, size):
    with probe.connect() as client:
        for _ in range(3):
            assert client.request("/ignore", "POST",
                                  body=b"u" * size).body == b"ignored"
        client.stays()


@pytest.mark.gcorn
@pytest.mark.parametrize("sent", [0, 10, 100_000])
def test_a_body_that_is_cut_off_never_reaches_the_application(probe, sent):
    """Thread classes start when the body is complete."""
    name = "cut-%d" % sent
    with probe.connect() as client:
        client.send(request_bytes("/hold?t=%s&file=/" % name, "POST",
                                  headers=[("Content-Length", "200000")]))
        client.send(b"c" * sent)
        client.finish()
        try:
            assert client.response().status == 400
        except Closed:
            pass
    time.sleep(0.1)
    assert not probe.trace_lines("hold " + name)
    assert probe.get("/").status == 200


@pytest.mark.gcorn
def test_a_slow_body_holds_no_interpreter(start):
    server = start("probe:app", "-w", "1")
    with server.connect() as slow:
        slow.send(request_bytes("/sha256", "POST", headers=[
            ("Content-Length", "1000")]) + b"s" * 10)
        for _ in range(20):
            assert server.get("/").body == b"hello"
        slow.send(b"s" * 990)
        check(slow.response(), b"s" * 1000)


@pytest.mark.gcorn
def test_spools_leave_no_descriptors_behind(probe):
    def descriptors():
        return {p.pid: len(os.listdir("/proc/%d/fd" % p.pid))
                for p in probe.processes()}

    data = pattern(2 * MB)
    for _ in range(4):
        check(probe.get("/sha256", "POST", body=data), data)
    before = descriptors()
    for _ in range(20):
        check(probe.get("/sha256", "POST", body=data), data)
    after = descriptors()
    for pid in before.keys() & after.keys():
        assert after[pid] <= before[pid] + 2


@pytest.mark.gcorn
@pytest.mark.parametrize("head, part", [
    ([("Content-Length", "10")], b"half"),
    ([("Transfer-Encoding", "chunked")], b"5\r\nhal"),
    ([("Transfer-Encoding", "chunked")], b"5\r\nwhole\r\n0\r\n")])
def test_half_closed_in_the_body(probe, head, part):
    """It may still read: it is told, and the application not asked."""
    with probe.connect() as connection:
        connection.send(request_bytes("/sha256", "POST", headers=head) + part)
        connection.finish()
        response = connection.response()
        assert response.status == 400
        assert "Request body ended too early" in response.text
        connection.ends()


@pytest.mark.gcorn
@pytest.mark.parametrize("io", ["uring", "epoll"])
def test_a_refusal_reaches_who_sends_before_it_reads(start, io):
    """As many clients do: a reset would destroy the answer. But nobody may
    send for ever."""
    server = start("probe:app", "--limit-request-body", "1000", "--io", io)
    size = 8 << 20
    with server.connect() as connection:
        connection.send(request_bytes("/", "POST", headers=[
            ("Content-Length", size)]) + bytes(size))
        assert connection.response().status == 413
    with server.connect() as connection:
        connection.send(request_bytes("/", "POST", headers=[
            ("Transfer-Encoding", "chunked")]) + b"fffffff\r\n")
        with pytest.raises(OSError):
            for _ in range(200):
                connection.send(bytes(1 << 20))
