# SPDX-License-Identifier: MIT
"""What the classes gevent and eventlet have in common: imported by
test_gevent.py and test_eventlet.py, whose KIND is the class."""

import hashlib
import os
import signal

import pytest

from client import wait_until
from server import Server


@pytest.fixture(scope="module")
def kind(request):
    return request.module.KIND


@pytest.fixture(scope="module")
def site(kind, tmp_path_factory):
    """One interpreter."""
    directory = tmp_path_factory.mktemp(kind)
    with Server("green_app:app", "-w", "1", "-k", kind,
                directory=directory) as server:
        yield server


def ask(connection, target, method="GET", extra=b""):
    connection.send(b"%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n"
                    % (method.encode(), target.encode(), extra))


def test_is_patched_before_the_application_is_imported(site, kind):
    who = site.get("/who").json
    assert who["package"] == kind and who["patched"]
    assert who["imported_here"]


def test_environ(site):
    shown = site.get("/environ").json
    assert shown["wsgi.multithread"] is True
    assert shown["wsgi.multiprocess"] is False
    assert shown["wsgi.run_once"] is False
    assert shown["*exact"]


def test_200_requests_sleep_at_once(site):
    connections = [site.connect(timeout=60) for _ in range(200)]
    for connection in connections:
        ask(connection, "/most?s=1")
    answers = [connection.response() for connection in connections]
    assert {answer.status for answer in answers} == {200}
    assert max(answer.json for answer in answers) == 200
    for connection in connections:
        connection.close()


def test_locals_are_a_requests_own(site):
    connections = [site.connect() for _ in range(10)]
    for n, connection in enumerate(connections):
        ask(connection, "/local?t=%d" % n)
    for n, connection in enumerate(connections):
        assert connection.response().json == [None, "%d" % n]
        connection.close()


def test_body(site):
    data = os.urandom(3 << 20)
    answer = site.get("/sha256", "POST", body=data).json
    assert answer["sha256"] == hashlib.sha256(data).hexdigest()


def test_stops(kind, tmp_path):
    with Server("green_app:app", "-w", "1", "-k", kind,
                directory=tmp_path) as server:
        with server.connect() as connection:
            ask(connection, "/sleep?s=0.5&t=stop")
            server.traced("sleep stop")
            server.signal(signal.SIGTERM)
            assert connection.response().status == 200
        assert server.wait() == 0
