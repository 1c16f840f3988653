# SPDX-License-Identifier: MIT
"""How a response goes out: framing, bodyless statuses, files, forbidden
fields."""

import json
import urllib.parse

import pytest

from client import Closed, Truncated


def respond(server, status, headers, body="", method="GET", **kind):
    """The application answers what the test says."""
    query = urllib.parse.urlencode({"r": json.dumps([status, headers, body])})
    return server.get("/respond?" + query, method, **kind)


def block(size):
    return (bytes(range(256)) * (size // 256 + 1))[:size]


# ---- framing

@pytest.mark.gcorn
@pytest.mark.parametrize("n", [0, 1, 2, 30])
@pytest.mark.parametrize("kind", ["list", "tuple"])
def test_lists_are_joined_with_a_length(probe, kind, n):
    response = probe.get("/pieces?as=%s&n=%d&size=10" % (kind, n))
    assert response.get("content-length") == str(10 * n)
    assert not response.chunked


def test_generators_are_chunked(probe):
    response = probe.get("/pieces?as=generator&n=4&size=10")
    assert response.chunked
    assert len(response.body) == 40


def test_generators_to_1_0_end_with_the_connection(probe):
    with probe.connect() as client:
        client.send(b"GET /pieces?as=generator HTTP/1.0\r\nHost: a\r\n"
                    b"Connection: keep-alive\r\n\r\n")
        response = client.response()
        assert response.body == b"aaaaabbbbbccccc"
        assert response.closes and not response.chunked


def test_a_length_given_by_the_application_is_kept(probe):
    response = probe.get("/pieces?as=generator&n=4&size=10&cl=1")
    assert response.get("content-length") == "40"
    assert not response.chunked


@pytest.mark.parametrize("size", [1, 16383, 16384, 16385, 65536, 262144,
                                  262145, 5_000_000])
@pytest.mark.parametrize("kind", ["list", "generator"])
def test_sizes(probe, kind, size):
    response = probe.get("/pieces?as=%s&n=3&size=%d" % (kind, size))
    assert response.body == b"a" * size + b"b" * size + b"c" * size


def test_large_response(probe):
    response = probe.get("/big?size=104857600")
    assert len(response.body) == 104857600
    assert response.body[-1000:] == block(104857600 % 256 + 25600)[-1000:]


def test_slow_reader_of_a_large_response(probe):
    with probe.connect(receive_buffer=4096) as client:
        client.send(b"GET /big?size=3000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.head().status == 200
        assert client.exactly(3000000) == block(3000000)
        client.stays()


def test_many_small_pieces(probe):
    response = probe.get("/pieces?as=generator&n=5000&size=3")
    assert len(response.body) == 15000
    assert len(response.chunks) <= 5000


@pytest.mark.gcorn
@pytest.mark.parametrize("query", ["", "&iter=1"])
def test_less_than_announced_ends_the_connection(probe, query):
    """The client must not wait for bytes that never come."""
    with pytest.raises((Truncated, Closed)):
        response = probe.get("/length-lie?cl=100&n=10" + query)
        assert response.status == 500  # seen in time: as good
        raise Truncated("")
    assert probe.get("/").status == 200


@pytest.mark.parametrize("query", ["", "&iter=1"])
def test_more_than_announced_is_cut(probe, query):
    with probe.connect() as client:
        client.send(b"GET /length-lie?cl=10&n=100%s HTTP/1.1\r\nHost: a"
                    b"\r\n\r\n" % query.encode())
        response = client.response()
        if response.status == 500:
            return
        assert response.body == b"l" * 10
        try:
            assert client.request("/").body == b"hello"
        except (Closed, OSError):
            pass  # to close is as good, to send the rest is not


# ---- HEAD, 1xx, 204, 304

@pytest.mark.parametrize("kind", ["list", "generator"])
def test_head_has_no_body(probe, kind):
    with probe.connect() as client:
        response = client.request("/pieces?as=" + kind, "HEAD")
        assert response.status == 200
        client.stays()


def test_head_keeps_the_length(probe):
    assert probe.get("/", "HEAD").get("content-length") == "5"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("body", ["", "a body that must not be sent"])
def test_bodyless_statuses(probe, status, body):
    query = urllib.parse.urlencode({"r": json.dumps([status, [], body])})
    with probe.connect() as client:
        response = client.request("/respond?" + query)
        assert response.status == int(status[:3])
        assert not response.chunked
        client.stays()


def test_304_keeps_its_fields(probe):
    response = respond(probe, "304 Not Modified", [["ETag", '"x"']], None)
    assert response.get("etag") == '"x"'


def test_205_is_empty(probe):
    assert respond(probe, "205 Reset Content", [], "").body == b""


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "302 Found",
                                    "404 Not Found", "418 I'm a teapot",
                                    "500 Oops", "599 Whatever", "200 "])
def test_statuses(probe, status):
    response = respond(probe, status, [], "body")
    assert response.status == int(status[:3])
    assert response.reason == status[4:]
    assert response.body == b"body"


# ---- fields

def test_fields_are_passed_on(probe):
    response = respond(probe, "200 OK", [
        ["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"], ["X-Case-Name", "V"],
        ["X-Latin", "caf\u00e9"], ["Content-Language", "de"]])
    assert response.all("set-cookie") == ["a=1", "b=2"]
    assert response.get("x-case-name") == "V"
    assert response.get("x-latin") == "caf\u00e9"
    assert response.get("content-language") == "de"


@pytest.mark.parametrize("name, value", [
    ("Connection", "close"), ("Connection", "keep-alive, X-Foo"),
    ("Keep-Alive", "timeout=5"), ("Transfer-Encoding", "chunked"),
    ("TE", "gzip"), ("Upgrade", "h2c"),
    ("Proxy-Authenticate", "x"), ("Proxy-Authorization", "x")])
def test_hop_by_hop_fields_are_not_the_applications(probe, name, value):
    """Either dropped or refused, as PEP 3333 has it; never passed on."""
    query = urllib.parse.urlencode(
        {"r": json.dumps(["200 OK", [[name, value]], "body"])})
    with probe.connect() as client:
        response = client.request("/respond?" + query)
        if response.status == 500:
            return
        if name == "Transfer-Encoding":  # the server's own may be there
            assert len(response.all(name)) <= 1
        else:
            assert value not in response.all(name)
        assert response.body == b"body"
        client.stays()


def test_server_and_date_come_once(probe):
    response = respond(probe, "200 OK", [["Server", "mine"],
                                         ["Date", "yesterday"]])
    assert len(response.all("server")) == 1
    assert len(response.all("date")) == 1


def test_many_fields(probe):
    response = probe.get("/many-fields?n=200&size=100")
    assert sum(name.startswith("x-") for name, _ in response.headers) == 200
    assert response.body == b"body"


def test_a_large_field(probe):
    response = probe.get("/many-fields?n=1&size=30000")
    assert response.get("x-0") == "v" * 30000


# ---- files

@pytest.mark.parametrize("kind", ["file", "memory"])
@pytest.mark.parametrize("size", [0, 1, 8192, 65537, 1_000_000])
@pytest.mark.parametrize("length", [True, False])
def test_file(probe, kind, size, length):
    query = "/file?kind=%s&size=%d" % (kind, size)
    if length:
        query += "&cl=%d" % size
    with probe.connect() as client:
        assert client.request(query).body == block(size)
        client.stays()


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_file_from_where_it_stands(probe, kind):
    response = probe.get("/file?kind=%s&size=100000&offset=99000" % kind)
    assert response.body == block(100000)[99000:]


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_part_of_a_file(probe, kind):
    with probe.connect() as client:
        response = client.request(
            "/file?kind=%s&size=100000&offset=256&cl=1000" % kind)
        assert response.body == block(1000)
        client.stays()


@pytest.mark.gcorn
def test_file_shorter_than_announced(probe):
    with pytest.raises((Truncated, Closed)):
        probe.get("/file?size=1000&cl=2000")
    assert probe.get("/").status == 200


def test_file_block_size(probe):
    response = probe.get("/file?kind=traced&t=block&size=50000&block=100")
    assert response.body == block(50000)


def test_file_to_head(probe):
    with probe.connect() as client:
        response = client.request("/file?size=5000&cl=5000", "HEAD")
        assert response.get("content-length") == "5000"
        client.stays()


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_file_where_no_body_may_be(probe, status):
    with probe.connect() as client:
        client.request("/file?size=5000&status="
                       + urllib.parse.quote(status))
        client.stays()


def test_pipe(probe):
    assert probe.get("/pipe").body == b"through a pipe"


def test_large_file(probe):
    response = probe.get("/file?size=50000000")
    assert response.body == block(50000000)


def test_file_to_1_0(probe):
    with probe.connect() as client:
        client.send(b"GET /file?size=100000 HTTP/1.0\r\n\r\n")
        response = client.response()
        assert response.body == block(100000)
        client.ends()


def test_client_leaves_in_the_middle_of_a_file(probe):
    for _ in range(10):
        client = probe.connect(receive_buffer=4096)
        client.send(b"GET /file?size=10000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        client.head()
        client.reset()
    assert probe.get("/").status == 200
