# SPDX-License-Identifier: MIT
"""One application for each rule of WSGI: what test_wsgi_* serve.

What an application has to tell besides its answer goes to trace(); the test
compares it and takes it away.
"""

import gc
import gzip
import io
import os
import sys
import tempfile
from wsgiref.validate import validator

TEXT = [("Content-Type", "text/plain")]
TRACE = []


def trace(text):
    TRACE.append(str(text))


def take_trace():
    text = " ".join(TRACE)
    TRACE.clear()
    return text


def census():
    """What is there: objects, and references to what all share.

    Not to None: Python 3.11 itself loses some when it formats a traceback.
    """
    gc.collect()
    shared = [True, "", b"", 1, io, BaseException, ValueError, TypeError,
              AssertionError, OSError, "status", "wsgi.input"]
    shared += [kind for kind in object.__subclasses__()
               if kind.__module__ == "gcorn"]
    return sys.getallocatedblocks() + sum(map(sys.getrefcount, shared))


class Body:
    """An iterable that tells when it is closed."""

    def __init__(self, *pieces):
        self.pieces = iter(pieces)

    def __iter__(self):
        return self

    def __next__(self):
        piece = next(self.pieces)
        if isinstance(piece, BaseException):
            raise piece
        return piece

    def close(self):
        trace("close")


def answers(body, status="200 OK", headers=TEXT):
    """An application that returns body(), or body itself."""
    def app(environ, start):
        start(status, headers)
        return body() if callable(body) else body
    return app


# ---- the result

one = answers([b"one"])
several = answers([b"a", b"", b"bc"])
in_tuple = answers((b"a", b"b"))
nothing = answers([])
empty_piece = answers([b""])
generator = answers(lambda: (piece for piece in (b"", b"ab", b"", b"cd")))
generator_of_nothing = answers(lambda: (piece for piece in (b"", b"")))
closed = answers(lambda: Body(b"ab", b"cd"))
fails_first = answers(lambda: Body(ValueError("first")))
fails_midway = answers(lambda: Body(b"ab", ValueError("midway")))
ends_midway = answers(lambda: Body(b"ab", SystemExit(1)))
interrupted = answers(lambda: Body(KeyboardInterrupt()))
of_str = answers(["text"])
of_bytearray = answers(lambda: Body(bytearray(b"x")))
bare_bytes = answers(b"bare")
bare_none = answers(None)
large = answers([b"x" * 700000])
large_closed = answers(lambda: Body(b"x" * 700000, b"y"))
large_stream = answers(lambda: Body(*[b"z" * 1000] * 100))


class OneItem(Body):
    def __len__(self):
        return 1


class BadLength(Body):
    def __len__(self):
        raise ValueError("no length")


class OldStyle:
    def __getitem__(self, index):
        return (b"old", b"style")[index]


class BadClose(Body):
    def close(self):
        trace("close")
        raise ValueError("in close")


class ExitingClose(Body):
    def close(self):
        raise SystemExit


class OddClose(Body):
    @property
    def close(self):
        raise ValueError("no close for you")


class SubList(list):
    def close(self):
        trace("close")


len_one = answers(lambda: OneItem(b"abc"))
len_one_lies = answers(lambda: OneItem(b"abc", b"def"))
len_fails = answers(lambda: BadLength(b"abc"))
getitem_only = answers(OldStyle)
close_fails = answers(lambda: BadClose(b"ab"))
close_exits = answers(lambda: ExitingClose(b"ab"))
close_odd = answers(lambda: OddClose(b"ab"))
sub_list = answers(lambda: SubList([b"a", b"b"]))
no_iterator = answers(42)
raises = answers(lambda: 1 / 0)


def raises_at_once(environ, start):
    raise ValueError("at once")


def exits(environ, start):
    sys.exit(3)


def never_started(environ, start):
    return Body(b"x")


def late_start(environ, start):
    yield b""
    start("201 Created", TEXT)
    yield b"late"


class Callable:
    def method(self, environ, start):
        start("200 OK", TEXT)
        return [b"method"]


bound_method = Callable().method


# ---- start_response

def caught(environ, start, calls):
    """Tries calls of start_response, answers which exceptions came."""
    for args in calls:
        try:
            start(*args)
        except Exception as error:
            trace(type(error).__name__)
    start("200 OK", TEXT, (None, None, None))
    return [b"end"]


def bad_status(environ, start):
    return caught(environ, start, [
        (b"200 OK", []), (None, []), ("", []), ("20", []), ("2000 No", []),
        ("abc Def", []), ("100 Continue", []), ("101 Switching", []),
        ("099 Low", []), ("200 O\rK", []), ("200 O\nK", []), ("200 \u20ac", []),
        ("200 O\0K", []), ("200-OK", []), (200, [])])


def bad_fields(environ, start):
    ok = "200 OK"
    return caught(environ, start, [
        (ok, None), (ok, 5), (ok, [("a",)]), (ok, [("a", "b", "c")]),
        (ok, [["a", "b"]]), (ok, ["ab"]), (ok, [(b"a", "b")]),
        (ok, [("a", b"b")]), (ok, [("a", 5)]), (ok, [("", "b")]),
        (ok, [("a b", "c")]), (ok, [("a:", "c")]), (ok, [("\xe9", "c")]),
        (ok, [("a", "b\r\nc: d")]), (ok, [("a", "b\nc")]), (ok, [("a", "\0")]),
        (ok, [("a", "\x7f")]), (ok, [("a", "\u20ac")]), (ok, [("\u20ac", "a")]),
        (ok, [("Content-Length", "x")]), (ok, [("Content-Length", "-1")]),
        (ok, [("Content-Length", "")]), (ok, [("Content-Length", "9" * 30)]),
        (ok, [("Content-Length", "1"), ("content-length", "2")]),
        (ok, [("Content-Length", "1.0")])])


def bad_calls(environ, start):
    for args, kwargs in [((), {}), (("200 OK",), {}),
                         (("200 OK", [], None, 4), {}),
                         (("200 OK", []), {"other": 1}),
                         (("200 OK", []), {"status": "200 OK"}),
                         (("200 OK", [], 5), {}), (("200 OK", [], (1,)), {})]:
        try:
            start(*args, **kwargs)
        except TypeError:
            trace("TypeError")
    start(status="200 OK", headers=TEXT, exc_info=None)
    return [b"named"]


def good_fields(environ, start):
    start("299 ", [("X-a!#$%&'*+-.^_`|~0", "\t v\xe9 ~"), ("b", ""),
                   ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"),
                   ("content-LENGTH", " 4\t")])
    return [b"good"]


def status_alone(environ, start):
    start("200", iter(TEXT))
    return [b""]


def hop_by_hop(environ, start):
    start("200 OK", [("Connection", "close"), ("Keep-Alive", "9"),
                     ("Transfer-Encoding", "chunked"), ("TE", "a"),
                     ("Upgrade", "x"), ("Proxy-Authenticate", "x"),
                     ("Proxy-Authorization", "x"), ("Trailers", "x"),
                     ("SERVER", "mine"), ("date", "never"), ("Kept", "yes")])
    return [b"x"]


def twice(environ, start):
    start("200 OK", TEXT)
    start("201 Created", TEXT)
    return [b"x"]


def replaced(environ, start):
    start("200 OK", TEXT + [("A", "b" * 20000), ("Content-Length", "99")])
    try:
        raise ValueError("replaced")
    except ValueError:
        start("503 Later", [("C", "d")], sys.exc_info())
    return [b"later"]


def too_late(environ, start):
    write = start("200 OK", TEXT)
    write(b"first")
    try:
        raise LookupError("too late")
    except LookupError:
        start("500 Oops", TEXT, sys.exc_info())
    return [b"never"]


def too_late_odd(environ, start):
    start("200 OK", TEXT)(b"first")
    for odd in [(None, None, None), (1, 2, 3), (ValueError, "text", None),
                (ValueError, ValueError("x"), 7)]:
        try:
            start("500 Oops", TEXT, odd)
        except (AssertionError, ValueError) as error:
            trace(type(error).__name__)
    return [b"last"]


def big_head(environ, start):
    start("200 OK", [("A", "b" * 20000), ("C", "d" * 20000)])
    return [b"big"]


def many_fields(environ, start):
    start("200 OK", [("X-%d" % i, "v") for i in range(3)] * 30)
    return []


# ---- lengths

def with_length(length, *pieces):
    return answers(list(pieces), headers=[("Content-Length", str(length))])


length_right = with_length(5, b"ab", b"cde")
length_short = with_length(3, b"ab", b"cde")
length_long = with_length(9, b"ab", b"cde")
length_zero = with_length(0)
length_stream = answers(lambda: Body(b"ab", b"cde", b"f"),
                        headers=[("Content-Length", "5")])
length_stream_long = answers(lambda: Body(b"ab"),
                             headers=[("Content-Length", "5")])
no_content = answers([b"body"], "204 No Content", [("Content-Length", "4")])
not_modified = answers([b"body"], "304 Not Modified",
                       [("Content-Length", "4")])
head_counts = answers(lambda: Body(b"ab", ValueError("not asked for")),
                      headers=[("Content-Length", "2")])


# ---- write, hints

def writes(environ, start):
    write = start("200 OK", TEXT)
    write(b"ab")
    write(b"")
    write(b"cd")
    return Body(b"ef")


def writes_with_length(environ, start):
    write = start("200 OK", [("Content-Length", "4")])
    write(b"ab")
    return [b"cd"]


def writes_wrongly(environ, start):
    write = start("200 OK", TEXT)
    for args in [(), ("str",), (b"a", b"b"), (bytearray(b"a"),)]:
        try:
            write(*args)
        except TypeError:
            trace("TypeError")
    return [b"end"]


def writes_to_nobody(environ, start):
    write = start("200 OK", TEXT)
    while True:
        write(b"x" * 5000)


def streams_to_nobody(environ, start):
    start("200 OK", TEXT)
    body = Body()
    body.pieces = iter(lambda: b"x" * 5000, None)
    return body


def hints(environ, start):
    early = environ["wsgi.early_hints"]
    early([("Link", "</a.css>; rel=preload"), ("Connection", "x")])
    early([("Link", "</b.js>")])
    start("200 OK", TEXT)
    early([("Link", "too late")])
    return [b"hinted"]


def hints_wrong(environ, start):
    for args in [(), (None,), ([("a b", "c")],), ([("a", "\n")],), ([5],)]:
        try:
            environ["wsgi.early_hints"](*args)
        except (TypeError, ValueError) as error:
            trace(type(error).__name__)
    start("200 OK", TEXT)
    return [b"x"]


def hints_large(environ, start):
    environ["wsgi.early_hints"]([("A", "b" * 70000)])
    environ["wsgi.early_hints"]([("A", "b" * 10000)])
    start("200 OK", [("C", "d" * 9000)])
    return [b"x"]


STALE = []


def stale(environ, start):
    """Keeps everything; uses what the request before left."""
    if STALE:
        old_start, old_write, old = STALE.pop()
        for call in (lambda: old_start("200 OK", []), lambda: old_write(b"x"),
                     lambda: old["wsgi.early_hints"]([])):
            try:
                call()
            except RuntimeError as error:
                trace(error)
        trace(old["wsgi.input"].read() + old["wsgi.input"].readline())
    write = start("200 OK", TEXT)
    STALE.append((start, write, environ))
    return [b"kept"]


# ---- files

def temp_file(data, buffering=0):
    file = tempfile.TemporaryFile(buffering=buffering)
    file.write(data)
    file.seek(0)
    return file


class Closing:
    """A file whose read() is another's, as Django's File."""

    def __init__(self, file):
        self.file = file

    @property
    def read(self):
        return self.file.read

    def close(self):
        self.file.close()
        trace("close")


class Loud(Closing):
    def read(self, size):
        return self.file.read(size).upper()

    def fileno(self):
        return self.file.fileno()


def wrapped(make, headers=TEXT, block=None):
    def app(environ, start):
        start("200 OK", headers)
        args = (make(),) if block is None else (make(), block)
        return environ["wsgi.file_wrapper"](*args)
    return app


def at_offset():
    file = temp_file(b"0123456789", buffering=4096)
    file.read(4)
    return Closing(file)


def zipped():
    return gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(b"unzipped")))


def zipped_file():
    raw = temp_file(gzip.compress(b"unzipped"))
    return gzip.GzipFile(fileobj=raw)


def replaced_read():
    file = temp_file(b"raw", buffering=4096)
    pieces = [b"cooked"]
    file.read = lambda size: pieces.pop() if pieces else b""
    return file


def closed_file():
    file = temp_file(b"x")
    file.close()
    return file


def a_pipe():
    read, write = os.pipe()
    os.write(write, b"piped")
    os.close(write)
    return io.open(read, "rb")


class NoClose:
    def __init__(self):
        self.pieces = [b"ab", b"c"]

    def read(self, size):
        return self.pieces.pop(0) if self.pieces else b""


class BadRead:
    def read(self, size):
        raise ValueError("unreadable")


class NoneRead:
    def read(self, size):
        return None


file_whole = wrapped(lambda: Closing(temp_file(b"whole file")))
file_large = wrapped(lambda: temp_file(b"F" * 3000000))
file_offset = wrapped(at_offset)
file_empty = wrapped(lambda: Closing(temp_file(b"")))
file_length = wrapped(lambda: temp_file(b"0123456789"),
                      [("Content-Length", "4")])
file_too_short = wrapped(lambda: temp_file(b"0123"),
                         [("Content-Length", "9")])
file_memory = wrapped(lambda: io.BytesIO(b"memory"), block=4)
file_zipped = wrapped(zipped)
file_zipped_real = wrapped(zipped_file)
file_loud = wrapped(lambda: Loud(temp_file(b"loud")))
file_replaced = wrapped(replaced_read)
file_closed = wrapped(closed_file)
file_pipe = wrapped(a_pipe)
file_proc = wrapped(lambda: io.open("/proc/self/comm", "rb"))
file_no_close = wrapped(NoClose)
file_bad = wrapped(BadRead)
file_none = wrapped(NoneRead)


def file_after_write(environ, start):
    start("200 OK", TEXT)(b"first ")
    return environ["wsgi.file_wrapper"](temp_file(b"then a file"))


def file_wrapper_calls(environ, start):
    wrapper = environ["wsgi.file_wrapper"]
    for args in [(), (io.BytesIO(), "x"), (1, 2, 3)]:
        try:
            wrapper(*args)
        except TypeError:
            trace("TypeError")
    it = wrapper(io.BytesIO(b"abcdefg"), 3)
    trace(next(it))
    trace(it[0])
    trace(it.blksize)
    trace(it.filelike.tell())
    it.close()
    trace(it.filelike.closed)
    it = wrapper(io.BytesIO(b"abcdefg"), blksize=3)
    start("200 OK", TEXT)
    return it


def in_cycle(environ, start):
    """A wrapper that only the collector can free."""
    class Looped(io.BytesIO):
        pass
    file = Looped(b"looped")
    file.wrapper = environ["wsgi.file_wrapper"](file)
    start("200 OK", TEXT)
    return file.wrapper


# ---- the request

def show(environ, start):
    """The keys that the query names, with their types."""
    lines = []
    for key in environ["QUERY_STRING"].split(","):
        value = environ.get(key, "(absent)")
        lines.append("%s=%s" % (key, value if type(value) is str
                                else repr(value)))
    start("200 OK", [])
    return ["\n".join(lines).encode("latin-1")]


def show_fields(environ, start):
    start("200 OK", [])
    return [" ".join("%s=%s" % item for item in sorted(environ.items())
                     if item[0].startswith(("HTTP_", "CONTENT_"))
                     ).encode("latin-1")]


def count_fields(environ, start):
    start("200 OK", [])
    keys = [key for key in environ if key.startswith("HTTP_")]
    return [b"%d %d" % (len(keys), sum(len(environ[key]) for key in keys))]


def show_types(environ, start):
    start("200 OK", [])
    assert type(environ) is dict
    for key, value in environ.items():
        assert type(key) is str
        assert key.islower() or type(value) is str, key
    environ["wsgi.errors"].write("to the log\u20ac\n")
    environ["wsgi.errors"].writelines(["two\n", "lines\n"])
    environ["wsgi.errors"].flush()
    return [", ".join(sorted(environ)).encode()]


def body_by(read):
    def app(environ, start):
        got = read(environ["wsgi.input"])
        start("200 OK", [])
        return [got if isinstance(got, bytes) else repr(got).encode()]
    return app


body_read = body_by(lambda body: body.read())
body_pieces = body_by(lambda body: [body.read(2), body.read(0), body.read(3),
                                    body.read(None), body.read(), body.read(1)])
body_minus = body_by(lambda body: body.read(-1))
body_huge = body_by(lambda body: body.read(10 ** 30))
body_line = body_by(lambda body: [body.readline(), body.readline(2),
                                  body.readline(0), body.readline(-1),
                                  body.readline(None), body.readline()])
body_lines = body_by(lambda body: body.readlines())
body_hint = body_by(lambda body: [body.readlines(3), body.readlines(0),
                                  body.readlines(), body.read()])
body_iter = body_by(lambda body: [iter(body) is body, next(body), list(body)])
body_close = body_by(lambda body: [body.readable(), body.close(), body.read()])
body_whole = body_by(lambda body: body.read() == drawn(250000))
body_of_file = body_by(lambda body: body.read() == drawn(2000000))
body_in_bits = body_by(lambda body: b"".join(
    iter(lambda: body.read(7777), b"")) == drawn(250000))
body_line_lengths = body_by(lambda body: [len(line) for line in body])
body_mixed = body_by(lambda body: [body.readline(5), len(body.read(70000)),
                                   len(body.readline()), len(body.read())])


def drawn(n):
    """What the test draws: the alphabet, in lines of 100,000 bytes."""
    text = bytearray((b"abcdefghijklmnopqrstuvwxyz" * (n // 26 + 1))[:n])
    text[99999::100000] = b"\n" * (n // 100000)
    return text


def body_wrong(environ, start):
    body = environ["wsgi.input"]
    for call in [lambda: body.read("x"), lambda: body.read(1, 2),
                 lambda: body.readline(1.5), lambda: body.readlines("x"),
                 lambda: type(body)()]:
        try:
            call()
        except TypeError:
            trace("TypeError")
    start("200 OK", [])
    return [body.read()]


def body_lost(environ, start):
    for name in "read", "readline", "readlines", "__next__":
        try:
            getattr(environ["wsgi.input"], name)()
        except OSError as error:
            trace(type(error).__name__)
    return body_lost_unseen(environ, start)


def body_lost_unseen(environ, start):
    environ["wsgi.input"].read(1)
    start("200 OK", [])
    return [b"never"]


def body_unread(environ, start):
    start("200 OK", [])
    return [b"unread"]


checked = validator(one)
checked_stream = validator(closed)


@validator
def checked_input(environ, start):
    body = environ["wsgi.input"]
    got = [body.read(2), body.readline(), body.readlines(), list(body)]
    start("200 OK", TEXT)
    return [repr(got).encode()]
