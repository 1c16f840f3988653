# SPDX-License-Identifier: MIT
"""--static-map: files that workers serve by themselves. A 404 of the
application has another type than the worker's."""

import email.utils
import gzip
import os
import re
import socket
import time

import pytest

import client
from client import Client, request_bytes
from server import Server

pytestmark = pytest.mark.gcorn
BIG = bytes(range(256)) * 2048  # 512 KiB
IO = ("uring", "epoll")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("static")
    site = root / "site"
    (site / "sub" / ".well-known").mkdir(parents=True)
    (site / ".git").mkdir()
    (site / ".git" / "config").write_text("secret")
    (site / ".env").write_text("secret")
    (site / "hello.txt").write_text("Hello, world\n")
    (site / "empty.css").write_bytes(b"")
    (site / "big.bin").write_bytes(BIG)
    (site / "edge.bin").write_bytes(BIG[:7168])
    (site / "over.bin").write_bytes(BIG[:7169])
    (site / "sub" / "a b.HTML").write_text("<p>")
    (site / "sub" / "noext").write_text("x")
    (site / "sub" / ".well-known" / "x").write_text("known")
    (site / "app.js").write_text("let a = 1;" * 100)
    (site / "app.js.gz").write_bytes(gzip.compress(b"let a = 1;" * 100))
    (site / "app.js.br").write_bytes(b"not really brotli")
    (site / "one.svg").write_text("<svg/>" * 100)
    (site / "one.svg.gz").write_bytes(gzip.compress(b"<svg/>" * 100))
    (root / "outside.txt").write_text("secret")
    (site / "escape.txt").symlink_to("../outside.txt")
    (site / "absolute.txt").symlink_to(root / "outside.txt")
    (site / "inside.txt").symlink_to("hello.txt")
    (site / "sub" / "up.txt").symlink_to("../hello.txt")
    (site / "loop").symlink_to("loop")
    os.mkfifo(site / "fifo")
    return root


@pytest.fixture(scope="module", params=IO)
def files(request, tree, tmp_path_factory):
    directory = tmp_path_factory.mktemp("server-" + request.param)
    with Server("probe:app", "-w", "1", "--io", request.param,
                "--static-map", "/static=%s" % (tree / "site"),
                "--static-map", "/static/deep/=%s" % (tree / "site" / "sub"),
                "--access-logfile", directory / "access.log",
                directory=directory) as server:
        yield server


def etag_of(files, path):
    return files.get(path).get("etag")


def test_a_small_file(files):
    response = files.get("/static/hello.txt")
    assert response.status == 200
    assert response.body == b"Hello, world\n"
    assert response.get("content-type") == "text/plain; charset=utf-8"
    assert response.get("content-length") == "13"
    assert response.get("accept-ranges") == "bytes"
    assert response.get("server") == "gcorn"
    assert response.get("vary") is None
    assert email.utils.parsedate_to_datetime(response.get("last-modified"))
    assert re.fullmatch('"[0-9a-f]+-d"', response.get("etag"))


@pytest.mark.parametrize("path, size", [
    ("empty.css", 0), ("edge.bin", 7168), ("over.bin", 7169),
    ("big.bin", len(BIG))])
def test_sizes(files, path, size):
    with files.connect() as connection:
        for _ in range(3):
            response = connection.request("/static/" + path)
            assert response.status == 200
            assert response.body == BIG[:size]


@pytest.mark.parametrize("path, type", [
    ("sub/a%20b.HTML", "text/html; charset=utf-8"),
    ("sub/noext", "application/octet-stream"),
    ("app.js.gz", "application/gzip"),
    ("one.svg", "image/svg+xml"),
    ("inside.txt", "text/plain; charset=utf-8"),
    ("sub/up.txt", "text/plain; charset=utf-8"),
    ("sub/.well-known/x", "application/octet-stream"),
    ("%68ello.txt?query=1", "text/plain; charset=utf-8"),
    ("/sub//noext", "application/octet-stream"),
])
def test_names(files, path, type):
    response = files.get("/static/" + path)
    assert response.status == 200
    assert response.get("content-type") == type


@pytest.mark.parametrize("path", [
    "/static/none", "/static/", "/static/sub", "/static/sub/",
    "/static/hello.txt/", "/static/hello.txt/x", "/static/escape.txt",
    "/static/absolute.txt", "/static/loop", "/static/fifo",
    "/static/.git/config", "/static/.env", "/static/sub/../.env",
    "/static/../outside.txt", "/static/%2e%2e/outside.txt",
    "/static/sub/..%2f..%2f..%2foutside.txt", "/static/..", "/static/.",
    "/static/./hello.txt", "/static/hello.txt%00.png", "/static/%00",
    "/static/" + "a" * 300, "/static/" + "a/" * 1000, "/static/%",
    "/static/%2", "/static/%zz", "/static/deep/hello.txt",
])
def test_what_is_not_there(files, path):
    with files.connect() as connection:
        for method in ("GET", "HEAD"):
            response = connection.request(path, method)
            assert response.status == 404
            assert response.get("content-type") == "text/html"
            assert b"secret" not in response.body
        assert connection.request("/static/hello.txt").status == 200


def test_the_longest_prefix_counts(files):
    assert files.get("/static/deep/noext").body == b"x"
    assert files.get("/%73tatic/hello.txt").body == b"Hello, world\n"
    assert files.get("http://test/static/hello.txt").status == 200


@pytest.mark.parametrize("path", ["/static", "/staticx", "/", "/x/static/a"])
def test_other_paths_are_the_applications(files, path):
    assert files.get(path).get("content-type") != "text/html"


@pytest.mark.parametrize("method", [
    "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods(files, method):
    with files.connect() as connection:
        response = connection.request("/static/hello.txt", method)
        assert response.status == 405
        assert response.get("allow") == "GET, HEAD"
        assert connection.request("/static/hello.txt").status == 200


def test_a_body_ends_the_connection(files):
    with files.connect() as connection:
        response = connection.request("/static/hello.txt", body=b"a" * 100000)
        assert response.status == 200
        assert response.closes
        connection.ends()


def test_expect_is_not_asked_for(files):
    with files.connect() as connection:
        connection.send(request_bytes(
            "/static/none", "POST", headers=[("Content-Length", "5"),
                                             ("Expect", "100-continue")]))
        response = connection.response()
        assert response.status == 405 and not response.interim
        connection.ends()


@pytest.mark.parametrize("path", ["hello.txt", "big.bin", "empty.css"])
def test_head(files, path):
    with files.connect() as connection:
        get = connection.request("/static/" + path)
        head = connection.request("/static/" + path, "HEAD", headers=[
            ("Range", "bytes=0-1")])
        assert head.status == 200
        for name in ("content-length", "content-type", "etag"):
            assert head.get(name) == get.get(name)
        assert connection.request("/static/hello.txt").status == 200


def test_pipelined_in_order(files):
    paths = ["hello.txt", "big.bin", "none", "/", "over.bin", "hello.txt"]
    with files.connect() as connection:
        connection.send(b"".join(
            request_bytes("/static/" + path if path != "/" else "/")
            for path in paths))
        got = [connection.response() for _ in paths]
        assert [r.status for r in got] == [
            200, 200, 404, 200, 200, 200]
        assert got[1].body == BIG and got[4].body == BIG[:7169]


def test_1_0(files):
    with files.connect() as connection:
        response = connection.request("/static/big.bin", version="1.0")
        assert response.body == BIG and response.closes
        connection.ends()
    with files.connect() as connection:
        for _ in range(2):
            response = connection.request(
                "/static/hello.txt", version="1.0",
                headers=[("Connection", "keep-alive")])
            assert response.get("connection") == "keep-alive"


def test_half_close(files):
    with files.connect() as connection:
        connection.send(request_bytes("/static/big.bin"))
        connection.finish()
        assert connection.response().body == BIG
        connection.ends()


# ---- has it changed?

def test_not_modified(files):
    first = files.get("/static/big.bin")
    same = [("If-None-Match", first.get("etag"))]
    for headers in (same, [("If-None-Match", 'W/"a,b" , W/' +
                            first.get("etag"))],
                    [("If-None-Match", '"x"'), *same],
                    [("If-None-Match", "*")],
                    [("If-Modified-Since", first.get("last-modified"))],
                    [*same, ("If-Modified-Since",
                             "Thu, 01 Jan 1970 00:00:00 GMT")]):
        for method in ("GET", "HEAD"):
            response = files.get("/static/big.bin", method, headers=headers)
            assert response.status == 304, headers
            assert response.get("etag") == first.get("etag")
            assert response.get("content-length") is None
            assert response.get("content-type") is None


@pytest.mark.parametrize("headers", [
    [("If-None-Match", '"x"')],
    [("If-None-Match", '"x"'),
     ("If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT")],
    [("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT")],
    [("If-Modified-Since", "yesterday")],
    [("If-Unmodified-Since", "Fri, 01 Jan 2100 00:00:00 GMT")],
    [("If-Match", "*")],
])
def test_modified(files, headers):
    assert files.get("/static/hello.txt", headers=headers).status == 200


@pytest.mark.parametrize("headers", [
    [("If-Match", '"x", "y"')],
    [("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT")],
])
def test_precondition_failed(files, headers):
    with files.connect() as connection:
        response = connection.request("/static/hello.txt", headers=headers)
        assert response.status == 412
        assert connection.request("/static/hello.txt").status == 200


def test_if_match_is_strong(files):
    etag = etag_of(files, "/static/hello.txt")
    assert files.get("/static/hello.txt",
                     headers=[("If-Match", etag)]).status == 200
    assert files.get("/static/hello.txt",
                     headers=[("If-Match", "W/" + etag)]).status == 412


# ---- ranges

@pytest.mark.parametrize("path, size", [("hello.txt", 13),
                                        ("big.bin", len(BIG))])
@pytest.mark.parametrize("spec, first, last", [
    ("0-0", 0, 0), ("1-3", 1, 3), ("-1", -1, -1), ("5-", 5, -1),
    ("0-99999999999999999999999", 0, -1), ("-99999999", 0, -1),
    (" 2 - 4 ", 2, 4), ("1-2,,99999999-", 1, 2)])
def test_one_range(files, path, size, spec, first, last):
    whole = files.get("/static/" + path).body
    response = files.get("/static/" + path,
                         headers=[("Range", "bytes=" + spec)])
    first, last = first % size, last % size
    assert response.status == 206
    assert response.body == whole[first:last + 1]
    assert response.get("content-range") == "bytes %d-%d/%d" % (
        first, last, size)


@pytest.mark.parametrize("spec", [
    "bytes=", "bytes=a-b", "bytes=5-2", "bytes", "lines=1-2", "bytes=1",
    "bytes=--1", "bytes=1-2-3", "bytes=0-5,x", "bytes=0-,0-",
    "bytes=" + ",".join("%d-%d" % (n, n) for n in range(17))])
def test_ranges_that_are_none(files, spec):
    response = files.get("/static/big.bin", headers=[("Range", spec)])
    assert response.status == 200
    assert len(response.body) == len(BIG)


@pytest.mark.parametrize("spec", ["bytes=13-", "bytes=-0", "bytes=99-100,-0"])
def test_ranges_that_cannot_be(files, spec):
    response = files.get("/static/hello.txt", headers=[("Range", spec)])
    assert response.status == 416
    assert response.get("content-range") == "bytes */13"
    assert files.get("/static/empty.css",
                     headers=[("Range", "bytes=0-")]).status == 416


def parts_of(response):
    kind, _, boundary = response.get("content-type").partition("; boundary=")
    assert kind == "multipart/byteranges"
    pieces = response.body.split(b"\r\n--" + boundary.encode())
    assert pieces[0] == b"" and pieces[-1] == b"--\r\n"
    for piece in pieces[1:-1]:
        head, _, body = piece.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1)
                      for line in head.decode().strip().split("\r\n"))
        yield fields, body


@pytest.mark.parametrize("path", ["hello.txt", "big.bin"])
def test_many_ranges(files, path):
    whole = files.get("/static/" + path)
    size = len(whole.body)
    wanted = [(0, 0), (3, 5), (size - 4, size - 1)]
    if size > 300000:
        wanted.append((1000, 300000))
    with files.connect() as connection:
        response = connection.request("/static/" + path, headers=[
            ("Range", "bytes=0-0,3-5, -4,99999999-" +
             "".join(",%d-%d" % pair for pair in wanted[3:]))])
        assert response.status == 206
        parts = list(parts_of(response))
        assert [fields["Content-Range"] for fields, _ in parts] == [
            "bytes %d-%d/%d" % (*pair, size) for pair in wanted]
        assert [body for _, body in parts] == [
            whole.body[first:last + 1] for first, last in wanted]
        assert all(fields["Content-Type"] == whole.get("content-type")
                   for fields, _ in parts)
        assert connection.request("/static/hello.txt").status == 200


def test_if_range(files):
    first = files.get("/static/big.bin")
    for value, status in [
            (first.get("etag"), 206), ("W/" + first.get("etag"), 200),
            ('"x"', 200), (first.get("last-modified"), 206),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 200)]:
        response = files.get("/static/big.bin", headers=[
            ("Range", "bytes=0-9"), ("If-Range", value)])
        assert response.status == status, value


# ---- compressed siblings

@pytest.mark.parametrize("accept, coding", [
    ("gzip", "gzip"), ("br", "br"), ("gzip, br", "br"),
    ("gzip;q=1, br;q=0.5", "gzip"), ("br;q=0, gzip", "gzip"), ("*", "br"),
    ("*;q=0.1, br;q=0", "gzip"), ("identity", None), ("", None),
    ("gzip;q=0", None), ("deflate, zstd", None), ("GZIP", "gzip"),
    ("gzip;q=0.000, br;q=0.001", "br"), (None, None)])
def test_siblings(files, accept, coding):
    response = files.get("/static/app.js", headers=[
        ("Accept-Encoding", accept)] if accept is not None else [])
    assert response.get("content-encoding") == coding
    assert response.get("vary") == "Accept-Encoding"
    assert response.get("content-type") == "text/javascript; charset=utf-8"
    plain = b"let a = 1;" * 100
    assert {"gzip": gzip.decompress if coding == "gzip" else None,
            "br": lambda body: plain if body == b"not really brotli" else b"",
            None: bytes}[coding](response.body) == plain


def test_siblings_are_other_representations(files):
    ask = [("Accept-Encoding", "gzip, br")]
    response = files.get("/static/one.svg", headers=ask)
    assert response.get("content-encoding") == "gzip"
    assert response.get("etag") != etag_of(files, "/static/one.svg")
    again = files.get("/static/one.svg", headers=[
        *ask, ("If-None-Match", response.get("etag"))])
    assert again.status == 304
    assert again.get("vary") == "Accept-Encoding"
    part = files.get("/static/one.svg", headers=[*ask,
                                                 ("Range", "bytes=0-9")])
    assert part.status == 206 and part.body == response.body[:10]
    assert part.get("content-encoding") == "gzip"


# ---- what changes while serving

def test_replaced_files_are_seen(files, tree):
    path = tree / "site" / "changing.txt"
    for text in ("one", "two, longer", "three" * 5000):
        new = tree / "new"
        new.write_text(text)
        new.rename(path)
        client.wait_until(
            lambda: files.get("/static/changing.txt").text == text, 5,
            "the new file")
    path.unlink()
    client.wait_until(
        lambda: files.get("/static/changing.txt").status == 404, 5,
        "the end of the file")


def test_a_file_cut_while_it_is_sent(files, tree):
    path = tree / "site" / "cut.bin"
    with open(path, "wb") as file:
        file.truncate(64 << 20)
    with files.connect(receive_buffer=4096) as connection:
        connection.send(request_bytes("/static/cut.bin"))
        assert connection.line() == b"HTTP/1.1 200 OK"
        os.truncate(path, 0)
        got = 0
        while True:
            data = connection.sock.recv(1 << 20)
            if not data:
                break
            got += len(data)
        assert got < 64 << 20
    files.wait_log("cannot be sent: it is shorter")
    path.unlink()


def test_a_file_that_is_not_in_memory(files, tree):
    """Read from the disk, through the ring."""
    path = tree / "site" / "cold.bin"
    with open(path, "wb") as file:
        file.write(BIG * 4)
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    response = files.get("/static/cold.bin")
    assert response.body == BIG * 4
    path.unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another")
def test_files_are_read_as_the_user(start, tree):
    path = tree / "site" / "private.txt"
    path.write_text("secret")
    path.chmod(0o600)
    for directory in (tree, *list(tree.parents)[:3]):
        directory.chmod(0o755)
    server = start("probe:app", "--user", "nobody", "--static-map",
                   "/s=%s" % (tree / "site"))
    assert server.get("/s/hello.txt").status == 200
    response = server.get("/s/private.txt")
    assert response.status == 403 and b"secret" not in response.body
    path.unlink()


def test_the_access_log(files):
    files.get("/static/hello.txt?log-me")
    files.get("/static/%22%0aforged", headers=[("User-Agent", "a\\\"b")])
    lines = client.wait_until(
        lambda: [line for line in files.access_lines()
                 if "log-me" in line or "forged" in line][1:] and
        files.access_lines(), 5, "two lines")
    line = next(line for line in lines if "log-me" in line)
    assert '"GET /static/hello.txt?log-me HTTP/1.1" 200 13 ' in line
    assert next(line for line in lines if "forged" in line).count(
        '"') - 6 <= 2


# ---- settings

def log_line(files, text):
    return client.wait_until(
        lambda: [line for line in files.access_lines() if text in line], 10,
        "%r in the access log" % text)


LINE = re.compile(r'"GET (?P<target>\S+) HTTP/1.1" (?P<status>\d+) '
                  r'(?P<bytes>\d+) "(?P<referer>.*)" "(?P<agent>.*)"')


@pytest.mark.parametrize("method, spec, size", [
    ("GET", None, len(BIG)), ("HEAD", None, 0),
    ("GET", "bytes=100000-", len(BIG) - 100000)])
def test_the_log_of_a_whole_transfer(files, method, spec, size):
    target = "/static/big.bin?whole-%s-%d" % (method, size)
    headers = [("Range", spec)] if spec else []
    files.get(target, method, headers=headers)
    line, = log_line(files, target + " ")
    assert '" %d %d ' % (206 if spec else 200, size) in line


def test_the_log_of_many_ranges(files):
    target = "/static/big.bin?many"
    response = files.get(target, headers=[("Range", "bytes=0-9,200000-")])
    line, = log_line(files, target)
    assert '" 206 %d ' % len(response.body) in line


def test_a_download_that_is_aborted(files, tree):
    """It is logged when it ends, with what was sent of it."""
    path = tree / "site" / "long.bin"
    with open(path, "wb") as file:
        file.truncate(256 << 20)
    with files.connect(receive_buffer=4096) as connection:
        connection.send(request_bytes("/static/long.bin?aborted", headers=[
            ("X-Much", "m" * 6000), ("Referer", "http://x/"),
            ("User-Agent", "left/1")]))
        connection.head()
        connection.exactly(1_000_000)
        files.get("/static/hello.txt?meanwhile")
        log_line(files, "?meanwhile")
        assert not [line for line in files.access_lines() if "?abort" in line]
        connection.reset()
    line, = log_line(files, "?aborted")
    match = LINE.search(line)
    assert match["target"] == "/static/long.bin?aborted"
    assert match["status"] == "200"
    assert 1_000_000 <= int(match["bytes"]) < 256 << 20
    assert (match["referer"], match["agent"]) == ("http://x/", "left/1")
    path.unlink()


def test_the_time_of_a_transfer(start, tree, tmp_path):
    log = tmp_path / "times.log"
    server = start("probe:app", "--static-map", "/s=%s" % (tree / "site"),
                   "--access-logfile", log, "--access-logformat",
                   "%(U)s %(D)s")
    path = tree / "site" / "slowly.bin"
    with open(path, "wb") as file:
        file.truncate(64 << 20)
    with server.connect(receive_buffer=4096) as connection:
        began = time.monotonic()
        connection.send(request_bytes("/s/slowly.bin"))
        connection.head()
        waited = time.monotonic()
        server.get("/sleep?s=0.3")
        least = time.monotonic() - waited
        connection.reset()
    line = client.wait_until(
        lambda: [line for line in log.read_text().splitlines()
                 if line.startswith("/s/slowly.bin")], 10, "its line")[0]
    took = int(line.split()[1]) / 1e6
    assert least <= took <= time.monotonic() - began
    path.unlink()


def test_below_everything_the_application_is_asked(start, tree):
    server = start("probe:app", "--static-map", "/=%s" % (tree / "site"))
    assert server.get("/hello.txt").body == b"Hello, world\n"
    assert server.get("/").get("content-type") != "text/html"
    assert server.get("/env?x").status == 200
    assert server.get("/hello.txt", "POST").get("etag") is None
    assert server.get("/.env").body != b"secret"


def test_a_directory_that_is_swapped(start, tree, tmp_path):
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "version").write_text(name)
    link = tmp_path / "current"
    link.symlink_to("1")
    server = start("probe:app", "--static-map", "/s=%s" % link)
    assert server.get("/s/version").text == "1"
    (tmp_path / "new").symlink_to("2")
    (tmp_path / "new").rename(link)
    client.wait_until(lambda: server.get("/s/version").text == "2", 5,
                      "the other directory")


@pytest.mark.parametrize("value, words", [
    ("/static", "PREFIX=DIR"), ("static=/tmp", "PREFIX=DIR"),
    ("/static=", "PREFIX=DIR"), ("/s=/nowhere", "No such file"),
    ("/s=/etc/passwd", "not a directory")])
def test_bad_settings(tmp_path, value, words):
    server = Server("probe:app", "--static-map", value, directory=tmp_path,
                    ready=None)
    with pytest.raises(AssertionError):
        server.start()
        assert server.wait() == 0
    assert words in server.log()


def test_slow_readers_hold_nobody_up(files):
    slow = []
    for _ in range(60):
        connection = Client(files.address, receive_buffer=4096)
        connection.send(request_bytes("/static/big.bin") * 3)
        slow.append(connection)
    for _ in range(20):
        assert files.get("/static/big.bin").body == BIG
        assert files.get("/").status == 200
    for connection in slow[:10]:
        for _ in range(3):
            assert connection.response().body == BIG
    for connection in slow:
        connection.reset()
    assert files.get("/static/hello.txt").status == 200


def test_over_a_unix_socket(start, tree, tmp_path):
    server = start("probe:app", "--static-map", "/s=%s" % (tree / "site"),
                   bind="unix:%s" % (tmp_path / "sock"))
    assert server.get("/s/big.bin").body == BIG
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(server.address)
        sock.sendall(request_bytes("/s/hello.txt"))
        assert sock.recv(65536).endswith(b"Hello, world\n")
