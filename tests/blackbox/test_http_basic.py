# SPDX-License-Identifier: MIT
"""Requests, statuses and refusals: RFC 9110, RFC 9112."""

import email.utils
import re
import time

import pytest

from client import Client, request_bytes


def test_get(probe):
    response = probe.get("/")
    assert (response.status, response.reason) == (200, "OK")
    assert response.body == b"hello"
    assert response.get("content-type") == "text/plain"
    assert response.get("content-length") == "5"


def test_server_and_date_are_ours(probe):
    before = int(time.time())
    response = probe.get("/")
    assert re.match(r"(gcorn|gunicorn)", response.get("server"))
    date = response.get("date")
    assert re.fullmatch(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} "
                        r"\d\d:\d\d:\d\d GMT", date)
    at = email.utils.parsedate_to_datetime(date).timestamp()
    assert before - 2 <= at <= time.time() + 2


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE",
                                    "OPTIONS", "PROPFIND", "M-SEARCH"])
def test_any_method_reaches_the_application(probe, method):
    response = probe.get("/environ", method)
    assert response.json["REQUEST_METHOD"] == method


@pytest.mark.parametrize("pieces", [1, 2, 3, 7])
def test_head_may_come_in_pieces(probe, pieces):
    data = request_bytes("/environ?a=b", headers=[("X-One", "1"),
                                                  ("X-Two", "2" * 50)])
    with probe.connect() as client:
        step = max(1, len(data) // pieces)
        for at in range(0, len(data), step):
            client.send(data[at:at + step])
            time.sleep(0.01)
        seen = client.response().json
    assert (seen["HTTP_X_ONE"], seen["HTTP_X_TWO"]) == ("1", "2" * 50)


def test_head_byte_by_byte(probe):
    with probe.connect() as client:
        client.sock.setsockopt(6, 1, 1)  # TCP_NODELAY
        for byte in request_bytes("/environ?x"):
            client.send(bytes([byte]))
        assert client.response().json["QUERY_STRING"] == "x"


BAD = {
    "no version": b"GET /\r\n\r\n",
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "bad version": b"GET / HTTP/x.1\r\nHost: a\r\n\r\n",
    "lower-case protocol": b"GET / http/1.1\r\nHost: a\r\n\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "space in target": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "control in target": b"GET /a\x01b HTTP/1.1\r\nHost: a\r\n\r\n",
    "bad method": b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
    "space before colon": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n",
    "empty name": b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
    "folded": b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
    "NUL in value": b"GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n",
    "bare CR in value": b"GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "length and chunked": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3"
                          b"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                   b"Content-Length: 4\r\n\r\nabcd",
    "signed length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3"
                     b"\r\n\r\nabc",
    "length with underscore": b"POST / HTTP/1.1\r\nHost: a\r\n"
                              b"Content-Length: 1_0\r\n\r\n0123456789",
    "huge length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: "
                   b"99999999999999999999999\r\n\r\n",
    "chunked not last": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
                        b"chunked, identity\r\n\r\n0\r\n\r\n",
    "unknown coding": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
                      b"xchunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("kind", sorted(BAD))
def test_bad_request_is_refused_and_closed(probe, kind):
    before = len(probe.trace_lines())
    with probe.connect() as client:
        client.send(BAD[kind])
        response = client.response()
        assert 400 <= response.status < 600
        assert response.status in (400, 501, 505, 413)
        assert response.closes
        client.ends()
    assert len(probe.trace_lines()) == before
    assert probe.get("/").status == 200


def test_refusal_is_not_an_echo(probe):
    """What the peer sent is not markup in our answer."""
    with probe.connect() as client:
        client.send(b"GET /<script>alert(1)</script> \r\n\r\n")
        assert b"<script>" not in client.response().body


def test_request_line_too_long(probe):
    with probe.connect() as client:
        client.send(b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.response().status in (400, 414)
        client.ends()


def test_request_line_at_the_limit(probe):
    """limit_request_line is 4094 bytes, without the CRLF."""
    fixed = len("GET /environ? HTTP/1.1")
    target = "/environ?" + "q" * (4094 - fixed)
    assert probe.get(target).json["QUERY_STRING"] == "q" * (4094 - fixed)


def test_field_too_long(probe):
    with probe.connect() as client:
        client.send(request_bytes(headers=[("X-Big", "b" * 9000)]))
        assert client.response().status in (400, 431)
        client.ends()


def test_many_fields(probe):
    with probe.connect() as client:
        client.send(request_bytes(
            headers=[("X-%d" % i, "v") for i in range(101)]))
        assert client.response().status in (400, 431)
        client.ends()


def test_ninety_fields_are_welcome(probe):
    fields = [("X-%d" % i, "value %d" % i) for i in range(90)]
    seen = probe.get("/environ", headers=fields).json
    assert all(seen["HTTP_X_%d" % i] == "value %d" % i for i in range(90))


def test_http_1_0(probe):
    with probe.connect() as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        response = client.response()
        assert (response.status, response.body) == (200, b"hello")
        assert response.closes
        client.ends()


def test_expect_100_continue(probe):
    with probe.connect() as client:
        client.send(request_bytes("/echo", "POST", headers=[
            ("Content-Length", "4"), ("Expect", "100-continue")]))
        interim = client.head()
        assert interim.status == 100
        client.send(b"body")
        assert client.response().body == b"body"
        client.stays()


def test_expect_body_sent_at_once(probe):
    """A client that does not wait gets its answer all the same."""
    with probe.connect() as client:
        client.send(request_bytes("/echo", "POST", body=b"body",
                                  headers=[("Expect", "100-continue")]))
        assert client.response().body == b"body"
        client.stays()


def test_expect_something_else(probe):
    response = probe.get("/", headers=[("Expect", "a-miracle")])
    assert response.status == 417


def test_client_leaves_before_its_answer(probe):
    for _ in range(50):
        client = probe.connect()
        client.send(request_bytes("/pieces?n=50&size=1000"))
        client.reset()
    assert probe.get("/").status == 200


def test_client_leaves_in_its_head(probe):
    for _ in range(50):
        client = probe.connect()
        client.send(b"GET / HTTP/1.1\r\nHos")
        client.reset()
    assert probe.get("/").status == 200


def test_half_closed_client_gets_its_answer(probe):
    with probe.connect() as client:
        client.send(request_bytes("/"))
        client.finish()
        assert client.response().body == b"hello"


def test_absolute_target(probe):
    seen = probe.get("http://test/environ?q=1").json
    assert seen["PATH_INFO"] == "/environ"
    assert seen["QUERY_STRING"] == "q=1"


def test_no_host_is_refused_on_1_1_or_served(probe):
    """RFC 9112 wants 400; Gunicorn serves. Never anything else."""
    with Client(probe.address) as client:
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        assert client.response().status in (200, 400)
