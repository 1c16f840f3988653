# SPDX-License-Identifier: MIT
"""Peers of an ASGI application that leave at the worst moment: bodies go to
it, and responses come from it, while it runs. Each on both ring backends, with
others served meanwhile."""

import hashlib
import random
import struct
import threading

import pytest

import client
from client import request_bytes
from hostile import BACKENDS, open_connections, push, settles, size
from load import Load
from server import Server

pytestmark = pytest.mark.gcorn
SMALL = "/pieces?1,5"


@pytest.fixture(scope="module", params=BACKENDS)
def server(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp("streams-" + request.param)
    (directory / "large").write_bytes(bytes(30_000_000))
    with Server("asgi_app:app", "-w", "2", "--io", request.param,
                "--body-timeout", "60", directory=directory) as running:
        running.go = directory / "go"
        running.large = directory / "large"
        yield running
        settles(running)


@pytest.fixture
def others(server):
    with Load(server, SMALL, 2) as load:
        yield load
        load.more(20)
    load.all_good()


def post(target, *fields):
    return request_bytes(target, "POST", headers=fields)


def chunked(target):
    return post(target, ("Transfer-Encoding", "chunked"))


def in_body(server, peer):
    peer.send(post("/echo", ("Content-Length", "1000000")) + bytes(100_000))


def in_chunk(server, peer):
    peer.send(chunked("/echo") + b"20000\r\n" + bytes(90_000))


def before_100(server, peer):
    peer.send(post("/echo", ("Content-Length", "100000"),
                   ("Expect", "100-continue")))


def after_100(server, peer):
    before_100(server, peer)
    peer.line()
    peer.send(bytes(70_000))


def window_full(server, peer):
    """The application reads nothing before the file is there. Its end is
    what is heard: nothing is received meanwhile."""
    peer.send(post("/hold?%s" % server.go, ("Content-Length", "1000000"))
              + bytes(200_000))


def both_ways(server, peer):
    peer.send(chunked("/both_ways") + b"5\r\nhello\r\n")
    peer.head()
    peer.send(b"ffff\r\n" + bytes(30_000))


def skipping(server, peer):
    peer.send(post(SMALL, ("Content-Length", "300000")) + bytes(150_000))
    peer.response()


def sending(server, peer):
    peer.send(request_bytes("/pieces?300,65536"))
    peer.sock.recv(1000)


def sending_and_receiving(server, peer):
    peer.send(post("/pieces?300,65536", ("Content-Length", "900000")) +
              bytes(600_000))
    peer.sock.recv(1000)


def sending_file(server, peer):
    peer.send(request_bytes("/path?%s" % server.large))
    peer.sock.recv(1000)


STATES = [in_body, in_chunk, before_100, after_100, window_full, both_ways,
          skipping, sending, sending_and_receiving, sending_file]


@pytest.mark.parametrize("leave", ["reset", "close", "finish"])
@pytest.mark.parametrize("until", STATES, ids=lambda f: f.__name__)
def test_gone(server, others, until, leave):
    for _ in range(size(4, 100)):
        peers = [server.connect(receive_buffer=8192) for _ in range(4)]
        for peer in peers:
            until(server, peer)
        for peer in peers:
            getattr(peer, leave)()
        if leave == "finish":
            others.more(5)
            for peer in peers:
                peer.reset()
    others.more(10)
    server.go.touch()
    client.wait_until(lambda: open_connections(server) <= 2, 20, "their end")
    server.go.unlink()


def test_one_byte_chunks(server, others):
    """In pieces of any size, across every border of the window."""
    seed = random.randrange(1 << 32)
    dice = random.Random(seed)
    body = bytes(dice.randrange(256) for _ in range(size(40_000, 400_000)))
    text = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    with server.connect() as peer:
        peer.send(chunked("/echo"))
        at = 0
        while at < len(text):
            n = dice.choice([1, 2, 3, 7, 1000, 8191, 16384, 70_000])
            peer.send(text[at:at + n])
            at += n
        assert peer.response().body == body, seed
        assert peer.request(SMALL).status == 200


def test_many_that_nobody_reads(server, others):
    """Each may send its window and no more; that is what it costs."""
    peers = [server.connect() for _ in range(size(30, 300))]
    for peer in peers:
        window_full(server, peer)
    for _ in range(5):
        others.more(20)
    for peer in peers:
        peer.reset()
    server.go.touch()
    others.more(10)
    server.go.unlink()


def upload(server, seed, answers):
    """A large body, and requests right behind it: all is sent before anything
    is read."""
    dice = random.Random(seed)
    body = dice.randbytes(dice.choice([100_000, 300_000, 1 << 20]))
    target = "/slow_sha256?%s" % server.go
    if seed % 2:
        request = post(target, ("Content-Length", len(body))) + body
    else:
        request = chunked(target) + client.chunked_bytes(
            [body[i:i + 9999] for i in range(0, len(body), 9999)])
    with server.connect() as peer:
        peer.send(request + request_bytes(SMALL) * (seed % 3))
        good = peer.response().text == hashlib.sha256(body).hexdigest()
        for _ in range(seed % 3):
            good = good and peer.response().status == 200
    answers.append(good)


def test_many_uploads_wait_for_their_readers(server, others):
    """What the kernel hands us before it can be stopped is more than there is
    memory for."""
    count = size(80, 300)
    answers = []
    threads = [threading.Thread(target=upload, args=(server, n, answers))
               for n in range(count)]
    for thread in threads:
        thread.start()
    others.more(500)
    assert not answers
    server.go.touch()
    for thread in threads:
        thread.join()
    server.go.unlink()
    assert answers == [True] * count


@pytest.mark.parametrize("target", [SMALL, "/echo"])
@pytest.mark.parametrize("body", [
    b"Content-Length: 999998\r\n\r\nsome of it",
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0"])
def test_half_close_within_the_next_body(server, others, target, body):
    """Its end was heard before its start."""
    with server.connect() as peer:
        peer.send(request_bytes(SMALL) * 3 + b"POST " + target.encode() +
                  b" HTTP/1.1\r\nHost: t\r\n" + body)
        peer.finish()
        for _ in range(3):
            assert peer.response().status == 200
        if target == "/echo":
            assert peer.response().status == 400
        peer.to_end()


def test_half_close_with_an_expected_body(server, others):
    """It is sent and breaks off before the application asks for it."""
    with server.connect() as peer:
        peer.send(request_bytes(SMALL) + post(
            "/echo", ("Content-Length", "200000"),
            ("Expect", "100-continue")))
        peer.response()
        peer.send(bytes(100_000))
        peer.finish()
        peer.to_end()
    others.more(10)


@pytest.mark.parametrize("io", BACKENDS)
def test_a_body_that_trickles(start, io):
    """A byte now and then is not enough to keep a request; but it is once the
    application has begun to answer: it may want just that."""
    server = start("asgi_app:app", "--body-timeout", "1", "--io", io)
    both = server.connect()
    both.send(chunked("/both_ways") + b"1\r\na\r\n")
    both.head()
    with server.connect(timeout=0.2) as peer:
        peer.send(post("/echo", ("Content-Length", "100000")))
        data = b""
        for _ in range(40):
            peer.send(b"b")
            both.send(b"1\r\na\r\n")
            try:
                data = peer.sock.recv(1000)
                break
            except TimeoutError:
                pass
        assert data.startswith(b"HTTP/1.1 408 ")
    both.send(b"0\r\n\r\n")
    while both.chunk():
        pass
    assert both.request(SMALL).status == 200
    both.close()
    with server.connect() as peer:
        peer.send(post("/echo", ("Content-Length", "300000")))
        for _ in range(300):
            peer.send(b"c" * 1000)
        assert len(peer.response().body) == 300000


HANDSHAKE = request_bytes("/echo", headers=[
    ("Upgrade", "websocket"), ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")])


def talk(server, n, start, answers):
    """Many messages are sent, then their echoes are read."""
    texts = [bytes([i % 256, n]) * 2000 for i in range(300)]
    sent = b"".join(struct.pack("!BBHI", 0x82, 0xfe, len(text), 0) + text
                    for text in texts)
    wanted = b"".join(struct.pack("!BBH", 0x82, 0x7e, len(text)) + text
                      for text in texts)
    with server.connect(receive_buffer=8192) as peer:
        peer.send(HANDSHAKE)
        assert peer.line().startswith(b"HTTP/1.1 101")
        while peer.line().strip():
            pass
        sending = threading.Thread(target=push, args=(peer, sent))
        sending.start()
        start.wait()
        try:
            answers.append(peer.exactly(len(wanted)) == wanted)
        except (OSError, AssertionError) as error:
            answers.append(error)
        sending.join()


@pytest.mark.parametrize("io", BACKENDS)
def test_many_sockets_that_are_not_read(start, io):
    server = start("asgi_sockets:app", "--io", io)
    count = size(40, 200)
    go = threading.Event()
    answers = []
    threads = [threading.Thread(target=talk, args=(server, n, go, answers))
               for n in range(count)]
    for thread in threads:
        thread.start()
    with Load(server, connections=2) as load:
        load.more(500)
    load.all_good()
    go.set()
    for thread in threads:
        thread.join()
    assert answers == [True] * count
