# SPDX-License-Identifier: MIT
"""Shows what an application sees and does what applications do.

Every route is a function of (environ, start_response, query). A route that
has to tell about itself after its response is over writes a line into the
file named by PROBE_TRACE.
"""

import hashlib
import io
import json
import os
import sys
import tempfile
import threading
import time
import urllib.parse

TEXT = [("Content-Type", "text/plain")]


def trace(text):
    """One line, in one write, so that lines of several processes are whole."""
    name = os.environ.get("PROBE_TRACE")
    if not name:
        return
    fd = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(fd, ("%s\n" % text).encode())
    finally:
        os.close(fd)


def wait_for_file(name, seconds=30):
    """The client's way to say "go on"."""
    end = time.monotonic() + seconds
    while not os.path.exists(name) and time.monotonic() < end:
        time.sleep(0.01)
    return os.path.exists(name)


class Traced:
    """An iterable that tells when it is closed."""

    def __init__(self, name, pieces):
        self.name = name
        self.pieces = iter(pieces)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.pieces)

    def close(self):
        trace("close " + self.name)


def as_json(start, value):
    body = json.dumps(value).encode()
    start("200 OK", [("Content-Type", "application/json"),
                     ("Content-Length", str(len(body)))])
    return [body]


# ---- what the application sees

def show_environ(environ, start, query):
    shown = {}
    for key, value in environ.items():
        if isinstance(value, (str, bool, int)):
            shown[key] = value
        elif isinstance(value, tuple):
            shown[key] = list(value)
        else:
            shown[key] = "<%s>" % type(value).__name__
    shown["*types"] = {key: type(value).__name__
                       for key, value in environ.items()}
    shown["*exact"] = type(environ) is dict
    return as_json(start, shown)


def show_process(environ, start, query):
    return as_json(start, {
        "pid": os.getpid(), "ppid": os.getppid(),
        "thread": threading.current_thread().name,
        "main": threading.current_thread() is threading.main_thread(),
        "threads": threading.active_count(),
        "executable": sys.executable, "prefix": sys.prefix,
        "path": sys.path, "cwd": os.getcwd(), "argv": sys.argv,
        "version": list(sys.version_info[:3]), "umask": read_umask(),
        "uid": os.getuid(), "gid": os.getgid(),
        "affinity": sorted(os.sched_getaffinity(0)),
        "fds": sorted(os.listdir("/proc/self/fd"), key=int),
    })


def read_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def show_env(environ, start, query):
    return as_json(start, dict(os.environ))


# ---- bodies

def sha256(environ, start, query):
    digest, size = hashlib.sha256(), 0
    while True:
        piece = environ["wsgi.input"].read(1 << 20)
        if not piece:
            break
        digest.update(piece)
        size += len(piece)
    return as_json(start, {"size": size, "sha256": digest.hexdigest(),
                           "pid": os.getpid()})


def count(environ, start, query):
    size = 0
    while True:
        piece = environ["wsgi.input"].read(1 << 20)
        if not piece:
            return as_json(start, size)
        size += len(piece)


def echo(environ, start, query):
    body = environ["wsgi.input"].read()
    start("200 OK", [("Content-Type", "application/octet-stream"),
                     ("Content-Length", str(len(body)))])
    return [body]


def read_ways(environ, start, query):
    """Reads the body as told, call by call, and shows each answer."""
    stream = environ["wsgi.input"]
    answers = []
    for call in query["do"].split(","):
        name, _, argument = call.partition(":")
        if name == "iter":
            answer = [line.decode("latin-1") for line in stream]
        elif name == "next":
            answer = next(iter(stream), b"<end>").decode("latin-1")
        else:
            got = getattr(stream, name)(*([int(argument)] if argument else []))
            answer = ([line.decode("latin-1") for line in got]
                      if isinstance(got, list) else got.decode("latin-1"))
        answers.append(answer)
    return as_json(start, answers)


def ignore_body(environ, start, query):
    start("200 OK", TEXT + [("Content-Length", "7")])
    return [b"ignored"]


# ---- responses

def pieces(environ, start, query):
    """?as=list|tuple|generator|iter and ?n= pieces of ?size= bytes."""
    n, size = int(query.get("n", 3)), int(query.get("size", 5))
    parts = [bytes([97 + i % 26]) * size for i in range(n)]
    headers = list(TEXT)
    if query.get("cl"):
        headers.append(("Content-Length", str(n * size)))
    start(query.get("status", "200 OK"), headers)
    kind = query.get("as", "list")
    if kind == "generator":
        return (part for part in parts)
    return {"list": list, "tuple": tuple, "iter": iter}[kind](parts)


def lazy(environ, start, query):
    """Yields "one", then waits for the file before it yields "two"."""
    start("200 OK", list(TEXT))
    yield b"one"
    yield b"two" if wait_for_file(query["file"]) else b"late"


def late_start(environ, start, query):
    """start_response is called by the first next(), as PEP 3333 allows."""
    def body():
        start("202 Accepted", list(TEXT))
        yield b"started"
        yield b" late"
    return body()


def empty_first(environ, start, query):
    """Empty strings send nothing and do not send the head."""
    def body():
        start("200 OK", list(TEXT))
        yield b""
        yield b""
        try:
            raise ValueError("changed my mind")
        except ValueError:
            start("418 I'm a teapot", list(TEXT), sys.exc_info())
        yield b"teapot"
    return body()


def use_write(environ, start, query):
    write = start("200 OK", list(TEXT))
    write(b"written ")
    write(b"before ")
    return [b"returned"]


def write_live(environ, start, query):
    write = start("200 OK", list(TEXT))
    write(b"one")
    wait_for_file(query["file"])
    write(b"two")
    return []


def exc_before(environ, start, query):
    start("200 OK", list(TEXT) + [("X-First", "1")])
    try:
        raise ValueError("before the head is sent")
    except ValueError:
        start("503 Service Unavailable", list(TEXT), sys.exc_info())
    return [b"replaced"]


def exc_after(environ, start, query):
    write = start("200 OK", list(TEXT))
    write(b"sent")
    try:
        raise ValueError("after the head is sent")
    except ValueError:
        try:
            start("500 Oops", list(TEXT), sys.exc_info())
        except ValueError as error:
            trace("reraised %s" % error)
            raise
    trace("not reraised")
    return [b"wrong"]


def twice(environ, start, query):
    start("200 OK", list(TEXT))
    start("201 Created", list(TEXT))
    return [b"wrong"]


def never(environ, start, query):
    return [b"no start_response"]


def raises(environ, start, query):
    raise RuntimeError("the application raises on purpose")


def raises_late(environ, start, query):
    def body():
        start("200 OK", list(TEXT) + (
            [("Content-Length", "1000")] if query.get("cl") else []))
        yield b"x" * 10
        raise RuntimeError("raised in the middle on purpose")
    return Traced(query.get("t", "raises_late"), body())


def system_exit(environ, start, query):
    sys.exit(7)


def keyboard_interrupt(environ, start, query):
    raise KeyboardInterrupt


def closing(environ, start, query):
    start(query.get("status", "200 OK"), list(TEXT))
    size, n = int(query.get("size", 5)), int(query.get("n", 2))
    return Traced(query["t"], [b"c" * size] * n)


def endless(environ, start, query):
    """Yields until the client has gone; close() is traced."""
    start("200 OK", list(TEXT))

    def body():
        while True:
            yield b"e" * 65536
    return Traced(query["t"], body())


def big(environ, start, query):
    size = int(query["size"])
    start("200 OK", [("Content-Type", "application/octet-stream"),
                     ("Content-Length", str(size))])
    return big_pieces(size)


def big_pieces(size):
    block = bytes(range(256)) * 256
    while size > 0:
        yield block[:size]
        size -= len(block)


def bad_piece(environ, start, query):
    start("200 OK", list(TEXT))
    return {"str": ["text"], "none": [None], "int": [1], "whole": "text",
            "nothing": None, "number": 5}[query["what"]]


def length_lie(environ, start, query):
    """Announces ?cl= bytes and gives ?n=."""
    start("200 OK", list(TEXT) + [("Content-Length", query["cl"])])
    body = b"l" * int(query["n"])
    return iter([body]) if query.get("iter") else [body]


def status_and_headers(environ, start, query):
    """The client dictates: JSON [status, [[name, value]...], body]."""
    status, headers, body = json.loads(query["r"])
    start(status, [tuple(pair) for pair in headers])
    return [body.encode("latin-1")] if body is not None else []


def many_fields(environ, start, query):
    value = "v" * int(query["size"])
    start("200 OK", [("X-%d" % i, value) for i in range(int(query["n"]))])
    return [b"body"]


def header_kinds(environ, start, query):
    class Str(str):
        pass
    wrong = {
        "status-bytes": (b"200 OK", []),
        "status-int": (200, []),
        "status-none": (None, []),
        "headers-none": ("200 OK", None),
        "headers-tuple": ("200 OK", (("A", "b"),)),
        "headers-dict": ("200 OK", {"A": "b"}),
        "pair-list": ("200 OK", [["A", "b"]]),
        "pair-three": ("200 OK", [("A", "b", "c")]),
        "name-bytes": ("200 OK", [(b"A", "b")]),
        "value-bytes": ("200 OK", [("A", b"b")]),
        "value-int": ("200 OK", [("A", 1)]),
        "value-none": ("200 OK", [("A", None)]),
        "value-newline": ("200 OK", [("A", "b\r\nX-Evil: 1")]),
        "value-lf": ("200 OK", [("A", "b\nX-Evil: 1")]),
        "value-nul": ("200 OK", [("A", "b\0c")]),
        "value-wide": ("200 OK", [("A", "\u20ac")]),
        "name-space": ("200 OK", [("A b", "c")]),
        "name-colon": ("200 OK", [("A:b", "c")]),
        "name-empty": ("200 OK", [("", "c")]),
        "name-newline": ("200 OK", [("A\r\nX-Evil", "c")]),
        "status-newline": ("200 OK\r\nX-Evil: 1", []),
        "status-empty": ("", []),
        "status-word": ("OK", []),
        "status-short": ("20 OK", []),
    }
    status, headers = wrong[query["what"]]
    start(status, headers)
    return [b"accepted"]


# ---- files

def temporary(size, offset=0):
    handle = tempfile.TemporaryFile()
    for piece in big_pieces(size):
        handle.write(piece)
    handle.flush()
    handle.seek(offset)
    return handle


class TracedFile:
    """A file of this process's own making: read and close, no fileno."""

    def __init__(self, name, size):
        self.name = name
        self.data = io.BytesIO(b"".join(big_pieces(size)))

    def read(self, size=-1):
        return self.data.read(size)

    def close(self):
        trace("close " + self.name)


def send_file(environ, start, query):
    """?size=, ?offset=, ?cl= (or none), ?block=,
    ?kind=file|sparse|memory|traced"""
    size, offset = int(query["size"]), int(query.get("offset", 0))
    headers = [("Content-Type", "application/octet-stream")]
    if "cl" in query:
        headers.append(("Content-Length", query["cl"]))
    start(query.get("status", "200 OK"), headers)
    kind = query.get("kind", "file")
    if kind == "file":
        source = temporary(size, offset)
    elif kind == "sparse":
        source = tempfile.TemporaryFile()
        source.truncate(size)
    elif kind == "memory":
        source = io.BytesIO(b"".join(big_pieces(size)))
        source.seek(offset)
    else:
        source = TracedFile(query["t"], size)
    arguments = [int(query["block"])] if "block" in query else []
    return environ["wsgi.file_wrapper"](source, *arguments)


def send_pipe(environ, start, query):
    """A descriptor that cannot be seeked nor sized."""
    reader, writer = os.pipe()
    os.write(writer, b"through a pipe")
    os.close(writer)
    start("200 OK", list(TEXT))
    return environ["wsgi.file_wrapper"](os.fdopen(reader, "rb"))


# ---- time, and what goes wrong

def sleep(environ, start, query):
    trace("sleep %s %d" % (query.get("t", ""), os.getpid()))
    time.sleep(float(query["s"]))
    return show_process(environ, start, query)


def hold(environ, start, query):
    """Runs until the client creates the file."""
    trace("hold %s %d" % (query.get("t", ""), os.getpid()))
    start("200 OK", list(TEXT))
    return [b"released" if wait_for_file(query["file"]) else b"expired"]


def to_errors(environ, start, query):
    stream = environ["wsgi.errors"]
    stream.write("to wsgi.errors: %s\n" % query["t"])
    stream.writelines(["line 1 %s\n" % query["t"], "line 2\n"])
    stream.flush()
    print("to stdout: %s" % query["t"], flush=True)
    print("to stderr: %s" % query["t"], file=sys.stderr, flush=True)
    return as_json(start, True)


def hello(environ, start, query):
    start("200 OK", TEXT + [("Content-Length", "5")])
    return [b"hello"]


ROUTES = {
    "/": hello, "/environ": show_environ, "/process": show_process,
    "/env": show_env, "/sha256": sha256, "/count": count,
    "/echo": echo, "/read": read_ways,
    "/ignore": ignore_body, "/pieces": pieces, "/lazy": lazy,
    "/late-start": late_start, "/empty-first": empty_first,
    "/write": use_write, "/write-live": write_live,
    "/exc-before": exc_before, "/exc-after": exc_after, "/twice": twice,
    "/never": never, "/raises": raises, "/raises-late": raises_late,
    "/system-exit": system_exit, "/keyboard-interrupt": keyboard_interrupt,
    "/closing": closing, "/endless": endless, "/big": big,
    "/bad-piece": bad_piece, "/length-lie": length_lie,
    "/respond": status_and_headers, "/header-kinds": header_kinds,
    "/file": send_file, "/pipe": send_pipe, "/sleep": sleep, "/hold": hold,
    "/errors": to_errors, "/many-fields": many_fields,
}


def app(environ, start_response):
    query = dict(urllib.parse.parse_qsl(environ.get("QUERY_STRING", ""),
                                        keep_blank_values=True))
    path = environ.get("PATH_INFO", "")
    route = ROUTES.get(path)
    if route is None and path.startswith("/environ/"):
        route = show_environ
    if route is None:
        start_response("404 Not Found", TEXT + [("Content-Length", "0")])
        return []
    return route(environ, start_response, query)
