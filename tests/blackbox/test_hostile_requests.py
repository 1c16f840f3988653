# SPDX-License-Identifier: MIT
"""Requests that are too much, too long, or nothing of the kind."""

import random
import re

import pytest

from client import request_bytes
from hostile import GET, ended, others, push, read_all, server, size  # noqa

pytestmark = pytest.mark.gcorn
CHUNKED = request_bytes("/sha256", "POST",
                        headers=[("Transfer-Encoding", "chunked")])


def statuses(data):
    return [int(n) for n in re.findall(rb"HTTP/1\.[01] (\d{3}) ", data)]


def refused(server, data, status):
    """The answer is an error, and the connection ends."""
    with server.connect() as client:
        push(client, data)
        assert statuses(ended(client)) == [status]


# ---- many requests

def test_many_pipelined_requests(server, others):
    """All are answered, in order, however many are sent at once."""
    count = size(5_000, 100_000)
    with server.connect(timeout=60) as client:
        sent = 0
        batch = 500
        for at in range(0, count, batch):
            client.send(b"".join(request_bytes("/environ/%d" % n)
                                 for n in range(at, at + 2))
                        + GET * (batch - 2))
            sent += batch
            for n in range(batch):
                response = client.response()
                assert response.status == 200
                if n < 2:
                    path = response.json["PATH_INFO"]
                    assert path == "/environ/%d" % (at + n)
        assert sent == count


def test_pipelined_requests_nobody_reads(server, others):
    """A client that only sends is stopped, and what it may cost is bounded."""
    with server.connect(timeout=1) as client:
        data = GET * 1000
        total = 0
        with pytest.raises(TimeoutError):
            while total < 200_000_000:
                total += client.sock.send(data)
        others.more(50)
        client.reset()


def test_pipelined_errors(server, others):
    with server.connect() as client:
        push(client, GET * 50 + b"\x01\r\n\r\n" + GET * 50)
        assert statuses(ended(client)) == [200] * 50 + [400]


# ---- heads

@pytest.mark.parametrize("head,status", [
    (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", 414),
    (b"GET /" + b"a" * 8_000_000, 414),
    (b"G" * 1_000_000, 414),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a" * 1_000_000, 431),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 100_000, 431),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b":\r\n" * 1000, 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n" + b" z\r\n" * 9000, 400),
    (b"\r\n" * 100_000, 400),
    (b"\n" * 100_000, 400),
    (b"\0" * 100_000, 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: "
     + b"9" * 5000 + b"\r\n\r\n", 400),
], ids=["line", "endless-line", "endless-method", "field", "endless-field",
        "fields", "endless-fields", "colons", "folds", "crlf", "lf", "nul",
        "length"])
def test_header_bombs(server, others, head, status):
    with server.connect() as client:
        push(client, head)
        got = statuses(ended(client))
        # One that is still sending may hear of it by a reset.
        assert got == [status] or (got == [] and len(head) > 200_000), got
    others.more(5)


def test_many_header_bombs_at_once(server, others):
    clients = [server.connect() for _ in range(size(40, 400))]
    for client in clients:
        push(client, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"b" * 20_000)
    for got in read_all(clients):
        assert statuses(got) in ([431], [])


# ---- chunks

def test_one_byte_chunks(server, others):
    count = size(20_000, 1_000_000)
    with server.connect(timeout=60) as client:
        client.send(CHUNKED)
        for _ in range(0, count, 1000):
            client.send(b"1\r\nx\r\n" * 1000)
        client.send(b"0\r\n\r\n")
        response = client.response("POST")
        assert response.status == 200
        assert response.json["size"] == count


@pytest.mark.parametrize("bomb,status", [
    (b"fffffffffffffffff\r\n", 400),
    (b"7fffffffffffffff\r\n", 413),
    (b"0" * 100_000, 400),
    (b"5;" + b"e" * 100_000, 400),
    (b"5" + b";a=b" * 1000 + b"\r\nhello\r\n", 400),
    (b"0\r\n" + b"T: " + b"t" * 100_000, 431),
    (b"0\r\n" + b"T: t\r\n" * 20_000, 431),
    (b"-1\r\n", 400),
    (b"\r\n" * 1000, 400),
    (b"5\r\nhello" + b"x" * 100, 400),
], ids=["too-many-digits", "exabytes", "zeros", "extension", "extensions",
        "trailer", "trailers", "negative", "empty-lines", "no-end"])
def test_chunk_bombs(server, others, bomb, status):
    refused(server, CHUNKED + bomb, status)
    others.more(5)


def test_small_extensions_on_every_chunk(server):
    with server.connect() as client:
        client.send(CHUNKED + b"1;a=\"b\"\r\nx\r\n" * 2000 + b"0\r\n\r\n")
        assert client.response("POST").json["size"] == 2000


# ---- no HTTP at all

def test_a_tls_hello(server, others):
    hello = bytes.fromhex("16030100c8010000c40303") + bytes(range(200))
    refused(server, hello, 400)


@pytest.mark.parametrize("preface", [
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"\x05\x01\x00",
    b"EHLO example\r\n",
], ids=["http2", "ssh", "socks", "smtp"])
def test_other_protocols(server, others, preface):
    with server.connect() as client:
        push(client, preface)
        client.finish()
        assert [n for n in statuses(ended(client)) if n < 400] == []


def test_random_bytes(server, others):
    chance = random.Random(7)
    clients = []
    for _ in range(size(100, 3000)):
        client = server.connect()
        push(client, chance.randbytes(chance.randrange(1, 3000)))
        push(client, b"\r\n\r\n")
        client.finish()
        clients.append(client)
        if len(clients) == 100:
            for got in read_all(clients):
                assert [n for n in statuses(got) if n < 400] == []
            clients = []


def test_mutated_requests(server, others):
    """Bytes of valid requests changed, left out, doubled: each connection
    ends, and nothing but complete responses comes back."""
    chance = random.Random(11)
    valid = [GET * 3, CHUNKED + b"5\r\nhello\r\n0\r\n\r\n" + GET,
             request_bytes("/echo", "PUT", body=b"abc" * 100) + GET]
    for _ in range(size(5, 100)):
        clients = []
        for _ in range(60):
            data = bytearray(chance.choice(valid))
            for _ in range(chance.randrange(1, 6)):
                at = chance.randrange(len(data))
                data[at:at + chance.randrange(3)] = chance.randbytes(
                    chance.randrange(3))
            client = server.connect()
            push(client, bytes(data))
            client.finish()
            clients.append(client)
        for got in read_all(clients):
            assert got == b"" or got.startswith(b"HTTP/1.")


# ---- half-closes

def test_half_close_after_the_request(server):
    with server.connect() as client:
        client.send(GET)
        client.finish()
        assert client.response().body == b"hello"
        client.ends()


def test_half_close_after_many(server):
    with server.connect() as client:
        client.send(GET * 100)
        client.finish()
        assert statuses(ended(client)) == [200] * 100


@pytest.mark.parametrize("rest, answers", [
    (request_bytes("/sha256", "POST", headers=[("Content-Length", "63")])
     + b"abc", [400]),
    (CHUNKED + b"5\r\nhel", [400]),
    (CHUNKED, [400]),
    (b"GET / HTT", []),
], ids=["length", "chunk", "no-chunk", "head"])
def test_half_close_within_the_next_request(server, rest, answers):
    """The end is heard while the first request runs, before the second, which
    lacks something, is looked at: it must not wait for what cannot come."""
    with server.connect(timeout=2) as client:
        client.send(request_bytes("/sleep?s=0.05") + rest)
        client.finish()
        assert client.response().status == 200
        assert statuses(client.to_end()) == answers


def test_half_close_with_an_expected_body(server):
    """All of it was there before the application asked."""
    with server.connect() as client:
        client.send(request_bytes("/sleep?s=0.05") + request_bytes(
            "/sha256", "POST", headers=[("Expect", "100-continue"),
                                        ("Content-Length", "5")]))
        client.send(b"hello")
        client.finish()
        assert client.response().status == 200
        assert client.response("POST").json["size"] == 5
