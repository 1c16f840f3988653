# SPDX-License-Identifier: MIT
"""A client on a raw socket: sends what it is told, forgives nothing.

A response that a strict reader of RFC 9112 would refuse raises BadResponse.
"""

import json
import re
import socket
import struct
import time

STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9]) ([\t \x21-\x7e]*)\Z")
FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*"
                   rb"([\t \x21-\x7e\x80-\xff]*?)[ \t]*\Z")
CHUNK = re.compile(rb"[0-9A-Fa-f]{1,16}\Z")
LENGTH = re.compile(r"[0-9]+\Z")


class BadResponse(AssertionError):
    """What came back is not a valid HTTP/1.x response."""


class Truncated(BadResponse):
    """The connection ended inside a response; .body is what came of it."""

    def __init__(self, text, body=b""):
        super().__init__(text)
        self.body = body


class Closed(AssertionError):
    """The connection ended where a response was expected to begin."""


class Response:
    def __init__(self, version, status, reason, headers):
        self.version = version
        self.status = status
        self.reason = reason
        self.headers = headers  # [(lower-case name, value)] as they came
        self.body = b""
        self.chunks = []  # as sent, when chunked
        self.interim = []  # 1xx responses before this one

    def all(self, name):
        return [value for key, value in self.headers if key == name.lower()]

    def get(self, name, default=None):
        found = self.all(name)
        if len(found) > 1:
            raise BadResponse("%s came %d times" % (name, len(found)))
        return found[0] if found else default

    @property
    def chunked(self):
        return self.get("transfer-encoding") is not None

    @property
    def closes(self):
        tokens = ",".join(self.all("connection")).lower().split(",")
        tokens = [token.strip() for token in tokens]
        return "close" in tokens or (self.version == 0
                                     and "keep-alive" not in tokens)

    @property
    def text(self):
        return self.body.decode("latin-1")

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "<%d %s %r %d bytes>" % (self.status, self.reason,
                                        self.headers, len(self.body))


def request_bytes(target="/", method="GET", headers=(), body=None,
                  version="1.1", host="test"):
    """A request head and body; Content-Length is added for a body."""
    lines = ["%s %s HTTP/%s" % (method, target, version)]
    if host is not None:
        lines.append("Host: " + host)
    lines += ["%s: %s" % pair for pair in headers]
    if body is not None and not any(
            name.lower() in ("content-length", "transfer-encoding")
            for name, _ in headers):
        lines.append("Content-Length: %d" % len(body))
    head = "\r\n".join(lines + ["", ""]).encode("latin-1")
    return head + (body or b"")


def chunked_bytes(pieces, trailers=()):
    """A chunked body; an empty piece would end it and is left out."""
    out = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece]
    out.append(b"0\r\n")
    out += [("%s: %s\r\n" % pair).encode() for pair in trailers]
    return b"".join(out) + b"\r\n"


class Client:
    """One connection. Closed at the end of a with statement."""

    def __init__(self, address, timeout=30, receive_buffer=None,
                 source=None):
        family = (socket.AF_UNIX if isinstance(address, str)
                  else socket.AF_INET6 if ":" in address[0]
                  else socket.AF_INET)
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                 receive_buffer)
        self.sock.settimeout(timeout)
        if source:
            self.sock.bind((source, 0))
        self.sock.connect(address)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        self.sock.close()

    def reset(self):
        """Closes with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.sock.close()

    def finish(self):
        """No more will be sent: half-close."""
        self.sock.shutdown(socket.SHUT_WR)

    def send(self, data):
        self.sock.sendall(data)

    def request(self, target="/", method="GET", **kind):
        self.send(request_bytes(target, method, **kind))
        return self.response(method)

    # ---- reading

    def fill(self):
        """Reads more; False at the end of the connection."""
        data = self.sock.recv(65536)
        self.buffer += data
        return bool(data)

    def line(self, start=False):
        while b"\r\n" not in self.buffer:
            if len(self.buffer) > 1 << 20:
                raise BadResponse("a line without end")
            if not self.fill():
                if start and not self.buffer:
                    raise Closed("closed without a response")
                raise Truncated("ended in a line: %r" % self.buffer[:200])
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def exactly(self, size):
        pieces = [self.buffer[:size]]
        self.buffer = self.buffer[size:]
        left = size - len(pieces[0])
        while left:
            data = self.sock.recv(min(left, 1 << 20))
            if not data:
                raise Truncated("%d bytes missing" % left, b"".join(pieces))
            pieces.append(data)
            left -= len(data)
        return b"".join(pieces)

    def to_end(self):
        while self.fill():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def head(self):
        first = self.line(start=True)
        status = STATUS.match(first)
        if not status:
            raise BadResponse("status line %r" % first[:200])
        headers = []
        while True:
            line = self.line()
            if not line:
                break
            field = FIELD.match(line)
            if not field:
                raise BadResponse("field %r" % line[:200])
            headers.append((field[1].decode().lower(),
                            field[2].decode("latin-1")))
        return Response(int(status[1]), int(status[2]), status[3].decode(),
                        headers)

    def chunk(self):
        """One chunk's data; b"" for the last one, whose end is read too."""
        size = self.line()
        if not CHUNK.match(size):
            raise BadResponse("chunk size %r" % size[:50])
        data = self.exactly(int(size, 16))
        if not data:
            while self.line():
                pass
        elif self.exactly(2) != b"\r\n":
            raise BadResponse("no CRLF after a chunk")
        return data

    def read_chunks(self, response):
        try:
            while True:
                data = self.chunk()
                if not data:
                    return
                response.chunks.append(data)
        except Truncated as error:
            error.body = b"".join(response.chunks)
            raise
        finally:
            response.body = b"".join(response.chunks)

    def check_framing(self, response):
        length = response.all("content-length")
        coding = response.all("transfer-encoding")
        if len(length) > 1 or len(coding) > 1 or (length and coding):
            raise BadResponse("framing: %r" % response)
        if length and not LENGTH.match(length[0]):
            raise BadResponse("Content-Length %r" % length[0])
        if coding and coding[0].lower() != "chunked":
            raise BadResponse("Transfer-Encoding %r" % coding[0])
        if coding and response.version == 0:
            raise BadResponse("chunked to an HTTP/1.0 client")
        if response.status < 200 or response.status == 204:
            if length or coding:
                raise BadResponse("framing in a %d" % response.status)
        return int(length[0]) if length else None

    def response(self, method="GET"):
        """The next final response; interim ones are kept in .interim."""
        interim = []
        while True:
            response = self.head()
            length = self.check_framing(response)
            if response.status >= 200:
                break
            interim.append(response)
        response.interim = interim
        if method == "HEAD" or response.status in (204, 304):
            return response
        if response.chunked:
            self.read_chunks(response)
        elif length is not None:
            response.body = self.exactly(length)
        else:
            if not response.closes:
                raise BadResponse("body until close on a kept connection")
            response.body = self.to_end()
        return response

    def ends(self):
        """Asserts that the server closes and sends nothing more."""
        try:
            rest = self.to_end()
        except ConnectionResetError:
            rest = b""
        assert rest == b"", rest[:300]

    def stays(self):
        """Asserts that the connection still serves."""
        response = self.request("/")
        assert response.status < 500
        return response


def get(address, target="/", method="GET", **kind):
    """One request on a connection of its own."""
    with Client(address) as client:
        return client.request(target, method, **kind)


def wait_until(condition, seconds=20, what="it"):
    """Calls condition until it returns something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError("%s did not happen in %d s" % (what, seconds))
        time.sleep(0.02)
