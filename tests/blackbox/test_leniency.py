# SPDX-License-Identifier: MIT
"""What is refused by default and taken when asked for, as in Gunicorn."""

import pytest

from client import Client

HOST = b"Host: test\r\n"


def ask(server, line, fields=b""):
    with Client(server.address) as client:
        client.send(line + b"\r\n" + HOST + fields + b"\r\n")
        return client.response()


CASES = [
    ("--permit-obsolete-folding", b"GET /environ HTTP/1.1",
     b"X-Long: one\r\n  two\r\nX-Short: 3\r\n", "HTTP_X_LONG", "one two"),
    ("--strip-header-spaces", b"GET /environ HTTP/1.1",
     b"X-Blank \t: 1\r\n", "HTTP_X_BLANK", "1"),
    ("--permit-unconventional-http-method", b"get#2 /environ HTTP/1.1", b"",
     "REQUEST_METHOD", "get#2"),
    ("--permit-unconventional-http-version", b"GET /environ HTTP/2.1", b"",
     "SERVER_PROTOCOL", "HTTP/2.1"),
]


@pytest.fixture(scope="module")
def lenient(tmp_path_factory):
    from server import Server
    flags = [case[0] for case in CASES]
    with Server("probe:app", "-w", "1", *flags,
                directory=tmp_path_factory.mktemp("lenient")) as server:
        yield server


@pytest.mark.parametrize("flag, line, fields, key, value", CASES)
def test_taken(lenient, flag, line, fields, key, value):
    response = ask(lenient, line, fields)
    assert response.status == 200
    assert response.json[key] == value


@pytest.mark.parametrize("flag, line, fields, key, value", CASES)
def test_refused_otherwise(probe, flag, line, fields, key, value):
    assert ask(probe, line, fields).status in (400, 505)


def test_casefold(start):
    server = start("probe:app", "-w", "1", "--casefold-http-method",
                   "--permit-unconventional-http-method")
    seen = ask(server, b"gEt /environ HTTP/1.1").json
    assert seen["REQUEST_METHOD"] == "GET"
    server = start("probe:app", "-w", "1", "--casefold-http-method")
    assert ask(server, b"get /environ HTTP/1.1").status == 400
