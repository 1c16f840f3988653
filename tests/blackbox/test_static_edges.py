# SPDX-License-Identifier: MIT
"""--static-map behind gateways and proxies: uwsgi and the PROXY protocol."""

import pytest

from client import Client, request_bytes, wait_until
from server import Server, free_port
from test_proxy_protocol import FOUR, LINE, v2
from test_uwsgi import DEFAULTS, packet

pytestmark = pytest.mark.gcorn
BIG = bytes(range(256)) * 2048  # 512 KiB
CONTENT = {"small.txt": b"Hello, world\n", "big.bin": BIG}


@pytest.fixture(scope="module", params=("uring", "epoll"))
def server(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp("edges-" + request.param)
    site = directory / "site"
    site.mkdir()
    for name, content in CONTENT.items():
        (site / name).write_bytes(content)
    (directory / "outside.txt").write_text("secret")
    port = free_port()
    with Server("probe:app", "-b", "uwsgi://127.0.0.1:%d" % port, "-w", "1",
                "--io", request.param, "--proxy-protocol", "auto",
                "--static-map", "/static=%s" % site,
                "--access-logfile", directory / "access.log",
                directory=directory) as server:
        server.uwsgi = ("127.0.0.1", port)
        yield server


def gateway(server, path, method="GET", body=b"", **more):
    """As nginx asks by uwsgi_pass; the connection is over after that."""
    variables = {**DEFAULTS, "REQUEST_METHOD": method, "PATH_INFO": path,
                 "REQUEST_URI": path, **more}
    if body:
        variables["CONTENT_LENGTH"] = str(len(body))
    with Client(server.uwsgi) as client:
        client.send(packet(variables) + body)
        response = client.response(method)
        client.ends()
        return response


@pytest.mark.parametrize("name", CONTENT)
def test_uwsgi(server, name):
    response = gateway(server, "/static/" + name)
    assert response.status == 200 and response.body == CONTENT[name]
    head = gateway(server, "/static/" + name, "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.get("content-length") == str(len(CONTENT[name]))
    same = gateway(server, "/static/" + name,
                   HTTP_IF_NONE_MATCH=response.get("etag"))
    assert (same.status, same.body) == (304, b"")
    some = gateway(server, "/static/" + name, HTTP_RANGE="bytes=3-6")
    assert (some.status, some.body) == (206, CONTENT[name][3:7])


@pytest.mark.parametrize("path, status", [
    ("/static/nothing", 404), ("/static/", 404),
    ("/static/../outside.txt", 404), ("/static/small.txt/", 404)])
def test_uwsgi_finds_nothing_else(server, path, status):
    response = gateway(server, path)
    assert response.status == status and b"secret" not in response.body


def test_uwsgi_upload_to_a_file(server):
    assert gateway(server, "/static/small.txt", "POST", b"x" * 1000
                   ).status == 405
    assert gateway(server, "/environ").status == 200


def test_uwsgi_log_has_the_client(server):
    gateway(server, "/static/small.txt", REMOTE_ADDR="192.0.2.99")
    wait_until(lambda: any(
        line.startswith("192.0.2.99 ") and "/static/small.txt" in line
        for line in server.access_lines()), what="the line")


@pytest.mark.parametrize("header", [LINE, v2(FOUR)], ids=["v1", "v2"])
def test_proxy_protocol(server, header):
    with Client(server.address) as client:
        client.send(header + request_bytes("/static/big.bin?%d" % len(header))
                    + request_bytes("/static/small.txt"))
        assert client.response().body == BIG
        assert client.response().body == CONTENT["small.txt"]
        assert client.request("/environ").json["REMOTE_ADDR"] == "192.0.2.1"
    wait_until(lambda: any(
        line.startswith("192.0.2.1 ") and "?%d " % len(header) in line
        for line in server.access_lines()), what="the line")


def test_proxy_header_in_pieces(server):
    with Client(server.address) as client:
        for byte in LINE + request_bytes("/static/small.txt"):
            client.send(bytes([byte]))
        assert client.response().body == CONTENT["small.txt"]
