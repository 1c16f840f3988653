# SPDX-License-Identifier: MIT
"""What trusted proxies say in header fields, and nobody else's word."""

import pytest

from client import Client, wait_until
from proxies import Nginx

STRANGER = "127.0.0.2"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    from server import Server
    directory = tmp_path_factory.mktemp("forwarded")
    with Server("probe:app", "-w", "1", "--threads", "4", "--access-logfile",
                directory / "access.log", directory=directory) as server:
        yield server


def environ(server, *headers, target="/environ", source=None):
    with Client(server.address, source=source) as client:
        response = client.request(target, headers=headers)
        return response.json if response.status == 200 else response.status


# ---- Gunicorn's rules, the defaults

@pytest.mark.parametrize("name, value, scheme", [
    ("X-Forwarded-Proto", "https", "https"),
    ("X-Forwarded-Proto", "http", "http"),
    ("X-FORWARDED-PROTO", "HTTPS", "http"),
    ("X-Forwarded-Protocol", "ssl", "https"),
    ("X-Forwarded-Ssl", "on", "https"),
    ("X-Forwarded-Ssl", "off", "http"),
    ("X-Forwarded-Scheme", "https", "http")])
def test_scheme(server, name, value, scheme):
    assert environ(server, (name, value))["wsgi.url_scheme"] == scheme
    seen = environ(server, (name, value), source=STRANGER)
    assert seen["wsgi.url_scheme"] == "http"


def test_scheme_does_not_stay(server):
    with Client(server.address) as client:
        for scheme in ("https", "http", "https", None, "https"):
            headers = [("X-Forwarded-Proto", scheme)] if scheme else []
            seen = client.request("/environ", headers=headers).json
            assert seen["wsgi.url_scheme"] == (scheme or "http")


def test_contradiction(server):
    headers = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Ssl", "off")]
    assert environ(server, *headers) == 400
    seen = environ(server, *headers, source=STRANGER)
    assert seen["wsgi.url_scheme"] == "http"


def test_script_name(server):
    field = ("SCRIPT_NAME", "/mounted")
    seen = environ(server, field, target="/mounted/environ/a%20b?c=d")
    assert seen["SCRIPT_NAME"] == "/mounted"
    assert seen["PATH_INFO"] == "/environ/a b"
    assert seen["RAW_URI"] == "/mounted/environ/a%20b?c=d"
    assert environ(server, field) == 500
    assert environ(server, field, target="/mountedly/environ") == 500
    seen = environ(server, field, source=STRANGER)
    assert seen["SCRIPT_NAME"] == "" and "HTTP_SCRIPT_NAME" not in seen


def test_script_name_does_not_stay(server):
    with Client(server.address) as client:
        for mount in ("", "/a", "", "/b", ""):
            headers = [("SCRIPT_NAME", mount)] if mount else []
            seen = client.request(mount + "/environ", headers=headers).json
            assert seen["SCRIPT_NAME"] == mount
            assert seen["PATH_INFO"] == "/environ"


def test_script_name_field_outdoes_the_environment(start):
    server = start("probe:app", "-w", "1", env={"SCRIPT_NAME": "/env"},
                   ready="/env/")
    seen = environ(server, target="/env/environ")
    assert [seen["SCRIPT_NAME"], seen["PATH_INFO"]] == ["/env", "/environ"]
    seen = environ(server, ("SCRIPT_NAME", "/field"), target="/field/environ")
    assert [seen["SCRIPT_NAME"], seen["PATH_INFO"]] == ["/field", "/environ"]
    seen = environ(server, target="/env/environ")
    assert [seen["SCRIPT_NAME"], seen["PATH_INFO"]] == ["/env", "/environ"]


def test_underscores(server):
    seen = environ(server, ("X_Real_Ip", "evil"), ("X-Real-Ip", "good"),
                   ("PATH_INFO", "/x"))
    assert seen["HTTP_X_REAL_IP"] == "good"
    assert seen["HTTP_PATH_INFO"] == "/x"  # of forwarder_headers' default
    assert seen["PATH_INFO"] == "/environ"


def test_forwarder_headers(start):
    server = start("probe:app", "-w", "1", "--forwarder-headers",
                   "REMOTE_USER", "--header-map", "refuse")
    seen = environ(server, ("Remote_User", "me"))
    assert seen["HTTP_REMOTE_USER"] == "me"
    assert environ(server, ("SCRIPT_NAME", "/")) == 400
    assert environ(server, ("Remote_User", "me"), source=STRANGER) == 400


def test_header_map_dangerous(start):
    server = start("probe:app", "-w", "1", "--header-map", "dangerous",
                   "--forwarded-allow-ips", "")
    seen = environ(server, ("X_Test", "1"), ("SCRIPT_NAME", "/environ"))
    assert seen["HTTP_X_TEST"] == "1"
    assert seen["SCRIPT_NAME"] == ""


@pytest.mark.parametrize("kind, trusted", [
    ({"env": {"FORWARDED_ALLOW_IPS": "127.0.0.0/30"}}, True),
    ({"env": {"FORWARDED_ALLOW_IPS": ""}}, False)])
def test_allow_ips_of_the_environment(start, kind, trusted):
    server = start("probe:app", "-w", "1", **kind)
    seen = environ(server, ("X-Forwarded-Proto", "https"), source=STRANGER)
    assert (seen["wsgi.url_scheme"] == "https") == trusted
    seen = environ(server, ("X-Forwarded-Proto", "https"))
    assert (seen["wsgi.url_scheme"] == "https") == trusted


def test_unix_peers_are_trusted(start, tmp_path):
    server = start("probe:app", "-w", "1", "--proxy-headers",
                   bind="unix:%s" % (tmp_path / "socket"))
    seen = environ(server, ("X-Forwarded-Proto", "https"),
                   ("X-Forwarded-For", "192.0.2.1"))
    assert seen["wsgi.url_scheme"] == "https"
    assert seen["SERVER_PORT"] == "443"
    assert seen["REMOTE_ADDR"] == "192.0.2.1"


def test_the_client_is_not_looked_for(server):
    seen = environ(server, ("X-Forwarded-For", "192.0.2.1"),
                   ("Forwarded", "for=192.0.2.1"))
    assert seen["REMOTE_ADDR"] == "127.0.0.1"


def test_a_bad_list_is_refused(tmp_path):
    from server import Server
    server = Server("probe:app", "--forwarded-allow-ips", "10.0.0.1/8",
                    directory=tmp_path, ready=None)
    with pytest.raises(AssertionError):
        server.start()
        assert server.wait(10) == 0
    assert "10.0.0.1/8" in server.log()


# ---- proxy_headers

@pytest.fixture(scope="module")
def looking(tmp_path_factory):
    from server import Server
    directory = tmp_path_factory.mktemp("looking")
    with Server("probe:app", "-w", "1", "--threads", "4", "--proxy-headers",
                "--forwarded-allow-ips", "127.0.0.1,10.0.0.0/8",
                "--access-logfile", directory / "access.log",
                directory=directory) as server:
        yield server


@pytest.mark.parametrize("headers, addr, port", [
    ([("X-Forwarded-For", "192.0.2.1")], "192.0.2.1", None),
    ([("X-Forwarded-For", "6.6.6.6, 192.0.2.1, 10.0.0.2")], "192.0.2.1", None),
    ([("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "192.0.2.1:81")],
     "192.0.2.1", "81"),
    ([("X-Forwarded-For", "[2001:db8::1]:81")], "2001:db8::1", "81"),
    ([("Forwarded", 'for="[2001:db8::1]:4711";proto=https')],
     "2001:db8::1", "4711"),
    ([("Forwarded", "for=6.6.6.6, for=192.0.2.1, for=10.1.2.3")],
     "192.0.2.1", None)])
def test_client(looking, headers, addr, port):
    seen = environ(looking, *headers)
    assert seen["REMOTE_ADDR"] == addr
    assert seen.get("REMOTE_PORT") == port
    seen = environ(looking, *headers, source=STRANGER)
    assert seen["REMOTE_ADDR"] == STRANGER


@pytest.mark.parametrize("value", [
    "unknown", "junk", "", "192.0.2.1, unknown", "1.2.3.4.5"])
def test_no_client_is_told(looking, value):
    seen = environ(looking, ("X-Forwarded-For", value))
    assert seen["REMOTE_ADDR"] == "127.0.0.1"
    assert seen["REMOTE_PORT"].isdigit()


def test_proto_of_forwarded(looking):
    seen = environ(looking, ("Forwarded", "for=192.0.2.1;proto=https"))
    assert seen["wsgi.url_scheme"] == "https"
    assert environ(looking, ("Forwarded", "for=192.0.2.1;proto=https"),
                   ("X-Forwarded-Proto", "http")) == 400


def test_two_that_differ(looking):
    headers = [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=6.6.6.6")]
    assert environ(looking, *headers) == 400


def test_client_is_per_request(looking):
    with Client(looking.address) as client:
        port = str(client.sock.getsockname()[1])
        for addr in ("192.0.2.1", None, "192.0.2.2", None):
            headers = [("X-Forwarded-For", addr)] if addr else []
            seen = client.request("/environ", headers=headers).json
            assert seen["REMOTE_ADDR"] == (addr or "127.0.0.1")
            assert seen.get("REMOTE_PORT") == (None if addr else port)


def test_client_in_the_access_log(looking):
    environ(looking, ("X-Forwarded-For", "198.51.100.9"),
            target="/environ?logged")
    line = wait_until(lambda: [line for line in looking.access_lines()
                               if "?logged" in line], what="the line")[0]
    assert line.startswith("198.51.100.9 ")


# ---- nginx

LOCATIONS = """
location / {
    proxy_pass http://app;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto https;
}
location /mounted/ {
    proxy_pass http://app;
    proxy_set_header SCRIPT_NAME /mounted;
}
"""


def test_nginx(looking, tmp_path):
    upstream = "upstream app { server 127.0.0.1:%d; keepalive 4; }" % (
        looking.address[1])
    with Nginx(tmp_path, LOCATIONS, http=upstream) as proxy:
        with proxy.connect(source="127.0.0.5") as client:
            for _ in range(10):
                seen = client.request("/environ", headers=[
                    ("X-Forwarded-For", "6.6.6.6")]).json
                assert seen["REMOTE_ADDR"] == "127.0.0.5"
                assert seen["wsgi.url_scheme"] == "https"
        seen = proxy.get("/mounted/environ/x").json
        assert seen["SCRIPT_NAME"] == "/mounted"
        assert seen["PATH_INFO"] == "/environ/x"
