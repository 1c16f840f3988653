# SPDX-License-Identifier: MIT
"""permessage-deflate (RFC 7692), by a client that has zlib and no manners."""

import random
import struct
import zlib

import pytest

from test_websocket import BINARY, CLOSE, PING, PONG, TEXT, Socket

pytestmark = pytest.mark.gcorn

COMPRESSED = 0x40
END = b"\0\0\xff\xff"
OFFER = "permessage-deflate; client_max_window_bits"


class Deflated(Socket):
    """As Socket, with a context for each direction, as agreed."""

    def __init__(self, server, path="/", offer=OFFER):
        super().__init__(server, path,
                         "Sec-WebSocket-Extensions: %s\r\n" % offer)
        self.agreed = self.head.get("sec-websocket-extensions") or ""
        self.renew()

    def bits(self, name):
        _, _, rest = self.agreed.partition(name + "_max_window_bits=")
        return int(rest.split(";")[0]) if rest else 15

    def renew(self):
        bits = max(self.bits("client"), 9)
        self.deflater = zlib.compressobj(6, zlib.DEFLATED, -bits)
        self.inflater = zlib.decompressobj(-self.bits("server"))

    def deflate(self, data):
        out = self.deflater.compress(data) + self.deflater.flush(
            zlib.Z_SYNC_FLUSH)
        assert out.endswith(END)
        if "client_no_context_takeover" in self.agreed:
            self.deflater = zlib.compressobj(6, zlib.DEFLATED, -12)
        return out[:-4]

    def say(self, opcode, data, pieces=1):
        wire = self.deflate(data)
        size = len(wire) // pieces + 1
        for n in range(pieces):
            self.frame((0 if n else opcode | COMPRESSED),
                       wire[n * size:(n + 1) * size], n == pieces - 1)

    def hear(self):
        """A message: its opcode, its data, how many bytes it took."""
        opcode, compressed, wire = None, False, b""
        while True:
            first, size = self.connection.exactly(2)
            if size > 125:
                size = int.from_bytes(
                    self.connection.exactly(2 if size == 126 else 8), "big")
            if opcode is None:
                opcode, compressed = first & 0x0f, bool(first & COMPRESSED)
            else:
                assert first & 0x4f == 0
            wire += self.connection.exactly(size)
            if first & 0x80:
                break
        if not compressed:
            return opcode, wire, len(wire)
        data = self.inflater.decompress(wire + END)
        assert self.inflater.unconsumed_tail == b""
        if "server_no_context_takeover" in self.agreed:
            self.inflater = zlib.decompressobj(-self.bits("server"))
        return opcode, data, len(wire)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    from server import Server
    with Server("asgi_sockets:app", "-w", "1", "--ws-max-size", "3000000",
                directory=tmp_path_factory.mktemp("deflate")) as server:
        yield server


OURS = "; server_max_window_bits=12"


@pytest.mark.parametrize("offer,answer", [
    ("permessage-deflate", OURS),
    ("permessage-deflate; client_max_window_bits",
     OURS + "; client_max_window_bits=12"),
    ("permessage-deflate; client_max_window_bits=10",
     OURS + "; client_max_window_bits=10"),
    ("permessage-deflate; client_max_window_bits=8",
     OURS + "; client_max_window_bits=8"),
    ("permessage-deflate;server_max_window_bits=9",
     "; server_max_window_bits=9"),
    ("permessage-deflate; server_max_window_bits=\"15\"", OURS),
    ("permessage-deflate; server_no_context_takeover; "
     "client_no_context_takeover",
     "; server_no_context_takeover; client_no_context_takeover" + OURS),
    ("x-other; a=1, permessage-deflate", OURS),
    ("permessage-deflate; server_max_window_bits=8, permessage-deflate",
     OURS),
    ("permessage-deflate; unknown, permessage-deflate; "
     "server_no_context_takeover", "; server_no_context_takeover" + OURS)])
def test_agreed(site, offer, answer):
    with Deflated(site, offer=offer) as ws:
        assert ws.agreed == "permessage-deflate" + answer
        ws.say(TEXT, b"agreed " * 40)
        assert ws.hear()[:2] == (TEXT, b"agreed " * 40)


@pytest.mark.parametrize("offer", [
    "permessage-deflate; server_max_window_bits",
    "permessage-deflate; server_max_window_bits=8",
    "permessage-deflate; server_max_window_bits=16",
    "permessage-deflate; server_max_window_bits=010",
    "permessage-deflate; client_max_window_bits=7",
    "permessage-deflate; client_max_window_bits; client_max_window_bits",
    "permessage-deflate; server_no_context_takeover=1",
    "permessage-deflate; server_no_context_takeover; "
    "server_no_context_takeover",
    "permessage-deflate; x", "permessage-deflate; =", "permessage-deflate x",
    "permessage-bzip2", ",;=\"", ""])
def test_declined(site, offer):
    with Deflated(site, offer=offer) as ws:
        assert ws.agreed == ""
        ws.frame(TEXT, b"plain " * 100)
        assert ws.hear() == (TEXT, b"plain " * 100, 600)
        ws.frame(TEXT | COMPRESSED, b"")
        assert ws.closed() == 1002


def test_switched_off(start):
    server = start("asgi_sockets:app", "-w", "1", "--ws-per-message-deflate",
                   "false")
    with Deflated(server) as ws:
        assert ws.agreed == ""


OFFERS = [OFFER, "permessage-deflate", "permessage-deflate; "
          "server_max_window_bits=9; client_max_window_bits=9",
          "permessage-deflate; server_no_context_takeover; "
          "client_no_context_takeover; client_max_window_bits"]


@pytest.mark.parametrize("offer", OFFERS)
def test_messages_of_all_sizes(site, offer):
    numbers = random.Random(7692)
    with Deflated(site, offer=offer) as ws:
        for size in [0, 1, 100, 127, 128, 1000, 4095, 4096, 4097, 65535,
                     65536, 300000, 100, 2000000, 5]:
            text = b"".join(b'{"item": %d, "of": "many"}' %
                            numbers.randrange(1000)
                            for _ in range(size // 24 + 1))[:size]
            for data in (text, numbers.randbytes(size), b"\0" * size):
                ws.say(BINARY, data, pieces=numbers.choice([1, 1, 3, 17]))
                assert ws.hear()[:2] == (BINARY, data)


def test_what_it_saves(site):
    with Deflated(site) as ws:
        text = b'{"name": "gcorn", "list": [1, 2, 3]}' * 10
        sizes = []
        for _ in range(3):
            ws.say(TEXT, text)
            opcode, data, size = ws.hear()
            assert data == text
            sizes.append(size)
        assert sizes[0] < len(text) / 3
        assert sizes[2] < sizes[0]  # it remembers
        ws.say(TEXT, b"short")
        assert ws.hear() == (TEXT, b"short", 5)  # not worth it


def test_without_memory_of_messages_before(site):
    with Deflated(site, offer=OFFERS[3]) as ws:
        text = b'{"name": "gcorn", "list": [1, 2, 3]}' * 10
        sizes = set()
        for _ in range(3):
            ws.say(TEXT, text)
            sizes.add(ws.hear()[2])
        assert len(sizes) == 1


def test_text_is_checked_when_it_is_inflated(site):
    with Deflated(site) as ws:
        text = "h\u00e9llo \U0001f600".encode() * 3000
        ws.say(TEXT, text, pieces=50)
        assert ws.hear()[:2] == (TEXT, text)
        ws.say(TEXT, b"valid until here \xc3", pieces=2)
        assert ws.closed() == 1007


def test_pings_between_the_pieces(site):
    with Deflated(site) as ws:
        wire = ws.deflate(b"message " * 100)
        ws.frame(TEXT | COMPRESSED, wire[:5], last=False)
        ws.frame(PING, b"?")
        assert ws.read() == (PONG, b"?")
        ws.frame(0, wire[5:])
        assert ws.hear()[:2] == (TEXT, b"message " * 100)


@pytest.mark.parametrize("frames,code", [
    ([(BINARY | COMPRESSED, b"\xff\xff\xff\xff", True)], 1007),  # no deflate
    ([(BINARY | COMPRESSED, b"\x4b", True)], 1007),  # in the middle of a block
    ([(BINARY, b"a", False), (COMPRESSED, b"b", True)], 1002),
    ([(PING | COMPRESSED, b"", True)], 1002),
    ([(CLOSE | COMPRESSED, b"", True)], 1002),
    ([(BINARY | 0x20, b"", True)], 1002)])
def test_what_is_wrong(site, frames, code):
    with Deflated(site) as ws:
        for opcode, data, last in frames:
            ws.frame(opcode, data, last)
        assert ws.closed() == code


def test_a_block_that_says_it_is_the_last(site):
    """RFC 7692 7.2.3.4; and the history goes on behind it."""
    with Deflated(site) as ws:
        final = zlib.compressobj(6, zlib.DEFLATED, -12)
        data = final.compress(b"Hello") + final.flush()
        ws.frame(TEXT | COMPRESSED, data + b"\0")
        assert ws.hear()[:2] == (TEXT, b"Hello")
        ws.frame(TEXT | COMPRESSED, (data * 3) + b"\0")
        assert ws.hear()[:2] == (TEXT, b"Hello" * 3)


def test_a_bomb(site):
    """It is found out when 3 MB of its 60 are inflated."""
    with Deflated(site) as ws:
        bomb = zlib.compressobj(9, zlib.DEFLATED, -12)
        wire = b"".join(bomb.compress(b"\0" * 1000000) for _ in range(60))
        ws.frame(BINARY | COMPRESSED, wire + bomb.flush(zlib.Z_SYNC_FLUSH)[:-4])
        assert ws.closed() == 1009


def test_nothing_but_empty_blocks_is_a_bomb_too(site):
    with Deflated(site) as ws:
        ws.frame(BINARY | COMPRESSED, b"\0\0\0\xff\xff" * 700000)
        assert ws.closed() == 1009


def test_more_sockets_than_there_are_compressors(site):
    """Who gets one again has forgotten, which its client does not notice."""
    sockets = [Deflated(site) for _ in range(300)]
    for turn in range(3):
        for number, ws in enumerate(sockets):
            ws.say(TEXT, b"socket %d, turn %d; " % (number, turn) * 20)
        for number, ws in enumerate(sockets):
            assert ws.hear()[1] == b"socket %d, turn %d; " % (number,
                                                              turn) * 20
    for ws in sockets:
        ws.frame(CLOSE, struct.pack("!H", 1000))
        assert ws.closed() == 1000
