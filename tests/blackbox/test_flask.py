# SPDX-License-Identifier: MIT
"""A Flask site in threads and in greenlets."""

import hashlib
import io

import pytest

pytest.importorskip("flask")

from load import Load  # noqa: E402
from server import Server  # noqa: E402


@pytest.fixture(scope="module", params=[
    "flasksite:app --threads 4", "flasksite:create_app() --threads 4",
    pytest.param("flasksite:app -k gevent", marks=pytest.mark.gcorn),
    pytest.param("flasksite:app -k eventlet", marks=pytest.mark.gcorn)])
def site(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp("flask")
    app, *arguments = request.param.split()
    with Server(app, "-w", "2", *arguments, directory=directory) as server:
        yield server


def multipart(name, data):
    boundary = "a-boundary-of-tests"
    body = io.BytesIO()
    body.write(b"--%s\r\nContent-Disposition: form-data; name=\"file\"; "
               b"filename=\"%s\"\r\nContent-Type: application/octet-stream"
               b"\r\n\r\n" % (boundary.encode(), name.encode()))
    body.write(data)
    body.write(b"\r\n--%s--\r\n" % boundary.encode())
    return body.getvalue(), [
        ("Content-Type", "multipart/form-data; boundary=" + boundary)]


def test_page(site):
    response = site.get("/")
    assert response.status == 200
    assert response.get("content-type") == "text/html; charset=utf-8"
    assert b"<h1>Flask</h1>" in response.body


def test_session(site):
    login = site.get("/login", "POST", body=b"name=Grace", headers=[
        ("Content-Type", "application/x-www-form-urlencoded")])
    assert login.status == 302
    assert login.get("location") == "/"
    cookie = login.get("set-cookie").split(";")[0]
    assert b"Grace" in site.get("/", headers=[("Cookie", cookie)]).body
    assert b"nobody" in site.get("/").body


def test_json(site):
    response = site.get("/json?a=1", "PUT", body=b'{"k": [1, 2]}', headers=[
        ("Content-Type", "application/json")], host="example.org:81")
    assert response.json == {
        "method": "PUT", "args": {"a": "1"}, "body": {"k": [1, 2]},
        "remote": "127.0.0.1", "url": "http://example.org:81/json?a=1"}


@pytest.mark.parametrize("size", [0, 10, 100_000, 5_000_000])
def test_upload(site, size):
    data = bytes(range(256)) * (size // 256) + b"e" * (size % 256)
    body, headers = multipart("a.bin", data)
    answer = site.get("/upload", "POST", body=body, headers=headers).json
    assert answer == {"name": "a.bin", "size": size,
                      "sha256": hashlib.sha256(data).hexdigest()}


def test_stream(site):
    response = site.get("/stream?n=500")
    assert response.text == "".join("row %d\n" % i for i in range(500))


def test_files(site):
    assert site.get("/file").body == b"f" * 100000
    whole = site.get("/source")
    assert b"a_file" in whole.body
    part = site.get("/source", headers=[("Range", "bytes=10-19")])
    assert part.status == 206
    assert part.body == whole.body[10:20]
    same = site.get("/source", headers=[("If-None-Match",
                                         whole.get("etag"))])
    assert (same.status, same.body) == (304, b"")


def test_errors(site):
    assert site.get("/teapot").status == 418
    assert site.get("/nowhere").status == 404
    assert site.get("/json", "DELETE").status == 405
    assert site.get("/boom").status == 500
    site.wait_log("a Flask view raises on purpose")


def test_head_and_options(site):
    assert site.get("/", "HEAD").status == 200
    assert "GET" in site.get("/", "OPTIONS").get("allow")


def test_load(site):
    with Load(site, "/json?x=1", connections=8) as load:
        load.more(1000)
    load.all_good()
