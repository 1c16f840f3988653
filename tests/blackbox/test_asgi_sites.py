# SPDX-License-Identifier: MIT
"""Sites in the ASGI frameworks, on both event loops."""

import os

import pytest

from server import Server
from test_websocket import Socket

pytestmark = pytest.mark.gcorn

MODULES = {"starlette": "starlette", "fastapi": "fastapi",
           "django": "channels", "quart": "quart", "litestar": "litestar"}
# What a framework does not do: Django reads a body before it calls a view and
# has neither background tasks nor a lifespan; Litestar's look-out for a
# disconnect takes the messages that a streaming view waits for.
LACKS = {"django": {"/stream", "/later", "over"}, "litestar": {"/stream"}}


@pytest.fixture(scope="module", params=[
    (name, loop) for name in MODULES for loop in ("asyncio", "uvloop")],
    ids="-".join)
def site(request, tmp_path_factory):
    name, loop = request.param
    pytest.importorskip(MODULES[name])
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    server = Server("asgi_sites:%s()" % name, "-k", "asgi", "-w", "1",
                    "--asgi-loop", loop,
                    directory=tmp_path_factory.mktemp(name))
    with server:
        server.name = name
        yield server
    if "over" not in LACKS.get(name, ()):
        assert server.trace_lines(name + " over")


def needs(site, path):
    if path in LACKS.get(site.name, ()):
        pytest.skip("not in this framework")


def test_root(site):
    response = site.get("/")
    assert response.json == {
        "state": None if site.name == "django" else "lifespan"}
    if site.name == "fastapi":
        assert response.get("x-middleware") == "yes"


def test_sync_code_runs_in_a_thread(site):
    needs(site, "/sync")
    assert site.get("/sync").json == {"thread": True}


@pytest.mark.parametrize("path", ["/echo", "/stream"])
@pytest.mark.parametrize("size", [10, 10000, 1000000])
def test_bodies(site, path, size):
    if path != "/echo":
        needs(site, path)
    data = os.urandom(size)
    response = site.get(path, "POST", body=data, headers=[
        ("Content-Type", "application/octet-stream")])
    assert response.status == 200
    assert response.body == data


def test_upload(site):
    needs(site, "/upload")
    body = (b'--x\r\nContent-Disposition: form-data; name="file"; '
            b'filename="some"\r\nContent-Type: text/plain\r\n\r\n' +
            b"z" * 300000 + b"\r\n--x--\r\n")
    response = site.get("/upload", "POST", body=body, headers=[
        ("Content-Type", "multipart/form-data; boundary=x")])
    assert response.json == {"name": "some", "size": 300000}


def test_events(site):
    response = site.get("/events")
    assert response.get("content-type").startswith("text/event-stream")
    assert response.text == "".join("data: %d\n\n" % n for n in range(5))


def test_a_body_that_streams_both_ways(site):
    """What was sent comes back before the rest is sent."""
    needs(site, "/stream")
    with site.connect() as connection:
        connection.send(b"POST /stream HTTP/1.1\r\nHost: x\r\nContent-Type: "
                        b"application/octet-stream\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n4\r\nping\r\n")
        assert connection.head().status == 200
        assert connection.chunk() == b"ping"
        connection.send(b"4\r\npong\r\n0\r\n\r\n")
        assert connection.chunk() == b"pong"
        assert not connection.chunk()
        connection.stays()


def test_a_client_that_leaves_is_noticed(site):
    with site.connect() as connection:
        connection.send(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.head()
        assert connection.chunk().startswith(b"data: more")
        connection.reset()
    site.traced(site.name + " left")


def test_file(site):
    assert b"def fastapi" in site.get("/file").body


def test_background(site):
    needs(site, "/later")
    assert site.get("/later").status == 200
    site.traced(site.name + " later")


def test_exceptions(site):
    assert site.get("/fail").status == 500
    assert site.get("/").status == 200


def test_websocket(site):
    with Socket(site, "/ws") as ws:
        for text in (b"one", b"two"):
            ws.frame(1, text)
            assert ws.read() == (1, text.upper())
        ws.frame(8, b"\x03\xe8")
        assert ws.closed() == 1000
