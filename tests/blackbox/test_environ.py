# SPDX-License-Identifier: MIT
"""environ: PEP 3333's variables, set as Gunicorn sets them."""

import re

import pytest

from client import Client


def environ(server, target="/environ", **kind):
    return server.get(target, **kind).json


def test_is_a_plain_dict_of_str(probe):
    seen = environ(probe)
    assert seen["*exact"]
    wrong = {key: kind for key, kind in seen["*types"].items()
             if key.isupper() and kind != "str"}
    assert not wrong


def test_wsgi_variables(probe):
    seen = environ(probe)
    assert seen["wsgi.version"] == [1, 0]
    assert seen["wsgi.url_scheme"] == "http"
    assert seen["wsgi.multithread"] is True  # --threads 2
    assert seen["wsgi.multiprocess"] is True  # -w 2
    assert seen["wsgi.run_once"] is False
    assert seen["wsgi.input_terminated"] is True
    assert {"wsgi.input", "wsgi.errors", "wsgi.file_wrapper"} <= set(seen)


def test_one_interpreter_one_thread(start):
    seen = environ(start("probe:app", "-w", "1"))
    assert seen["wsgi.multithread"] is False
    assert seen["wsgi.multiprocess"] is False


def test_sync_calls_in_the_main_thread(start):
    seen = start("probe:app", "-w", "1").get("/process").json
    assert seen["main"] is True


def test_request_variables(probe):
    with probe.connect() as client:
        port = client.sock.getsockname()[1]
        seen = client.request("/environ/a/b?x=1&y=%20", "GET").json
    assert seen["REQUEST_METHOD"] == "GET"
    assert seen["SCRIPT_NAME"] == ""
    assert seen["PATH_INFO"] == "/environ/a/b"
    assert seen["QUERY_STRING"] == "x=1&y=%20"
    assert seen["RAW_URI"] == "/environ/a/b?x=1&y=%20"
    assert seen["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert seen["SERVER_NAME"] == "127.0.0.1"
    assert seen["SERVER_PORT"] == str(probe.address[1])
    assert seen["REMOTE_ADDR"] == "127.0.0.1"
    assert seen["REMOTE_PORT"] == str(port)
    assert seen["HTTP_HOST"] == "test"
    assert re.match(r"g(corn|unicorn)/\d", seen["SERVER_SOFTWARE"])


def test_query_is_always_there(probe):
    assert environ(probe, "/environ")["QUERY_STRING"] == ""
    assert environ(probe, "/environ?")["QUERY_STRING"] == ""
    assert environ(probe, "/environ?a?b")["QUERY_STRING"] == "a?b"


@pytest.mark.parametrize("sent, seen", [
    ("/environ/%61", "/environ/a"),
    ("/environ/a%2Fb", "/environ/a/b"),
    ("/environ/%E2%82%AC", "/environ/\u00e2\u0082\u00ac"),
    ("/environ/%FF", "/environ/\u00ff"),
    ("/environ/a+b", "/environ/a+b"),
    ("/environ/100%25", "/environ/100%"),
    ("/environ/%zz%", "/environ/%zz%"),
    ("/environ/a;b=c,d", "/environ/a;b=c,d"),
    ("/environ//double", "/environ//double"),
    ("/environ/./x/../y", "/environ/./x/../y"),
])
def test_path_is_decoded_once_to_latin_1(probe, sent, seen):
    got = environ(probe, sent)
    assert got["PATH_INFO"] == seen
    assert got["RAW_URI"] == sent


def test_content_type_and_length(probe):
    seen = environ(probe, method="POST", body=b"12345",
                   headers=[("Content-Type", "text/x; a=b")])
    assert seen["CONTENT_TYPE"] == "text/x; a=b"
    assert seen["CONTENT_LENGTH"] == "5"
    assert "HTTP_CONTENT_TYPE" not in seen
    assert "HTTP_CONTENT_LENGTH" not in seen


def test_no_body_no_content_variables(probe):
    seen = environ(probe)
    assert seen.get("CONTENT_TYPE", "") == ""
    assert seen.get("CONTENT_LENGTH", "") == ""


def test_fields(probe):
    seen = environ(probe, headers=[
        ("User-Agent", "agent/1"), ("X-Custom-Name", "value"),
        ("x-lower", "low"), ("Accept", "text/html"), ("Cookie", "a=b; c=d"),
        ("X-Empty", ""), ("Authorization", "Basic eDp5")])
    assert seen["HTTP_USER_AGENT"] == "agent/1"
    assert seen["HTTP_X_CUSTOM_NAME"] == "value"
    assert seen["HTTP_X_LOWER"] == "low"
    assert seen["HTTP_ACCEPT"] == "text/html"
    assert seen["HTTP_COOKIE"] == "a=b; c=d"
    assert seen["HTTP_X_EMPTY"] == ""
    assert seen["HTTP_AUTHORIZATION"] == "Basic eDp5"


def test_values_are_stripped_and_latin_1(probe):
    seen = environ(probe, headers=[("X-Space", " \t padded \t "),
                                   ("X-Latin", "caf\u00e9")])
    assert seen["HTTP_X_SPACE"] == "padded"
    assert seen["HTTP_X_LATIN"] == "caf\u00e9"


def test_repeated_fields_are_joined(probe):
    seen = environ(probe, headers=[("X-Many", "a"), ("Other", "o"),
                                   ("x-many", "b"), ("X-MANY", "c")])
    assert seen["HTTP_X_MANY"] == "a,b,c"


def test_underscores_cannot_pass_for_dashes(probe):
    seen = environ(probe, headers=[("X_Forwarded_For", "evil"),
                                   ("X-Real", "good"), ("X_Real", "evil")])
    assert "HTTP_X_FORWARDED_FOR" not in seen
    assert seen["HTTP_X_REAL"] == "good"


def test_proxy_field_is_what_the_client_says(probe):
    """HTTP_PROXY comes from a field, never from our environment."""
    assert "HTTP_PROXY" not in environ(probe)


def test_nothing_leaks_from_request_to_request(probe):
    with probe.connect() as client:
        client.request("/environ?secret=1", headers=[("X-Secret", "1")])
        seen = client.request("/environ").json
    assert "HTTP_X_SECRET" not in seen
    assert seen["QUERY_STRING"] == ""


def test_http_1_0_protocol(probe):
    with Client(probe.address) as client:
        client.send(b"GET /environ HTTP/1.0\r\nHost: a\r\n\r\n")
        assert client.response().json["SERVER_PROTOCOL"] == "HTTP/1.0"


def test_unix_socket(start, tmp_path):
    server = start("probe:app", bind="unix:%s" % (tmp_path / "s"))
    seen = server.get("/environ", host="example.org:8080").json
    assert seen["REMOTE_ADDR"] == ""
    assert "REMOTE_PORT" not in seen
    assert seen["SERVER_NAME"] == "example.org"
    assert seen["SERVER_PORT"] == "8080"


def test_ipv6(start):
    from server import free_port
    server = start("probe:app", bind="[::1]:%d" % free_port("::1"))
    seen = server.get("/environ").json
    assert seen["REMOTE_ADDR"] == "::1"
    assert seen["SERVER_NAME"] in ("::1", "[::1]")
    assert seen["SERVER_PORT"] == str(server.address[1])


def test_virtual_environment_is_the_applications(probe):
    import sys
    if sys.prefix == sys.base_prefix:
        pytest.skip("the tests run in no virtual environment")
    seen = probe.get("/process").json
    assert seen["prefix"] == sys.prefix
    assert any("site-packages" in entry and entry.startswith(sys.prefix)
               for entry in seen["path"])
