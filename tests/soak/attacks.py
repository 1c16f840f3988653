# SPDX-License-Identifier: MIT
"""What hostile clients do: each attack is one connection, or a few, and ends
by itself within seconds. They look at nothing that comes back."""

import random
import socket
import struct
import time

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def post(target, *fields):
    return ("POST %s HTTP/1.1\r\nHost: a\r\n%s\r\n" % (
        target, "".join(field + "\r\n" for field in fields))).encode()


CHUNKED = post("/sha256", "Transfer-Encoding: chunked")


class Peer:
    def __init__(self, address, receive_buffer=None):
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                 receive_buffer)
        self.sock.settimeout(5)
        self.sock.connect(address)

    def send(self, data):
        self.sock.sendall(data)

    def drain(self, most=1 << 30):
        while most > 0:
            data = self.sock.recv(65536)
            if not data:
                return
            most -= len(data)

    def leave(self, chance):
        """Close, or reset, or half-close and close."""
        how = chance.randrange(3)
        if how == 0:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                 struct.pack("ii", 1, 0))
        elif how == 1:
            self.sock.shutdown(socket.SHUT_WR)
            self.drain(1 << 20)


# Each: (peer, chance) -> nothing.

def polite(peer, chance):
    peer.send(GET * chance.randrange(1, 5))
    peer.sock.recv(1000)


def slow_head(peer, chance):
    for byte in GET[:chance.randrange(len(GET))]:
        peer.send(bytes([byte]))
        time.sleep(0.02)


def slow_body(peer, chance):
    peer.send(post("/sha256", "Content-Length: 1000"))
    for _ in range(chance.randrange(50)):
        peer.send(b"b")
        time.sleep(0.02)


def large_body(peer, chance):
    size = chance.choice([100, 5_000, 70_000, 900_000, 3_000_000])
    peer.send(post("/sha256", "Content-Length: %d" % size))
    peer.send(bytes(chance.choice([size, size // 2])))
    peer.sock.recv(1000)


def chunked_body(peer, chance):
    peer.send(CHUNKED)
    for _ in range(chance.randrange(1000)):
        peer.send(b"1\r\nx\r\n" * 10)
    if chance.random() < 0.5:
        peer.send(b"0\r\n\r\n")
        peer.sock.recv(1000)


def unread_body(peer, chance):
    """Where bodies stream the application answers before it has come."""
    size = chance.choice([70_000, 300_000, 900_000, 5_000_000])
    if chance.random() < 0.5:
        peer.send(post("/", "Content-Length: %d" % size))
    else:
        peer.send(post("/", "Transfer-Encoding: chunked") + b"%x\r\n" % size)
    peer.send(bytes(chance.choice([size, size // 2])))
    if chance.random() < 0.5:
        peer.send(b"\r\n0\r\n\r\n" + GET)
        peer.sock.recv(1000)


def expecting(peer, chance):
    peer.send(post("/sha256", "Content-Length: 5", "Expect: 100-continue"))
    if chance.random() < 0.5:
        peer.sock.recv(1000)
        peer.send(b"hello")


def bomb(peer, chance):
    peer.send(chance.choice([
        b"GET /" + b"a" * 100_000, b"\r\n" * 50_000,
        GET[:-2] + b"X: y\r\n" * 20_000, CHUNKED + b"0" * 100_000,
        CHUNKED + b"ffffffffffffffff\r\n", CHUNKED + b"1;" + b"e" * 10_000,
        bytes.fromhex("16030100c8010000c40303") + bytes(200)]))
    peer.drain(1 << 20)


def noise(peer, chance):
    peer.send(chance.randbytes(chance.randrange(5000)))


def mutated(peer, chance):
    data = bytearray(chance.choice([
        GET * 2, CHUNKED + b"5\r\nhello\r\n0\r\n\r\n" + GET,
        post("/echo", "Content-Length: 3") + b"abc" + GET]))
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(data))
        data[at:at + chance.randrange(3)] = chance.randbytes(
            chance.randrange(3))
    peer.send(bytes(data))
    peer.sock.shutdown(socket.SHUT_WR)
    peer.drain(1 << 20)


def pipeline(peer, chance):
    request = chance.choice([GET, GET.replace(b"/", b"/static/small", 1)])
    peer.send(request * chance.randrange(1, 3000))
    peer.drain(chance.randrange(200_000))


def slow_reader(peer, chance):
    peer.send(chance.choice([
        b"GET /static/large HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /big?size=4000000 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /file?size=4000000&cl=4000000 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /pieces?as=generator&n=3000 HTTP/1.1\r\nHost: a\r\n\r\n"]))
    for _ in range(chance.randrange(50)):
        peer.sock.recv(1)
        time.sleep(0.02)
    if chance.random() < 0.3:
        peer.drain(5_000_000)


def failing_application(peer, chance):
    peer.send(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % chance.choice([
        b"/raises", b"/raises-late", b"/length-lie?cl=5&size=9", b"/never"]))
    peer.sock.recv(1000)


def silent(peer, chance):
    time.sleep(chance.random())


ATTACKS = [polite, slow_head, slow_body, large_body, chunked_body,
           unread_body, expecting, bomb, noise, mutated, pipeline, slow_reader,
           failing_application, silent]
SLOW = {slow_reader}


def attack(address, chance):
    """One attack; returns its name."""
    what = chance.choice(ATTACKS)
    try:
        peer = Peer(address, 4096 if what in SLOW else None)
    except OSError:
        return what.__name__
    try:
        what(peer, chance)
        peer.leave(chance)
    except OSError:
        pass
    finally:
        peer.sock.close()
    return what.__name__


def attacks_until(address, seed, is_over, counts):
    """Goes on until is_over(); counts, a Counter, says what was done."""
    chance = random.Random(seed)
    while not is_over():
        counts[attack(address, chance)] += 1
