# SPDX-License-Identifier: MIT
"""uwsgi: packets on a socket, and nginx that sends them."""

import hashlib
import struct

import pytest

from client import Client, wait_until
from proxies import UWSGI_PARAMS, Nginx
from server import Server, free_port

DEFAULTS = {
    "REQUEST_METHOD": "GET", "REQUEST_URI": "/environ",
    "PATH_INFO": "/environ", "QUERY_STRING": "",
    "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "192.0.2.7",
    "REMOTE_PORT": "51234", "SERVER_NAME": "example.org",
    "SERVER_PORT": "443", "CONTENT_TYPE": "", "CONTENT_LENGTH": "",
    "HTTP_HOST": "example.org"}


def packet(variables, modifier=0):
    body = b""
    for pair in variables.items():
        for text in pair:
            data = text.encode("latin-1")
            body += struct.pack("<H", len(data)) + data
    return struct.pack("<BHB", modifier, len(body), 0) + body


def ask(address, variables=(), body=b"", method="GET", modifier=0, **kind):
    """A request; the connection must be over after its response."""
    variables = {**DEFAULTS, "REQUEST_METHOD": method, **dict(variables)}
    if body:
        variables["CONTENT_LENGTH"] = str(len(body))
    with Client(address, **kind) as client:
        client.send(packet(variables, modifier) + body)
        response = client.response(method)
        client.ends()
        return response


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Speaks HTTP at one address and uwsgi at two."""
    directory = tmp_path_factory.mktemp("uwsgi")
    port = free_port()
    path = directory / "uwsgi.sock"
    with Server("probe:app", "-b", "uwsgi://127.0.0.1:%d" % port,
                "-b", "uwsgi:unix:%s" % path, "-w", "1", "--threads", "4",
                "--access-logfile", directory / "access.log",
                directory=directory) as server:
        server.uwsgi = ("127.0.0.1", port)
        server.uwsgi_path = str(path)
        yield server


def test_says_where_it_listens(server):
    assert "uwsgi://127.0.0.1:%d" % server.uwsgi[1] in server.log()
    assert "uwsgi:unix:%s" % server.uwsgi_path in server.log()


@pytest.mark.parametrize("where", ["uwsgi", "uwsgi_path"])
def test_environ(server, where):
    response = ask(getattr(server, where), {
        "REQUEST_URI": "/environ/caf%C3%A9%2541?a=%20b",
        "PATH_INFO": "/environ/caf\xc3\xa9%41", "QUERY_STRING": "a=%20b",
        "REMOTE_USER": "me", "DOCUMENT_ROOT": "/var/www", "MY_PARAM": "x y",
        "HTTP_X_ONE_TWO": "3", "HTTP_COOKIE": "a=b", "HTTPS": "on",
        "REQUEST_SCHEME": "https", "wsgi.input": "fake",
        "HTTP_CONTENT_LENGTH": "77"})
    assert (response.version, response.status) == (1, 200)
    seen = response.json
    wanted = {
        "REQUEST_METHOD": "GET", "PATH_INFO": "/environ/caf\xc3\xa9%41",
        "QUERY_STRING": "a=%20b", "RAW_URI": "/environ/caf%C3%A9%2541?a=%20b",
        "REQUEST_URI": "/environ/caf%C3%A9%2541?a=%20b", "SCRIPT_NAME": "",
        "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_NAME": "example.org",
        "SERVER_PORT": "443", "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_PORT": "51234", "REMOTE_USER": "me",
        "DOCUMENT_ROOT": "/var/www", "MY_PARAM": "x y", "HTTPS": "on",
        "HTTP_HOST": "example.org", "HTTP_X_ONE_TWO": "3",
        "HTTP_COOKIE": "a=b", "wsgi.url_scheme": "https"}
    assert {key: seen.get(key) for key in wanted} == wanted
    assert seen["wsgi.input"] != "fake"
    assert not seen.get("CONTENT_LENGTH") and not seen.get("CONTENT_TYPE")
    assert "HTTP_CONTENT_LENGTH" not in seen
    assert set(seen["*types"][key] for key in wanted) == {"str"}


def test_does_not_stay(server):
    """Variables of one request are not seen by another."""
    seen = ask(server.uwsgi, {"MY_PARAM": "1", "HTTPS": "on"}).json
    assert seen["MY_PARAM"] == "1"
    seen = ask(server.uwsgi).json
    assert "MY_PARAM" not in seen and seen["wsgi.url_scheme"] == "http"
    seen = server.get("/environ").json
    assert seen["REMOTE_ADDR"] == "127.0.0.1"
    assert seen["SERVER_PORT"] == str(server.address[1])


@pytest.mark.parametrize("modifier", [0, 30])
@pytest.mark.parametrize("path, script, rest", [
    ("/mounted/environ", "/mounted", "/environ"),
    ("/environ", "/mounted", "/environ"), ("/environ", "", "/environ")])
def test_script_name(server, modifier, path, script, rest):
    seen = ask(server.uwsgi, {"SCRIPT_NAME": script, "PATH_INFO": path,
                              "REQUEST_URI": path}, modifier=modifier).json
    assert [seen["SCRIPT_NAME"], seen["PATH_INFO"]] == [script, rest]


def test_least(server):
    """A packet with hardly anything in it."""
    with Client(server.uwsgi) as client:
        client.send(packet({"REQUEST_METHOD": "GET",
                            "REQUEST_URI": "/environ?x=1"}))
        seen = client.response().json
    assert seen["PATH_INFO"] == "/environ" and seen["QUERY_STRING"] == "x=1"
    assert seen["REMOTE_ADDR"] == "127.0.0.1"
    assert seen["SERVER_PROTOCOL"].startswith("HTTP/")
    assert seen["SERVER_PORT"] == str(server.uwsgi[1])


@pytest.mark.parametrize("size", [1, 5000, 70_000, 3_000_000])
def test_body(server, size):
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    response = ask(server.uwsgi, {"PATH_INFO": "/sha256"}, body, "POST")
    assert response.json["size"] == size
    assert response.json["sha256"] == hashlib.sha256(body).hexdigest()


def test_no_chunks_to_a_gateway(server):
    response = ask(server.uwsgi, {
        "PATH_INFO": "/pieces", "QUERY_STRING": "as=generator&n=5&size=7"})
    assert response.get("Transfer-Encoding") is None
    assert len(response.body) == 35


def test_head(server):
    response = ask(server.uwsgi, method="HEAD")
    assert response.status == 200 and not response.body


def test_in_pieces(server):
    with Client(server.uwsgi) as client:
        for byte in packet(DEFAULTS):
            client.send(bytes([byte]))
        assert client.response().json["REMOTE_ADDR"] == "192.0.2.7"


def test_large_packet(server):
    big = {"V%d" % i: "v" * 1000 for i in range(60)}
    seen = ask(server.uwsgi, big).json
    assert {key: seen[key] for key in big} == big


def test_many_variables(server):
    many = {"V%d" % i: str(i) for i in range(900)}
    seen = ask(server.uwsgi, many).json
    assert {key: seen[key] for key in many} == many


@pytest.mark.parametrize("data", [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\5\0\0\0", b"\0\1\0\0x",
    b"\0\4\0\0\xff\xff\0\0", packet({}), packet({"REQUEST_METHOD": "GET"}),
    packet({**DEFAULTS, "CONTENT_LENGTH": "x"}),
    packet({**DEFAULTS, "HTTP_A": "b\r\nc"})])
def test_broken(server, data):
    with Client(server.uwsgi) as client:
        client.send(data)
        assert client.response().status == 400
        client.ends()


def test_cut_off(server):
    data = packet(DEFAULTS)
    for n in (1, 3, 4, 20, len(data) - 1):
        with Client(server.uwsgi) as client:
            client.send(data[:n])
            client.finish()
            client.ends()
    assert ask(server.uwsgi).status == 200


def test_strangers(server):
    with Client(server.uwsgi, source="127.0.0.2") as client:
        client.send(packet(DEFAULTS))
        assert client.response().status == 403
        client.ends()


def test_protocol_for_all_addresses(start):
    server = start("probe:app", "-w", "1", "--protocol", "uwsgi",
                   "--uwsgi-allow-from", "127.0.0.2", ready=None)
    server.wait_log("Listening at: uwsgi://")
    wait_until(lambda: can_connect(server), what="a server")
    assert ask(server.address, source="127.0.0.2").status == 200
    assert ask(server.address).status == 403


def can_connect(server):
    try:
        Client(server.address).close()
    except OSError:
        return False
    return True


def test_access_log(server):
    ask(server.uwsgi, {"REMOTE_ADDR": "198.51.100.3", "REMOTE_USER": "me",
                       "REQUEST_URI": "/environ?logged"})
    line = wait_until(lambda: [line for line in server.access_lines()
                               if "?logged" in line], what="the line")[0]
    assert line.startswith("198.51.100.3 ")
    assert '"GET /environ?logged HTTP/1.1" 200 ' in line


# ---- nginx

LOCATIONS = """
location / {
    %(params)s
    uwsgi_param MY_PARAM $host;
    uwsgi_pass %(tcp)s;
}
location /mounted {
    %(params)s
    uwsgi_param SCRIPT_NAME /mounted;
    uwsgi_modifier1 30;
    uwsgi_pass unix:%(unix)s;
}
location /private {
    auth_basic "private";
    auth_basic_user_file %(users)s;
    %(params)s
    uwsgi_param SCRIPT_NAME /private;
    uwsgi_param REMOTE_USER $remote_user;
    uwsgi_pass %(tcp)s;
}
"""


@pytest.fixture(scope="module")
def nginx(server, tmp_path_factory):
    directory = tmp_path_factory.mktemp("nginx")
    users = directory / "users"
    users.write_text("me:{PLAIN}secret\n")
    locations = LOCATIONS % {
        "params": UWSGI_PARAMS, "tcp": "127.0.0.1:%d" % server.uwsgi[1],
        "unix": server.uwsgi_path, "users": users}
    with Nginx(directory, locations) as proxy:
        yield proxy


def test_nginx_environ(nginx):
    with nginx.connect(source="127.0.0.6") as client:
        port = client.sock.getsockname()[1]
        for _ in range(5):  # nginx keeps its client's connection
            seen = client.request("/environ/caf%C3%A9?a=%20b", headers=[
                ("X-One-Two", "3")]).json
            assert seen["REMOTE_ADDR"] == "127.0.0.6"
            assert seen["REMOTE_PORT"] == str(port)
            assert seen["PATH_INFO"] == "/environ/caf\xc3\xa9"
            assert seen["QUERY_STRING"] == "a=%20b"
            assert seen["HTTP_X_ONE_TWO"] == "3"
            assert seen["MY_PARAM"] == "test"
            assert seen["SERVER_NAME"] == "example.org"
            assert seen["SERVER_PORT"] == str(nginx.address[1])


def test_nginx_script_name(nginx):
    seen = nginx.get("/mounted/environ/x").json
    assert seen["SCRIPT_NAME"] == "/mounted"
    assert seen["PATH_INFO"] == "/environ/x"
    assert seen["RAW_URI"] == "/mounted/environ/x"


def test_nginx_remote_user(nginx):
    assert nginx.get("/private/environ").status == 401
    seen = nginx.get("/private/environ", headers=[
        ("Authorization", "Basic bWU6c2VjcmV0")]).json
    assert seen["REMOTE_USER"] == "me"
    assert seen["PATH_INFO"] == "/environ"


@pytest.mark.parametrize("size", [0, 10, 100_000, 3_000_000])
def test_nginx_upload(nginx, size):
    body = b"0123456789" * (size // 10)
    seen = nginx.get("/sha256", "POST", body=body).json
    assert seen["size"] == size
    assert seen["sha256"] == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("kind", ["as=generator", "as=list", "as=iter&cl=1"])
def test_nginx_download(nginx, kind):
    with nginx.connect() as client:
        for _ in range(3):
            response = client.request("/pieces?n=100&size=20000&" + kind)
            assert len(response.body) == 2_000_000


def test_nginx_statuses(nginx):
    with nginx.connect() as client:
        assert client.request("/environ", "HEAD").status == 200
        assert client.request("/pieces?status=204+No&n=0").status == 204
        assert client.request("/pieces?status=404+Gone").status == 404
        assert client.request("/environ").status == 200
