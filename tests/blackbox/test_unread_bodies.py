# SPDX-License-Identifier: MIT
"""Requests that are answered while their bodies are still coming, by
applications that do not read them: RFC 9112 9.3 wants the rest read, or the
connection closed."""

import pytest

from client import Closed, request_bytes, wait_until
from server import Server

pytestmark = pytest.mark.gcorn
BODY = b"GET /never HTTP/1.1\r\nHost: t\r\n\r\n" * 10000
SIZE = len(BODY)  # above what is collected before an application runs
MUCH = 64 << 20


class Kind:
    def __init__(self, app, kind, small, large):
        self.app, self.kind, self.small, self.large = app, kind, small, large


KINDS = {
    "asgi": Kind("asgi_app:app", "asgi", "/pieces?1,5", "/pieces?100,65536"),
    "gevent": Kind("probe:app", "gevent", "/", "/big?size=6553600"),
}


@pytest.fixture(scope="module", params=[
    (io, kind) for io in ("uring", "epoll") for kind in KINDS],
    ids=lambda param: "%s-%s" % param)
def site(request, tmp_path_factory):
    io, name = request.param
    if name == "gevent":
        pytest.importorskip("gevent")
    kind = KINDS[name]
    directory = tmp_path_factory.mktemp("unread")
    with Server(kind.app, "-w", "1", "-k", kind.kind, "--io", io,
                "--access-logfile", directory / "access.log",
                "--body-timeout", "10", directory=directory) as server:
        server.small, server.large = kind.small, kind.large
        yield server


def head(target, *fields):
    return request_bytes(target, "POST", headers=fields)


def with_length(target, n):
    return head(target, ("Content-Length", n))


def chunked(target):
    return head(target, ("Transfer-Encoding", "chunked"))


def chunks(body, size=10000):
    return b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + size]),
                                       body[i:i + size])
                    for i in range(0, len(body), size))


def assert_never_seen(site):
    assert site.get(site.small).status == 200
    assert not [line for line in site.access_lines() if "/never" in line]


@pytest.mark.parametrize("request_", [
    lambda target: with_length(target, SIZE) + BODY,
    lambda target: chunked(target) + chunks(BODY) + b"0\r\n\r\n",
    lambda target: chunked(target) + chunks(BODY) + b"0\r\nX: y\r\n\r\n",
], ids=["length", "chunked", "trailers"])
def test_the_connection_goes_on(site, request_):
    with site.connect() as connection:
        for _ in range(3):
            connection.send(request_(site.small) +
                            request_bytes(site.small))
            for _ in range(2):
                response = connection.response()
                assert response.status == 200 and not response.closes
        connection.stays()
    assert_never_seen(site)


def test_the_body_comes_after_its_answer(site):
    with site.connect() as connection:
        connection.send(with_length(site.small, SIZE))
        assert not connection.response().closes
        for i in range(0, SIZE, 50000):
            connection.send(BODY[i:i + 50000])
        assert connection.request(site.small).status == 200
        connection.stays()
    assert_never_seen(site)


def test_one_byte_at_a_time(site):
    body = b"5\r\nabcde\r\n0\r\nX: y\r\n\r\n"
    with site.connect() as connection:
        connection.send(chunked(site.small))
        assert not connection.response().closes
        for i in range(len(body)):
            connection.send(body[i:i + 1])
        assert connection.request(site.small).status == 200


def test_a_client_that_sends_before_it_reads(site):
    """Its answer is more than fits between us."""
    size = 900_000
    with site.connect(receive_buffer=4096) as connection:
        connection.send(with_length(site.large, size))
        connection.send(b"x" * size)
        assert len(connection.response().body) == 6553600
        assert connection.request(site.small).status == 200


def test_too_much_is_not_waited_for(site):
    """It says so, and the answer arrives though more is being sent."""
    with site.connect() as connection:
        connection.send(with_length(site.small, MUCH) + b"x" * 200_000)
        response = connection.response()
        assert response.status == 200 and response.closes
        connection.ends()
    assert_never_seen(site)


def test_an_endless_body_ends(site):
    """What nobody reads is read to a bound, not for ever."""
    piece = chunks(BODY[:65536], 65536)
    with site.connect() as connection:
        connection.send(chunked(site.small))
        assert connection.response().status == 200
        with pytest.raises(OSError):
            for _ in range(MUCH // 65536):
                connection.send(piece)
    assert_never_seen(site)


def test_the_rest_never_comes(site):
    """It is not waited for longer than for any end of a connection."""
    with site.connect() as connection:
        connection.send(with_length(site.small, SIZE) + BODY[:1000])
        assert connection.response().status == 200
        assert site.get(site.small).status == 200
        connection.ends()
    with site.connect() as connection:
        connection.send(with_length(site.small, SIZE) + BODY[:1000])
        assert connection.response().status == 200
        connection.finish()
        connection.ends()
    with site.connect() as connection:
        connection.send(with_length(site.small, SIZE) + BODY[:1000])
        assert connection.response().status == 200
        connection.reset()
    assert_never_seen(site)


@pytest.mark.parametrize("rest", [
    b"\r\n" + request_bytes("/never"), b"5\r\nabcdeGET /never",
    b"-1\r\n\r\n" + request_bytes("/never"), b"0\r\nbad trailer\r\n\r\n",
    b"0\r\nContent Length: 1\r\n\r\n", b"ffffffffffffffffff\r\n"])
def test_wrong_chunks_are_the_end(site, rest):
    with site.connect() as connection:
        connection.send(chunked(site.small) + b"3\r\nabc\r\n")
        assert connection.response().status == 200
        connection.send(rest + request_bytes("/never"))
        with pytest.raises((Closed, OSError)):
            connection.response()
    assert_never_seen(site)


def test_http_1_0_and_close(site):
    for fields, version in (((), "1.0"), ((("Connection", "close"),), "1.1")):
        with site.connect() as connection:
            connection.send(request_bytes(site.small, "POST", headers=[
                ("Content-Length", SIZE), *fields], version=version) + BODY)
            response = connection.response()
            assert response.status == 200 and response.closes
            connection.ends()
    assert_never_seen(site)


def test_the_log_and_the_requests_in_progress(site):
    """The request is over with its answer, not with its body."""
    before = len(site.access_lines())
    with site.connect() as connection:
        connection.send(with_length(site.small, SIZE))
        assert connection.response().status == 200
        wait_until(lambda: len(site.access_lines()) > before, 5, "its line")
        connection.send(BODY)
        assert connection.request(site.small).status == 200
