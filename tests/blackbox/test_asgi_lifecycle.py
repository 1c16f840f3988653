# SPDX-License-Identifier: MIT
"""The class asgi: interpreters come and go, connections stay."""

import os
import signal

import pytest

import client
from client import wait_until

pytestmark = pytest.mark.gcorn


def hold(connection, go, method=b"GET"):
    connection.send(b"%s /hold?%s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
                    b"\r\n" % (method, str(go).encode()))


def kill_interpreter(server):
    pid = server.interpreters()[0].pid
    os.kill(pid, signal.SIGKILL)
    return pid


@pytest.fixture
def server(start):
    return start("asgi_app:app", "-w", "1")


def test_a_reload_keeps_connections_and_requests(server, tmp_path):
    go = tmp_path / "go"
    with server.connect() as idle, server.connect() as busy:
        old = idle.request("/").json["pid"]
        hold(busy, go)
        server.traced("held")
        server.signal(signal.SIGHUP)
        wait_until(lambda: idle.request("/").json["pid"] != old)
        go.touch()
        response = busy.response()
        assert response.status == 200
        assert int(response.text) == old
        assert busy.request("/").json["pid"] != old


def test_max_requests_keeps_the_connection(start):
    server = start("asgi_app:app", "-w", "1", "--max-requests", "5")
    with server.connect() as connection:
        pids = set()

        def three_more():
            pids.add(connection.request("/").json["pid"])
            return len(pids) >= 3
        wait_until(three_more)


def test_a_killed_interpreter_keeps_idle_connections(server):
    with server.connect() as connection:
        old = connection.request("/").json["pid"]
        assert kill_interpreter(server) == old
        assert connection.request("/").json["pid"] != old


def test_a_safe_request_is_run_again(server, tmp_path):
    go = tmp_path / "go"
    with server.connect() as connection:
        hold(connection, go)
        server.traced("held")
        old = kill_interpreter(server)
        wait_until(lambda: len(server.trace_lines("held")) == 2)
        go.touch()
        response = connection.response()
        assert response.status == 200
        assert int(response.text) != old
        assert connection.request("/").status == 200


def test_another_request_is_not(server, tmp_path):
    with server.connect() as connection:
        hold(connection, tmp_path / "never", b"POST")
        server.traced("held")
        kill_interpreter(server)
        assert connection.response().status == 502
    assert server.get("/").status == 200
    assert len(server.trace_lines("held")) == 1


def assert_cut_off(server, connection):
    """By the death of the interpreter that was answering; others serve on."""
    kill_interpreter(server)
    with pytest.raises((client.Truncated, client.Closed, OSError)):
        connection.chunk()
    assert server.get("/").status == 200


def test_a_response_that_has_begun_is_cut_off(server):
    with server.connect() as connection:
        connection.send(b"GET /until_gone HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.head()
        assert connection.chunk() == b"event\n"
        assert_cut_off(server, connection)


def test_a_body_that_streams_is_cut_off(server):
    """What was taken of it cannot be given to another."""
    with server.connect() as connection:
        connection.send(b"POST /both_ways HTTP/1.1\r\nHost: x\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        connection.head()
        assert connection.chunk() == b"abc"
        assert_cut_off(server, connection)
