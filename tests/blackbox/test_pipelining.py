# SPDX-License-Identifier: MIT
"""Several requests sent before the first answer: all served, in order."""

import pytest

from client import Closed, Truncated, request_bytes

pytestmark = pytest.mark.gcorn


def test_in_order(probe):
    with probe.connect() as client:
        client.send(b"".join(request_bytes("/environ?%d" % i)
                             for i in range(100)))
        for i in range(100):
            assert client.response().json["QUERY_STRING"] == str(i)
        client.stays()


def test_slow_one_first(probe, go):
    """The second is ready long before the first, and still comes second."""
    with probe.connect() as client:
        client.send(request_bytes("/hold?file=%s" % go)
                    + request_bytes("/environ?second"))
        go.touch()
        assert client.response().body == b"released"
        assert client.response().json["QUERY_STRING"] == "second"


def test_with_bodies(probe):
    with probe.connect() as client:
        client.send(b"".join(
            request_bytes("/echo", "POST", body=b"%d" % i * 500)
            for i in range(30)))
        for i in range(30):
            assert client.response().body == b"%d" % i * 500


def test_large_bodies_then_small(probe):
    with probe.connect() as client:
        client.send(request_bytes("/sha256", "POST", body=b"x" * 300_000)
                    + request_bytes("/") + request_bytes(
                        "/sha256", "POST", body=b"y" * 70_000)
                    + request_bytes("/"))
        assert client.response().json["size"] == 300_000
        assert client.response().body == b"hello"
        assert client.response().json["size"] == 70_000
        assert client.response().body == b"hello"


def test_with_head_and_bodyless_answers(probe):
    with probe.connect() as client:
        client.send(request_bytes("/pieces", "HEAD")
                    + request_bytes("/closing?t=p&status=204%20None")
                    + request_bytes("/pieces?as=generator")
                    + request_bytes("/"))
        assert client.response("HEAD").status == 200
        assert client.response().status == 204
        assert len(client.response().body) == 15
        assert client.response().body == b"hello"


def test_more_than_any_buffer(probe):
    """The client sends far ahead; the server must not read without end, nor
    forget."""
    request = request_bytes("/", headers=[("X-Fill", "f" * 1000)])
    with probe.connect() as client:
        for _ in range(30):
            client.send(request * 20)
            for _ in range(20):
                assert client.response().body == b"hello"


def test_split_anywhere(probe):
    data = request_bytes("/echo", "POST", body=b"12345") * 3
    for at in range(1, len(data), 7):
        with probe.connect() as client:
            client.sock.setsockopt(6, 1, 1)
            client.send(data[:at])
            client.send(data[at:])
            for _ in range(3):
                assert client.response().body == b"12345"


def test_bad_request_ends_the_pipeline_after_good_answers(probe):
    with probe.connect() as client:
        client.send(request_bytes("/environ?good") + b"BAD\r\n\r\n"
                    + request_bytes("/environ?never"))
        assert client.response().json["QUERY_STRING"] == "good"
        assert client.response().status == 400
        client.ends()


def test_empty_line_between_requests(probe):
    """RFC 9112 2.2: at least one CRLF before a request line is ignored, or
    it is a bad request; never a hang."""
    with probe.connect() as client:
        client.send(request_bytes("/") + b"\r\n" + request_bytes("/"))
        assert client.response().status == 200
        assert client.response().status in (200, 400)


def test_half_close_after_pipelining(probe):
    with probe.connect() as client:
        client.send(request_bytes("/environ?a") + request_bytes("/environ?b"))
        client.finish()
        assert client.response().json["QUERY_STRING"] == "a"
        assert client.response().json["QUERY_STRING"] == "b"
        client.ends()


def test_error_in_the_middle(probe):
    with probe.connect() as client:
        client.send(request_bytes("/") + request_bytes("/raises-late")
                    + request_bytes("/"))
        assert client.response().body == b"hello"
        with pytest.raises((Truncated, Closed)):
            client.response()
