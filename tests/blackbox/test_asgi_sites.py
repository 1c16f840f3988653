# SPDX-License-Identifier: MIT
"""Sites in the ASGI frameworks, on both event loops."""

import os

import pytest

from server import Server
from test_websocket import Socket

pytestmark = pytest.mark.gcorn

MODULES = {"fastapi": "fastapi", "django": "channels", "quart": "quart",
           "litestar": "litestar"}
# What a framework's site has beside what all have.
HAS = {
    "fastapi": {"/sync", "/stream", "/upload", "/later", "/file", "over"},
    "django": {"/sync", "/upload"},
    "quart": {"/upload", "/later", "over"},
    "litestar": {"/sync", "/later", "over"},
}


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
    if "over" in HAS[name]:
        assert server.trace_lines(name + " over")


def needs(site, path):
    if path not in HAS[site.name]:
        pytest.skip("not in this site")


def test_root(site):
    response = site.get("/")
    assert response.json == {
        "state": "lifespan" if site.name == "fastapi" else None}
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


def test_file(site):
    needs(site, "/file")
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
